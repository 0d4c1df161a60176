"""The tab Samples: which recordings a song samples, and which nodes of both see each other."""
