"""A churn model from its notebook to a tested production API.

The data takes one path, and the modules are named after its steps::

    raw record → schema → features → model → probability → response
"""
