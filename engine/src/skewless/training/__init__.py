"""Train a version from a table and a configuration, and register it.

Or make the same one again, to prove that it can be made.
"""
