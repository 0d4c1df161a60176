"""The tab Identify: which track a clip is, and where in it."""
