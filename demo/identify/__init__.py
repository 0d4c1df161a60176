"""The tab Identify: which track a clip is from, and where in it."""
