"""The commands that watch, and what watching adds to those that show."""

from collections.abc import Iterator

import typer

from skewless.cli import outcome_commands
from skewless.cli.drift_commands import drift
from skewless.cli.log_commands import log_commands
from skewless.cli.registry_commands import SHOWN
from skewless.cli.report_commands import report
from skewless.core.workspace import Workspace
from skewless.monitoring.place import find_log


def add_commands(app: typer.Typer) -> None:
    """Register these commands, and extend `registry show` by a challenger's answers."""
    app.command()(report)
    app.command()(drift)
    app.add_typer(log_commands, name="log")
    outcome_commands.add_commands(app)
    SHOWN.append(_as_challenger)


def _as_challenger(work: Workspace, version: str) -> Iterator[str]:
    """Compare a challenger's answers with production's, of which each has one."""
    from skewless.models.reference import shift
    from skewless.monitoring.challenges import read_challenges

    log = find_log(work)
    if log is None:
        return
    found = read_challenges(log, version)
    if found.empty:
        return
    flipped = (found["decision"] != found["challenger_decision"]).mean()
    moved = (found["challenger_probability"] - found["probability"]).abs()
    apart = shift(
        found["probability"].to_numpy(), found["challenger_probability"].to_numpy()
    )
    versions = ", ".join(sorted(set(found["model_version"])))
    yield f"in the shadow of {versions}: {len(found):,} requests"
    differ = f"decisions that differ {flipped:.1%}"
    yield f"  {differ}, score PSI {apart:.3f}, largest difference {moved.max():.3f}"
