"""Songs as separate stems, for training and judging sample identification."""
