"""Nearest neighbours over numbered vectors; knows nothing of tracks."""
