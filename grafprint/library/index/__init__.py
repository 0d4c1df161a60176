"""Nearest neighbours over numbered vectors; knows nothing about tracks."""
