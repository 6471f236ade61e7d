"""Metrics → the few numbers that a person asks for first."""

import itertools
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from prometheus_client import Metric
from prometheus_client.samples import Sample
from pydantic import BaseModel

from skewless.serving.metrics import REQUESTS, TIERS
from skewless.serving.state import ServiceState

QUANTILES = (0.5, 0.95, 0.99)
SERVER_ERROR = 500


class RouteStats(BaseModel):
    """How a route did since the start.

    Times are read off the histogram, so they are as exact as its buckets.
    """

    requests: int
    error_rate: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Stats(BaseModel):
    """How the service did since the start, all workers together.

    The uptime is that of the worker that was asked.
    """

    uptime_seconds: float
    routes: dict[str, RouteStats]
    predictions: dict[str, int]
    tier_shares: dict[str, float]
    counts: dict[str, int]


def sum_up(state: ServiceState) -> Stats:
    """Tell how the service is doing."""
    state.journal.flush()
    families = {family.name: family for family in state.meter.collect()}
    tiers, versions = _predictions(_samples(families, TIERS))
    total = sum(tiers.values()) or 1
    return Stats(
        uptime_seconds=time.monotonic() - state.started,
        routes=_routes(_samples(families, REQUESTS)),
        predictions=versions,
        tier_shares={tier: count / total for tier, count in tiers.items()},
        counts=_counts(families.values()),
    )


def quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float | None:
    """Read a quantile off a cumulative histogram.

    Within its bucket it lies on a straight line, as in Prometheus.

    >>> quantile(0.5, [(1.0, 0), (2.0, 10), (float("inf"), 10)])
    1.5
    """
    total = buckets[-1][1]
    if not total:
        return None
    wanted = share * total
    for (low, below), (high, count) in itertools.pairwise([(0.0, 0.0), *buckets]):
        if count >= wanted:
            if high == float("inf"):
                return low
            return low + (high - low) * (wanted - below) / (count - below)
    return None


def _samples(families: dict[str, Metric], name: str) -> list[Sample]:
    """Return a family's samples.

    Of what was never counted, several workers name not even the family.
    """
    return families[name].samples if name in families else []


def _routes(requests: Sequence[Sample]) -> dict[str, RouteStats]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    buckets: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for sample in requests:
        route = sample.labels["route"]
        if sample.name.endswith("_count"):
            counts[route][sample.labels["status"]] += int(sample.value)
        elif sample.name.endswith("_bucket"):
            buckets[route][float(sample.labels["le"])] += sample.value
    return {
        route: _route(counts[route], sorted(buckets[route].items())) for route in counts
    }


def _route(
    statuses: dict[str, int], buckets: Sequence[tuple[float, float]]
) -> RouteStats:
    total = sum(statuses.values())
    errors = sum(
        count for status, count in statuses.items() if int(status) >= SERVER_ERROR
    )
    p50, p95, p99 = (_milliseconds(share, buckets) for share in QUANTILES)
    return RouteStats(
        requests=total,
        error_rate=errors / (total or 1),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )


def _milliseconds(share: float, buckets: Sequence[tuple[float, float]]) -> float | None:
    seconds = quantile(share, buckets)
    return None if seconds is None else round(seconds * 1000, 3)


def _predictions(
    predictions: Sequence[Sample],
) -> tuple[dict[str, int], dict[str, int]]:
    tiers: dict[str, int] = defaultdict(int)
    versions: dict[str, int] = defaultdict(int)
    for sample in predictions:
        if sample.name.endswith("_total"):
            tiers[sample.labels["tier"]] += int(sample.value)
            versions[sample.labels["version"]] += int(sample.value)
    return tiers, versions


def _counts(families: Any) -> dict[str, int]:
    """Sum up what has no label to tell apart, such as the requests that were shed."""
    counts = {}
    for family in families:
        if family.type not in {"counter", "gauge"}:
            continue
        if family.name in {TIERS, "model_info"}:
            continue
        counts[family.name] = int(sum(sample.value for sample in family.samples))
    return counts
