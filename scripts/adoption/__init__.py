"""Foreign table → profile of its columns → decisions → the project's files, for `scripts/adopt.py`."""
