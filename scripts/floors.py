"""Cut a copy of the project down to a floor: whole files go, and so do the marked parts of the others.

Usage: python scripts/floors.py {package,service} FOLDER

A part is marked ``floor: service`` to ``end floor``, each in a comment on a line of its own; a mark behind
other text stands for that line alone. Run ``make format schema lock`` in the folder afterwards.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Final

FLOORS: Final = ("package", "service", "monitored")
FILES: Final = {
    "service": (
        "src/churn_service/answer.py",
        "src/churn_service/api.py",
        "src/churn_service/background.py",
        "src/churn_service/evidence.py",
        "src/churn_service/gate.py",
        "src/churn_service/messages.py",
        "src/churn_service/pool.py",
        "src/churn_service/problems.py",
        "src/churn_service/promotion.py",
        "src/churn_service/promotion_commands.py",
        "src/churn_service/short_path.py",
        "src/churn_service/service_sections.py",
        "src/churn_service/serving",
        "notebooks/03_from_notebook_to_service.ipynb",
        "tests/service",
        "tests/hostile.py",
        "tests/logged.py",
        "tests/running.py",
        "tests/scraped.py",
        "tests/scraping.py",
        "tests/steady.py",
        "tests/versions.py",
        "benchmarks/load.py",
        "benchmarks/serve.py",
        "benchmarks/start.py",
        "docs/service",
        "deploy/grafana",
        "deploy/prometheus",
        "examples",
        "scripts/demo.py",
        "Dockerfile",
        ".dockerignore",
    ),
    "monitored": (
        "src/churn_service/monitoring",
        "src/churn_service/retrain.py",
        "src/churn_service/retrain_commands.py",
        "tests/monitoring",
        "tests/browser.py",
        "tests/postgres.py",
        "tests/remembered.py",
        "benchmarks/log.py",
        "tests/windows.py",
        "benchmarks/drift.py",
        "tests/recorded.py",
        "benchmarks/outcomes.py",
        "docs/monitoring",
        "deploy/grafana/drift.json",
        "scripts/drill.py",
        ".github/workflows/retrain.yml",
    ),
}
BEGIN: Final = re.compile(r"(?:#|<!--) floor: (\w+)(?: -->)?$")
END: Final = re.compile(r"(?:#|<!--) end floor(?: -->)?$")


def cut(text: str, absent: set[str]) -> str:
    r"""Leave out the marked parts of absent floors; the marks of present floors stay.

    >>> cut("a\n# floor: service\nb\n# end floor\nc  # floor: service\nd\n", {"service"})
    'a\nd\n'
    >>> nested = "# floor: service\na\n# floor: monitored\nb\n# end floor\nc\n# end floor\n"
    >>> cut(nested, {"monitored"})
    '# floor: service\na\nc\n# end floor\n'
    >>> cut(nested, {"service", "monitored"})
    ''
    """
    kept, inside = [], list[bool]()  # of each part that a line stands in: whether it is cut
    for line in text.splitlines(keepends=True):
        begin, end = BEGIN.search(line.strip()), END.search(line.strip())
        ours = begin is not None and begin[1] in absent
        if begin is not None and begin.start() == 0:
            inside.append(ours)
        if not any(inside) and not ours:
            kept.append(line)
        if end:
            inside.pop()
    if inside:
        msg = "a floor's part has no end"
        raise ValueError(msg)
    return "".join(kept)


def main(floor: str, folder: Path) -> None:
    """Cut the project in a folder down to a floor."""
    absent = set(FLOORS[FLOORS.index(floor) + 1 :])
    for name in (name for each in absent for name in FILES[each]):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not {".git", ".venv"} & set(path.relative_to(folder).parts):
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # not text, so without marks
            if (shorter := cut(text, absent)) != text:
                path.write_text(shorter, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in FLOORS:  # noqa: PLR2004 - program, floor, folder
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
