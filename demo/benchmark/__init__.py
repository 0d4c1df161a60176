"""The tab Benchmark: hit rates of the library in use."""
