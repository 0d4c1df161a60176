"""The tab Library: what is indexed, and changes to it."""
