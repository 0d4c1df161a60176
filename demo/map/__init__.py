"""The tab Map: the library on a plane."""
