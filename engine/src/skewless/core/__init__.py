"""What everything else stands on; nothing here reads a table, a model or a registry.

It is the record and its contract, the project, its configuration, the environment and
the errors.
"""
