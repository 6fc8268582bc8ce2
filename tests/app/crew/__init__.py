"""The parent, its nursery, and workers."""
