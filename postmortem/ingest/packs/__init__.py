"""Formats that a YAML file describes: loaded, proved by their samples, and run."""
