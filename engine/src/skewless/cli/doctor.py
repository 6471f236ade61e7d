"""Say what is left to do in a clone, and how.

That is: what is still the template's, what does not agree, and what comes next. Nothing
is changed, and no network is needed.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

from skewless.core.errors import SkewlessError, StoreError
from skewless.core.project import Project
from skewless.core.sections import AnyConfig, DecisionSection
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.registry.registry import Registry
from skewless.tables.simulate import is_simulated
from skewless.tables.table import read_parts
from skewless.training.agreement import (
    Finding,
    cannot_tell,
    check_agreement,
    judge,
    read_project,
    read_text,
)

TEMPLATE: Final = "churn-service"
INTENDED_USE: Final = "for a retention offer"
THRESHOLDS: Final = DecisionSection(threshold=0.5, medium_risk=0.4, high_risk=0.7)
ROWS: Final = 1_000  # of the table, to see whose it is
LEVELS: Final = {
    "service": (
        "answers over HTTP, promotes and rolls back; "
        "it needs callers who cannot wait for a file"
    ),
    "monitored": (
        "logs answers, finds drift, retrains; it needs somebody who reads an alarm"
    ),
}
"""Level → what it brings; make/LEVEL.mk tells that a project has it."""


def examine(
    work: Workspace, *, registry: Registry, commands: Collection[str]
) -> list[Finding]:
    """Look at everything; nothing is raised for what is wrong.

    Parameters
    ----------
    work
        The project, its configuration, folder and environment.
    registry
        Where the versions are.
    commands
        Names of the command line's commands, which the documentation may speak of.
    """
    config = work.config
    found = [*_owner(work.root), _table(work), _card(work.project), _decision(config)]
    found += check_agreement(work, registry=registry, commands=commands)
    found += _service(work.settings, registry)
    found += _monitoring(config, work.settings)
    return [*found, *_next_level(work.root)]


def _owner(root: Path) -> Iterator[Finding]:
    name = read_project(root).get("project", {}).get("name")
    if name is None:
        return
    fault = f"it is still called {name}" if name == TEMPLATE else None
    to_do = (
        _by_make(root, "rename NAME=your-name")
        or f"the template's scripts/rename.py --folder {root}"
    )
    yield judge("name", fault, to_do, fine=f"it is called {name}")
    lines = read_text(root / "LICENSE").splitlines()
    holders = [line for line in lines if line.startswith("Copyright")]
    fault = None
    if not holders:
        fault = "LICENSE names nobody"
    elif all(TEMPLATE in line for line in holders):
        fault = f"LICENSE names {TEMPLATE}'s authors alone"
    yield judge(
        "licence",
        fault,
        "write into LICENSE who holds the rights",
        fine="LICENSE names you",
    )


def _table(work: Workspace) -> Finding:
    root = work.root
    data = work.config.data
    contract = work.contract
    path = data.path
    try:
        table = next(read_parts(root / path, ROWS, contract, form=data.format))
        is_made_up = contract.id in table and is_simulated(table[contract.id])
        fault = f"{path} is the simulator's" if is_made_up else None
    except StopIteration:
        fault = f"{path} is empty"
    except StoreError as error:
        return cannot_tell("table", str(error), "ask again when the store answers")
    except SkewlessError as error:
        fault = "; ".join(error.args)
    to_do = _by_make(root, "adopt TABLE=your.csv TARGET=column") or (
        "set data.path, and write schema.py and features.py for your table: "
        "docs/from-your-notebook.md"
    )
    return judge("table", fault, to_do, fine=f"{path} is your own")


def _by_make(root: Path, words: str) -> str | None:
    """Write the command, unless its target is gone."""
    target, _, _ = words.partition(" ")
    if f"\n{target}: " in read_text(root / "Makefile"):
        return f"make {words}"
    return None


def _card(project: Project[Any, Any]) -> Finding:
    to_do = "write into project.py what your model is for, and what it is not for"
    fault = None
    if INTENDED_USE in project.intended_use:
        fault = "the model card states the template's"
    return judge("intended use", fault, to_do, fine="the model card states your own")


def _decision(config: AnyConfig) -> Finding:
    fault = None
    if config.decision == THRESHOLDS:
        fault = "threshold and tiers are the template's"
    to_do = (
        "choose them by what a wrong decision costs (notebooks/02_train.ipynb), "
        "or leave them"
    )
    return judge(
        "decision", fault, to_do, fine="threshold and tiers are your own", note=True
    )


def _service(settings: Settings, registry: Registry) -> Iterator[Finding]:
    fault = None
    if not settings.api_keys.get_secret_value():
        fault = "no caller has a key; only this host is answered"
    to_do = (
        f"keys new --id NAME makes one; {settings.variable('api_keys')} hands it over"
    )
    yield judge("keys", fault, to_do, fine="callers need a key", note=True)
    fault = None if settings.public_key else "a version needs no signature"
    to_do = "docs/signing.md, where others can write to the registry"
    yield judge(
        "signature", fault, to_do, fine="only signed versions are loaded", note=True
    )
    yield _production(registry)


def _production(registry: Registry) -> Finding:
    try:
        holder = registry.state().holder("production")
    except StoreError as error:
        return cannot_tell(
            "production", str(error), "ask again when the registry answers"
        )
    except SkewlessError as error:
        return cannot_tell(
            "production", "; ".join(error.args), "registry verify names every fault"
        )
    if registry.stale is not None:
        return cannot_tell(
            "production", registry.stale, "ask again when the registry answers"
        )
    fault = None
    if not holder:
        fault = "nothing was promoted; the service answers by what was trained last"
    to_do = "registry promote newest --to production"
    return judge(
        "production", fault, to_do, fine=f"{holder} is in production", note=True
    )


def _monitoring(config: AnyConfig, settings: Settings) -> Iterator[Finding]:
    monitoring = config.monitoring
    is_logged = monitoring.prediction_log or settings.log_url
    fault = None if is_logged else "no answer is logged"
    yield judge(
        "log",
        fault,
        "set monitoring.prediction_log",
        fine="answers are logged",
        note=True,
    )
    fault = None if monitoring.privacy else "every field is logged as it was sent"
    to_do = (
        "decide in monitoring.privacy what to drop, hash or bucket; "
        "keep says that you did"
    )
    yield judge(
        "privacy", fault, to_do, fine="monitoring.privacy says what is kept", note=True
    )


def _next_level(root: Path) -> Iterator[Finding]:
    """Say what the first level that is absent would bring, and what for."""
    absent = [name for name in LEVELS if not (root / "make" / f"{name}.mk").exists()]
    if absent and (root / "Makefile").exists():
        to_do = f"copier update -d level={absent[0]} --trust, when that is wanted"
        yield judge(
            "next level", f"{absent[0]}: {LEVELS[absent[0]]}", to_do, fine="", note=True
        )
