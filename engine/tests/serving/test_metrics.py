"""What the service counted, in Prometheus' format and in /stats.

It counts over all workers, killed ones too.
"""

import math
import os
import random
import string
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from own import CONTRACT
from scraped import read
from skewless.models.predict import Predictor
from skewless.serving.metrics import Meter
from skewless.serving.stats import quantile

REQUESTS = "http_request_duration_seconds_count"
BATCH = {"customers": [CONTRACT.example()] * 7}


def crashes(_columns: Any) -> Any:
    raise RuntimeError


def ask_much(client: TestClient) -> None:
    for _ in range(3):
        client.post("/predict", json=CONTRACT.example())
    client.post("/v1/predict", json={"no_such_field": 1})
    client.post("/predict/batch", json=BATCH)
    client.get("/predict")


def test_requests_are_counted_by_route_and_status(build, connect):
    with connect(build()) as client:
        ask_much(client)
        counted = read(client.get("/metrics").text)[REQUESTS]

    expected = {
        ("/predict", "200"): 3,
        ("/predict", "422"): 1,
        ("/predict/batch", "200"): 1,
        ("/predict", "405"): 1,
    }
    assert counted == expected


def test_predictions_are_counted_by_tier_and_version_and_batches_by_rows(
    build, connect, predictor: Predictor
):
    with connect(build()) as client:
        ask_much(client)
        tier = client.post("/predict", json=CONTRACT.example()).json()["risk_tier"]
        counted = read(client.get("/metrics").text)

    assert counted["model_predictions_total"] == {(tier, predictor.version): 11}
    assert (counted["model_batch_rows_count"], counted["model_batch_rows_sum"]) == (
        {(): 1},
        {(): 7},
    )
    assert counted["model_info"] == {(predictor.version,): 1}
    assert counted["http_requests_in_flight"] == {(): 1}  # the one that asks


def test_what_was_refused_is_counted_and_nothing_was_lost(build, connect):
    with connect(build(serving={"rate_limit_anonymous": 2})) as client:
        for _ in range(5):
            client.get("/model")
        counted = read(client.get("/metrics").text)

    assert counted["http_requests_limited_total"] == {(): 3}
    assert counted["http_requests_shed_total"] == {(): 0}
    assert ("service",) in counted["log_lines_lost_total"]
    assert set(counted["log_lines_lost_total"].values()) == {0}
    assert counted["model_fallback_predictions_total"] == {(): 0}


@pytest.mark.slow
def test_a_thousand_unknown_paths_are_one_more_series(build, connect):
    letters = random.Random(7)  # noqa: S311 - paths, not secrets
    paths = {
        "".join(letters.choices(string.ascii_letters + "/.-_~", k=12))
        for _ in range(1000)
    }

    with connect(build()) as client:
        before = read(client.get("/metrics").text).get(REQUESTS, {})
        for path in paths:
            client.get(f"/{path.lstrip('/')}")
        after = read(client.get("/metrics").text)[REQUESTS]

    assert len(paths) == 1000
    assert {
        labels: count for labels, count in after.items() if labels not in before
    } == {
        ("/metrics", "200"): 1,
        ("unmatched", "404"): 1000,
    }


def test_stats_agree_with_the_metrics(build, connect):
    with connect(build(serving={"rate_limit_anonymous": 5})) as client:
        ask_much(client)
        counted, stats = read(client.get("/metrics").text), client.get("/stats").json()

    by_route: dict[str, float] = {}
    for (route, _), count in counted[REQUESTS].items():
        by_route[route] = by_route.get(route, 0) + count
    told = {route: each["requests"] for route, each in stats["routes"].items()}
    assert told == by_route | {"/metrics": 1}  # the one before it
    assert (
        stats["counts"]["http_requests_limited"]
        == counted["http_requests_limited_total"][()]
        == 1
    )
    assert (
        sum(stats["predictions"].values())
        == sum(counted["model_predictions_total"].values())
        == 10
    )
    assert sum(stats["tier_shares"].values()) == pytest.approx(1)


def test_stats_tell_of_errors_and_times_in_order(build, connect, predictor: Predictor):
    with connect(
        build(lambda: Predictor(predictor.source, CONTRACT, crashes))
    ) as client:
        client.post("/predict", json=CONTRACT.example())
        client.get("/predict")
        stats = client.get("/stats").json()["routes"]["/predict"]

    assert (stats["requests"], stats["error_rate"]) == (2, 0.5)
    assert 0 < stats["p50_ms"] <= stats["p95_ms"] <= stats["p99_ms"]


def test_stats_before_the_first_request_are_empty(build, connect):
    with connect(build()) as client:
        stats = client.get("/stats").json()

    assert (stats["routes"], stats["predictions"], stats["tier_shares"]) == ({}, {}, {})
    assert stats["uptime_seconds"] > 0


@st.composite
def histograms(draw: st.DrawFn) -> list[tuple[float, float]]:
    """Cumulative buckets, the last of which has no end."""
    ends = sorted(draw(st.sets(st.floats(0.001, 1000), min_size=1, max_size=8)))
    counts = draw(
        st.lists(st.integers(0, 1000), min_size=len(ends) + 1, max_size=len(ends) + 1)
    )
    return list(
        zip(
            [*ends, math.inf],
            [float(sum(counts[: place + 1])) for place in range(len(counts))],
            strict=True,
        )
    )


@given(
    buckets=histograms(),
    shares=st.lists(st.floats(0.001, 1), min_size=2, max_size=2).map(sorted),
)
def test_a_quantile_lies_in_its_bucket_and_rises_with_the_share(
    buckets: list[tuple[float, float]], shares: list[float]
):
    found = [quantile(share, buckets) for share in shares]

    total = buckets[-1][1]
    if not total:
        assert found == [None, None]
        return
    low, high = found
    assert low <= high
    for share, value in zip(shares, found, strict=True):
        place = next(
            place for place, (_, count) in enumerate(buckets) if count >= share * total
        )
        assert (
            (buckets[place - 1][0] if place else 0)
            <= value
            <= buckets[place][0] * (1 + 1e-12)
        )


def test_what_a_worker_was_busy_with_is_over_even_if_another_has_its_number(
    tmp_path: Path, monkeypatch
):
    def refuses(_process: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuses)
    (tmp_path / "gauge_livesum_1.db").touch()

    text = Meter(tmp_path).render()

    assert (text, list(tmp_path.iterdir())) == (b"", [])
