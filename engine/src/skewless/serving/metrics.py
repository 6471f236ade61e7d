"""What happens in the service → Prometheus metrics.

They are right in total, however many workers there are. Labels are route templates,
statuses, tiers and versions: few, whatever callers send. With several workers each
writes its numbers to files that outlive it, so that nothing a killed worker counted is
lost.
"""

import os
from collections import Counter as Tally
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from skewless.core.answer import Answered, Answers

SECONDS: Final = (
    *(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
ROWS: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
REQUESTS: Final = "http_request_duration_seconds"
TIERS: Final = "model_predictions"

# Else each counter has a second line, which says when it began.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library's


class Meter:
    """The service's metrics.

    Parameters
    ----------
    shared
        The folder where several workers put their numbers; None counts in memory.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        self.others: list[Collector] = []
        """What is shown beside the own metrics."""
        self._registry = CollectorRegistry()
        own = self._registry
        self._seconds = Histogram(
            REQUESTS,
            "Time to answer",
            ["route", "status"],
            buckets=SECONDS,
            registry=own,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight",
            "Being answered",
            registry=own,
            multiprocess_mode="livesum",
        )
        self.shed = Counter(
            "http_requests_shed", "Refused because too many were waiting", registry=own
        )
        self.limited = Counter(
            "http_requests_limited", "Refused by a rate limit", registry=own
        )
        self._predictions = Counter(
            TIERS, "Predictions", ["tier", "version"], registry=own
        )
        self.fallback = Counter(
            "model_fallback_predictions", "Answered by the baseline", registry=own
        )
        self._rows = Histogram(
            "model_batch_rows", "Records in a batch", buckets=ROWS, registry=own
        )
        self._model = Gauge(
            "model_info",
            "1 for a version being served",
            ["version"],
            registry=own,
            multiprocess_mode="livemax",
        )
        self.reloads = Counter(
            "model_reloads", "Looks that met another version", ["outcome"], registry=own
        )
        self.shadow_shed = Counter(
            "shadow_rows_shed", "Rows the challenger was not asked", registry=own
        )
        self.lines_aside = Counter(
            "log_lines_aside", "Lines a file took for a database", registry=own
        )
        self.unreachable = Counter(
            "registry_unreachable",
            "Looks at a registry that could not be asked",
            registry=own,
        )
        self.lines_lost = Counter(
            "log_lines_lost", "Lines that a log did not take", ["log"], registry=own
        )
        self._request = cache(self._seconds.labels)
        self._prediction = cache(self._predictions.labels)

    def serve(self, version: str) -> None:
        """Note which version answers from now on."""
        for (other,) in list(self._model._metrics):  # noqa: SLF001 - no public list
            self._model.labels(other).set(0)
        self._model.labels(version).set(1)

    def answered(
        self, route: str, status: int, *, seconds: float, answer: Answered | None
    ) -> None:
        """Count a request that was answered."""
        self._request(route, str(status)).observe(seconds)
        if answer is None:
            return
        version = answer.source.version
        if answer.source.trained_at is None:
            self.fallback.inc(len(answer.answers))
        if len(answer.answers) == 1:
            self._prediction(answer.answers[0].tier, version).inc()
            return
        self._rows.observe(len(answer.answers))
        tiers = Answers.of(answer.answers, answer.source).tier
        for tier, count in Tally(tiers).items():
            self._prediction(tier, version).inc(count)

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of all workers together."""
        return self._source().collect()

    def render(self) -> bytes:
        """Write the metrics of all workers together in Prometheus' text format."""
        return b"".join(map(generate_latest, [self._source(), *self.others]))

    def _source(self) -> CollectorRegistry:
        if self._shared is None:
            return self._registry
        # What a killed worker was busy with is over.
        for path in self._shared.glob("gauge_live*_*.db"):
            worker = int(path.stem.rpartition("_")[2])
            if not _lives(worker):
                mark_process_dead(  # type: ignore[no-untyped-call] # the library's
                    worker, str(self._shared)
                )
        together = CollectorRegistry()
        MultiProcessCollector(  # type: ignore[no-untyped-call] # the library's
            together, str(self._shared)
        )
        return together


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):  # gone, or its number is another's
        return False
    return True
