"""GraFPrint: audio identification with graph neural network fingerprints."""
