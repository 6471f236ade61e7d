"""Cut what can hold no marks down to what a cut project asks for: the locks and the JSON schema.

Without an index and without the packages. `make lock` and `make schema` write the same, bar a marker that a
lock keeps for a package that is gone.
"""

import ast
import json
import re
import tomllib
from pathlib import Path
from typing import Any, Final

HOLDS: Final = {  # the extras of a lock that is there, of those that are there
    "requirements.lock": {"service", "monitoring"},
    "requirements-jobs.lock": {"train", "dask", "service", "monitoring"},
}
BLOCK: Final = re.compile(r"^(?=[a-z0-9])", re.MULTILINE)  # a package's lines begin with its name
WHY: Final = re.compile(r"    # via(?: .*\n|\n(?:    #   .*\n)+)")
OURS: Final = re.compile(r".* \(pyproject\.toml(?::(\w+))?\)")


def requirement_names(requirements: list[Any]) -> set[str]:
    """Read the names of requirements, as a lock writes them."""
    found = (re.match(r"[\w.-]+", line) for line in requirements if isinstance(line, str))
    return {re.sub(r"[-_.]+", "-", name[0]).lower() for name in found if name}


def _pyproject(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def cut_lock(text: str, asked: dict[str, set[str]]) -> str:
    """Keep of a lock what is asked for, and what that needs in turn.

    Parameters
    ----------
    text
        A lock as uv writes it, with the reason of each package: ``# via``.
    asked
        The names that the project asks for itself; by dependency group, "" for itself and its extras.
    """
    head, *blocks = BLOCK.split(text)
    packages = [(re.split(r"[\[= ]", block, maxsplit=1)[0], block) for block in blocks]
    why = {block: re.findall(r"#(?: via|  ) +(\S.*)", block) for block in blocks}
    present = set[str]()

    def holds(name: str, reason: str) -> bool:
        ours = OURS.fullmatch(reason)
        return name in asked.get(ours[1] or "", ()) if ours else reason in present

    while more := {name for name, block in packages if any(holds(name, one) for one in why[block])} - present:
        present |= more
    return head + "".join(
        _with_reasons(block, [one for one in why[block] if holds(name, one) or one.startswith("-c ")])
        for name, block in packages
        if name in present
    )


def _with_reasons(block: str, reasons: list[str]) -> str:
    lines = [f" {reasons[0]}\n"] if len(reasons) == 1 else ["\n", *(f"    #   {one}\n" for one in reasons)]
    return WHY.sub(lambda _: "    # via" + "".join(lines), block)


def cut_locks(folder: Path) -> dict[str, str]:
    """Render the locks with what pyproject.toml still asks for."""
    document = _pyproject(folder)
    base, extras = document["project"]["dependencies"], document["project"]["optional-dependencies"]
    groups = {name: requirement_names(lines) for name, lines in document["dependency-groups"].items()}
    held = {name: chosen & extras.keys() for name, chosen in HOLDS.items() if (folder / name).exists()}
    asked: dict[str, dict[str, set[str]]] = {
        name: {"": requirement_names([*base, *(line for extra in chosen for line in extras[extra])])}
        for name, chosen in {**held, "requirements-dev.lock": {*extras}}.items()
    }
    asked["requirements-dev.lock"] |= groups
    return {name: cut_lock((folder / name).read_bytes().decode(), asked[name]) for name in asked}


def cut_schema(folder: Path) -> str:
    """Render config.schema.json with the sections and keys that the code still has."""
    package = folder / "src" / _pyproject(folder)["project"]["name"].replace("-", "_")
    sources = [path.read_text(encoding="utf-8") for path in package.glob("*.py")]
    classes = [
        node for source in sources for node in ast.parse(source).body if isinstance(node, ast.ClassDef)
    ]
    fields = {
        node.name: {ast.unparse(line.target) for line in node.body if isinstance(line, ast.AnnAssign)}
        for node in classes
    }
    for node in classes:
        for base in node.bases:
            fields[node.name] |= fields.get(ast.unparse(base).partition("[")[0], set())
    schema = json.loads((folder / "config.schema.json").read_text(encoding="utf-8"))
    schema["$defs"] = {name: found for name, found in schema["$defs"].items() if name in fields}
    for name, found in [("Config", schema), *schema["$defs"].items()]:
        found["properties"] = {key: each for key, each in found["properties"].items() if key in fields[name]}
        found["required"] = [key for key in found["required"] if key in fields[name]]
    return json.dumps(schema, indent=2) + "\n"
