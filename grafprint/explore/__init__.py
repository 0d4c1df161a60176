"""Look into the graphs of a network, and at the map of a library."""
