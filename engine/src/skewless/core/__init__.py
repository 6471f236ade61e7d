"""What everything else stands on: record and contract, project, configuration, environment, errors.

Nothing here reads a table, a model or a registry.
"""
