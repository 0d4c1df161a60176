"""The pages, and the scripts that draw their figures and build the API pages."""
