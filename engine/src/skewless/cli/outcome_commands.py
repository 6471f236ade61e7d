"""The commands about what became of records: outcomes, performance."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skewless.cli.drift_commands import ByOption, moment
from skewless.cli.terminal import (
    ConfigOption,
    JsonOption,
    open_registry,
    open_workspace,
    print_json,
    say,
)
from skewless.core.contract import Contract
from skewless.core.errors import RefusedError, TableError
from skewless.core.formats import READABLE
from skewless.monitoring.performance_figures import WEEKS
from skewless.monitoring.place import Log, open_log

if TYPE_CHECKING:
    from skewless.monitoring.performance import Band, Week
    from skewless.monitoring.performance_figures import SegmentFigures


def add_commands(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (outcomes, performance):
        app.command()(command)


def outcomes(
    context: typer.Context,
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help=f"In one of the formats {READABLE}")
    ],
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Record outcomes, by prediction_id or by the records' own ids.

    Exit 3: the file breaks rules, and nothing was recorded. What was recorded stays so,
    even if afterwards nobody can say how much of it is new.

    Example: outcomes left-in-march.csv
    """
    from skewless.monitoring.outcome_file import read_file
    from skewless.monitoring.sinks import open_outcomes

    work = open_workspace(context, config)
    contract = work.contract
    log = open_log(work)
    sink = open_outcomes(log, work.config.monitoring, work.settings, contract=contract)
    said = read_file(source, contract, work.config.data.format)
    refusal = sink.refusal(said)
    if refusal is not None:
        raise TableError(refusal)
    recorded_at = sink.add(said)
    if not as_json:
        say(f"{source}: {len(said):,} outcomes recorded")
    counts = _review(log, contract, recorded_at)
    if as_json:
        print_json(
            {"accepted": len(said), **counts, "recorded_at": recorded_at.isoformat()}
        )
    elif None not in counts.values():
        say(
            f"  already known: {counts['duplicates']:,}; "
            f"corrections: {counts['corrections']:,}"
        )
        say(f"  ids of no prediction in the log: {counts['unknown']:,}")


def _review(
    log: Log, contract: Contract, recorded_at: datetime
) -> Mapping[str, int | None]:
    from skewless.monitoring.labels import review

    try:
        return review(log, contract, recorded_at)
    except Exception as error:  # noqa: BLE001 - outcomes are recorded whatever it was
        say(
            f"warning: recorded, but what is new among them cannot be told: {error}",
            err=True,
        )
        return dict.fromkeys(("duplicates", "corrections", "unknown"))


def performance(
    context: typer.Context,
    *,
    as_of: Annotated[
        str | None,
        typer.Option(
            help="7d, or a date or time: as was known then (UTC); default: now",
            show_default=False,
        ),
    ] = None,
    weeks: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=520,
            help=f"How many, the last that of --as-of; default: {WEEKS}",
            show_default=False,
        ),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="A version or an alias; default: of all")
    ] = None,
    by: ByOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare outcomes with what was predicted, week by week.

    With --by also within each value of a column, over all those weeks: a segment may
    end differently although the whole ends as predicted.

    Exit 3: in some week, or segment, the outcomes contradict the predictions. Without
    options, what
    is found also goes to performance.json in the prediction log, where a service reads
    it for its metrics.

    Example: performance --as-of 2026-06-01
    """
    from skewless.monitoring.checks import check_performance, publish_performance
    from skewless.monitoring.words import ADVICE

    work = open_workspace(context, config)
    now = datetime.now(UTC)
    as_of_moment = moment(as_of or "0h", now)
    if version:
        version = open_registry(work).load(version).metadata.version
    found, segments = check_performance(
        work, as_of=as_of_moment, weeks=weeks or WEEKS, version=version, by=by or ()
    )
    # Of fewer weeks, or of a version, an alarm of the others would be lost.
    if as_of is None and weeks is None and version is None:
        publish_performance(work, found, segments, checked_at=now)
    states = {week.state for week in found} | {each.state for each in segments}
    if as_json:
        told = [{**asdict(week), "coverage": week.coverage} for week in found]
        print_json(
            {
                "as_of": as_of_moment.isoformat(),
                "version": version,
                "weeks": told,
                "segments": [each.model_dump(mode="json") for each in segments],
            }
        )
    else:
        names = "".join(
            f"{name:18}"
            for name in ("log loss", "expected", "event rate", "expected", "ROC AUC")
        )
        say(f"{'week':9}{'answers':>9}{'outcomes':>9}{'lag, days':>10}  {names}")
        for week in found:
            say(_line(week))
        _print_segments(segments)
        advice = [said for state, said in ADVICE.items() if state in states]
        say(advice[0] if advice else "nothing was predicted")
    if "concept_drift" in states:
        raise typer.Exit(RefusedError.exit_code)


def _print_segments(segments: "Sequence[SegmentFigures]") -> None:
    if segments:
        names = "".join(
            f"{name:>11}"
            for name in ("log loss", "expected", "event rate", "expected", "p")
        )
        say("", f"{'':32}{'answers':>9}{'outcomes':>9}{names}")
    for each in segments:
        cells = "".join(
            f"{measured.realised:11.2f}{measured.expected:11.2f}"
            if measured
            else f"{'-':>11}{'-':>11}"
            for measured in (each.log_loss, each.event_rate)
        )
        share = each.labelled / each.predicted
        say(
            f"{each.name:32}{each.predicted:9,}{share:9.0%}{cells}{each.p:11.2g}  "
            f"{each.state}"
        )


def _line(week: "Week") -> str:
    real = week.realised
    expected = week.expected or week.estimated
    columns = _cells(real.log_loss if real else None, expected.log_loss)
    columns += _cells(real.event_rate if real else None, expected.event_rate)
    columns += _cells(real.roc_auc if real else None)
    lag = "-" if week.lag_days is None else f"{week.lag_days:.1f}"
    return (
        f"{week.week:9}{week.predicted:9,}{week.coverage:9.0%}{lag:>10}  "
        f"{columns}{week.state}"
    )


def _cells(*bands: "Band | None") -> str:
    shown = (
        f"{band.value:.2f} ({band.low:.2f}-{band.high:.2f})" if band else "-"
        for band in bands
    )
    return "".join(f"{each:18}" for each in shown)
