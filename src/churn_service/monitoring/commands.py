"""The commands that watch, and what watching adds to those that show."""

from collections.abc import Iterator

import typer

from churn_service.monitoring import outcome_commands
from churn_service.monitoring.drift_commands import drift
from churn_service.monitoring.log_commands import log_commands
from churn_service.registry_commands import SHOWN
from churn_service.workspace import Workspace


def add_commands(app: typer.Typer) -> None:
    """Register these commands; let `registry show` tell what a version answered as a challenger."""
    app.command()(drift)
    app.add_typer(log_commands, name="log")
    outcome_commands.add_commands(app)
    SHOWN.append(_as_challenger)


def _as_challenger(work: Workspace, version: str) -> Iterator[str]:
    """Compare a challenger's answers with production's, of which each has one."""
    from churn_service.monitoring.history import read_challenges
    from churn_service.reference import shift

    folder = work.config.monitoring.prediction_log
    if folder is None:
        return
    found = read_challenges(work.root / folder, version)
    if found.empty:
        return
    flipped = (found["churn_prediction"] != found["challenger_prediction"]).mean()
    moved = (found["challenger_probability"] - found["churn_probability"]).abs()
    apart = shift(found["churn_probability"].to_numpy(), found["challenger_probability"].to_numpy())
    yield f"in the shadow of {', '.join(sorted(set(found['model_version'])))}: {len(found):,} requests"
    differ = f"decisions that differ {flipped:.1%}"
    yield f"  {differ}, score PSI {apart:.3f}, largest difference {moved.max():.3f}"
