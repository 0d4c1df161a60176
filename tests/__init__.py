"""The tests, one module for each module of the program; `python -m tests` runs every check."""
