"""Settings of the whole suite."""

import os

# The suite runs one process a core and reads many small logs: more threads in each only get in each other's way.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

from hypothesis import settings

# Forty examples a property keep the suite within a minute; deadlines would only measure a busy machine.
settings.register_profile("suite", max_examples=40, deadline=None)
settings.load_profile("suite")
