"""The tab How it works: a clip's way through the pipeline."""
