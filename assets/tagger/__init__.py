"""Make the labelled clips that the bundled tagger is trained on; docs/tagging.md says how."""
