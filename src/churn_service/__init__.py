"""A churn model from its notebook to a tested production API.

The data walks one road, and the modules are named after its steps::

    raw record → schema → features → model → probability → response
"""

import os

# ONNX Runtime reads this when it is imported; its Privacy.md says that it reports usage otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - must happen before any other import
