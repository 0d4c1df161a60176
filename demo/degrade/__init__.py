"""The tab Degrade: how much a clip can bear."""
