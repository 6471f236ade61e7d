"""Let a candidate answer the requests that production logged.

This tells how many decisions would change.
"""

import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd

from skewless.core.sections import GateConfig, Privacy
from skewless.lifecycle.gate import Replayed, check_replay
from skewless.models.predict import GOLDEN_TOLERANCE, Predictor
from skewless.monitoring.place import Log, Window
from skewless.monitoring.views import condition_sql, open_views
from skewless.registry.events import Check
from skewless.tables.faults import find_faults
from skewless.tables.table import typed

TIMED_REQUESTS = 200
DAYS_BACK: Final = (1, 7, 60, None)
"""How far the log is read, until there are enough requests; None is all of it."""
OTHERWISE: Final = (
    "the log does not hold what was asked, as production answers it otherwise now; "
    "was monitoring.privacy changed since? "
    "Wait for gate.replay_requests new requests"
)


def replay(
    log: Log | None,
    candidate: Predictor,
    production: Predictor,
    *,
    privacy: Mapping[str, Privacy],
    gate: GateConfig,
) -> Check:
    """Repeat the last `gate.replay_requests` that production answered.

    Parameters
    ----------
    log
        Where predictions are kept; None if nowhere.
    candidate, production
        The two versions, of one contract.
    privacy
        What the log hides; a hidden column makes a repetition impossible.
    gate
        The section of config.yaml.

    Returns
    -------
    Check
        Missing if there is nothing to repeat.
    """
    contract = production.contract
    hidden = sorted(
        name for name, way in privacy.items() if way != "keep" and name != contract.id
    )
    if hidden:
        return _missing(
            f"monitoring.privacy hides {', '.join(hidden)}, "
            "so no request can be repeated"
        )
    if log is None:
        return _missing("there is no prediction log, so no request can be repeated")
    answers, records = _last(log, production, gate.replay_requests)
    if len(answers) < gate.replay_requests:
        found = (
            f"the log here holds {len(answers):,} records "
            f"that {production.version} was asked about"
        )
        wanted = (
            f"gate.replay_requests asks for {gate.replay_requests:,}, "
            "a row of a batch being one"
        )
        return _missing(
            f"{found}; {wanted}. Let production answer so many, or lower it"
        )
    before = answers["probability"].to_numpy()
    if not _comes_out_again(records, before, production):
        return _missing(OTHERWISE)
    records = typed(records, contract)
    after = candidate.probabilities(records)
    arrays = {
        column.name: records[column.name].to_numpy() for column in contract.columns
    }
    candidate_took = _median_seconds(candidate, arrays)
    production_took = _median_seconds(production, arrays)
    replayed = Replayed(
        prediction_ids=answers["prediction_id"].tolist(),
        production=before,
        candidate=after,
        flipped=(after >= candidate.threshold) != answers["decision"].to_numpy(),
        latency_ratio=candidate_took / production_took,
    )
    return check_replay(
        replayed,
        max_flip_share=gate.max_flip_share,
        max_psi=gate.max_psi,
        max_latency_ratio=gate.max_latency_ratio,
    )


def _last(
    log: Log, production: Predictor, count: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read no further back than it takes to have N requests, answers and records."""
    now = datetime.now(UTC)
    for days in DAYS_BACK:
        since = None if days is None else now - timedelta(days=days)
        window = Window(since, version=production.version)
        with open_views(log, production.contract, window) as views:
            found = views.table(
                f"FROM predictions WHERE {condition_sql(window)} "
                f"ORDER BY time DESC, prediction_id LIMIT {count}"
            )
            if len(found) == count or days is None:
                break
    records = pd.DataFrame(found.pop("record").tolist())
    return found, records


def _comes_out_again(
    records: pd.DataFrame, answers: np.ndarray, production: Predictor
) -> bool:
    """Tell whether these are the records that production answered.

    Production is asked again to find out.
    """
    if len(find_faults(records, production.contract)):
        return False
    again = production.probabilities(typed(records, production.contract))
    return bool(np.abs(again - answers).max() <= GOLDEN_TOLERANCE)


def _missing(said: str) -> Check:
    return Check(name="replay", passed=None, said=said)


def _median_seconds(predictor: Predictor, records: Mapping[str, np.ndarray]) -> float:
    """Time single requests, one after the other."""
    times = []
    column, *_ = records.values()  # one is as long as another
    for row in range(min(TIMED_REQUESTS, len(column))):
        one = {name: values[row : row + 1] for name, values in records.items()}
        started = time.perf_counter()
        predictor.probabilities(one)
        times.append(time.perf_counter() - started)
    return statistics.median(times)
