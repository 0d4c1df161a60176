"""Log-mel features, graph layers, encoders and checkpoints."""
