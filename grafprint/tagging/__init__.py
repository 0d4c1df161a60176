"""Tag audio: what does a clip sound like, and when."""

from grafprint.tagging.tagger import DEFAULT_TAGGER, ClipTagger
from grafprint.tagging.tags import ClipTags, Tag

__all__ = ["DEFAULT_TAGGER", "ClipTagger", "ClipTags", "Tag"]
