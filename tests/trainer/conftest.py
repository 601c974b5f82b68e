"""Settings of the trainer's tests: one thread, as in training itself."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
