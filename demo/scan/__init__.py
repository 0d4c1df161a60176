"""The tab Scan: what plays when in a long recording."""
