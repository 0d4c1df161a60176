"""The tab Graph: what the network made of a second."""
