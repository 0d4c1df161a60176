"""Inference-only encoders: the same fingerprints, faster on a CPU."""
