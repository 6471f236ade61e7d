"""A foreign table → the files of a project that know a table.

On the way its columns are profiled, and all that has to be decided is decided.
"""
