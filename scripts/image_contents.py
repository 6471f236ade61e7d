"""Print what the image that this runs in holds above its base.

That is bytes by package, and what can be imported.
"""

import json
import os
from collections import Counter
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

HEAVY = ("pandas", "sklearn", "scipy", "matplotlib", "pyarrow", "pytest")

owners = {}
for distribution in distributions():
    for file in distribution.files or ():
        real = os.path.realpath(str(distribution.locate_file(file)))
        owners[real] = distribution.name
held = Counter[str]()
for place in ("/opt/venv", "/app"):
    for path in Path(place).rglob("*"):
        if path.is_file() and not path.is_symlink():
            other = path.parts[2]
            if place == "/app":
                other = f"/app/{other}"
            held[owners.get(str(path), other)] += path.stat().st_size
installers = []
for place in ("/usr", "/opt"):
    for pattern in ("pip/__main__.py", "*.whl"):
        installers += [str(path) for path in Path(place).rglob(pattern)]
said = {
    "bytes": held,
    "imports": [name for name in HEAVY if find_spec(name)],
    "installers": installers,
    "user": os.getuid(),
}
print(json.dumps(said))
