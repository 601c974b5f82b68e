"""The tasks of the catalogue; each needs no download."""
