"""What `scripts/adopt.py` makes of a foreign table, step by step.

Foreign table → profile of its columns → decisions → the project's files.
"""
