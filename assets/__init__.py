"""What the program comes with, and how it was made."""
