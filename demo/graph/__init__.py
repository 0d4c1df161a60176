"""The tab Graph: the graphs that the network builds for a second of sound."""
