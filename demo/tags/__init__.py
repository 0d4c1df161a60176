"""The tab Tags: what a clip sounds like, when, and which nodes speak for it."""
