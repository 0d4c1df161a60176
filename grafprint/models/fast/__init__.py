"""Inference-only encoders: same outputs, faster on a CPU."""
