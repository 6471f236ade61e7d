"""A churn model from its notebook to a tested, served, watched production API.

The data walks one road, and the modules are named after its steps::

    raw record → schema → features → model → probability → response → prediction log → drift → retrain
"""
