"""For the writer of a format: a draft from a log, what it reads, and why a file is read as it is."""
