"""The tab How it works: a clip on its way through the pipeline."""
