"""Readers of the stores that experiment trackers keep: a module each, with ``claims`` and ``read``."""
