"""A predictor that raises, hangs or answers nonsense harms nobody else.

Nor does a clock that jumps.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from churn_service.schema import Customer
from fields import movable, two_records
from own import CONTRACT
from skewless.core.arrays import as_scalars
from skewless.models.predict import Predictor
from skewless.serving.micro_batch import MicroBatch
from skewless.serving.model import INLINE_ROWS

pytestmark = pytest.mark.fault

ONE, OTHER = (Customer(**record) for record in two_records())
DIFFERENT = movable().name  # the field in which they differ


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), 2.0, -0.1])
@pytest.mark.parametrize("rows", [1, 3, INLINE_ROWS + 1])
@pytest.mark.slow
def test_an_answer_that_is_no_probability_is_a_500_and_the_next_request_works(
    build, connect, predictor: Predictor, nonsense: float, rows: int
):
    broken = [True]

    def probabilities(customers: Any) -> np.ndarray:
        found = np.atleast_1d(predictor.probabilities(customers)).astype(float)
        return (
            np.where(np.arange(len(found)) == len(found) - 1, nonsense, found)
            if broken
            else found
        )

    path, body = (
        ("/predict", CONTRACT.example())
        if rows == 1
        else ("/predict/batch", {"customers": [CONTRACT.example()] * rows})
    )
    with connect(
        build(lambda: Predictor(predictor.source, CONTRACT, probabilities))
    ) as client:
        first = client.post(path, json=body)
        broken.clear()
        second = client.post(path, json=body)

    assert (first.status_code, first.headers["content-type"]) == (
        500,
        "application/problem+json",
    )
    assert first.json()["detail"] == "the service failed to answer"
    assert first.json()["errors"] == []
    assert second.status_code == 200


class Picky:
    """Probabilities that one value in a batch spoils for everybody who is in it."""

    def __init__(self, spoils: Any, fault: Callable[[np.ndarray], np.ndarray]) -> None:
        self.spoils, self.fault = spoils, fault
        self.sizes: list[int] = []

    def __call__(self, customers: Any) -> np.ndarray:
        values = np.atleast_1d(customers[DIFFERENT])
        self.sizes.append(len(values))
        found = np.full(len(values), 0.25)
        return self.fault(found) if (values == self.spoils).any() else found


FAULTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "raises": lambda found: found / int(found.sum() * 0),
    "no number": lambda found: found * float("nan"),
    "too few": lambda found: found[:-1],
    "too many": lambda found: np.append(found, 0.5),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_of_those_answered_together_only_the_one_who_spoils_it_fails(
    predictor: Predictor, fault
):
    picky = Picky(as_scalars(OTHER, CONTRACT)[DIFFERENT], fault)
    shared = Predictor(predictor.source, CONTRACT, picky)

    async def play() -> list[Any]:
        together = MicroBatch()
        async with asyncio.timeout(20):
            calls = [
                together.predict(shared, record) for record in (ONE, OTHER, ONE, ONE)
            ]
            return await asyncio.gather(*calls, return_exceptions=True)

    good, bad, *others = asyncio.run(play())

    assert [found.probability for found in (good, *others)] == [0.25] * 3
    assert isinstance(bad, Exception)
    assert picky.sizes == [4, 1, 1, 1, 1]


def test_who_leaves_while_answered_together_takes_nobody_along(predictor: Predictor):
    async def play() -> list[Any]:
        together = MicroBatch()
        calls = [
            asyncio.create_task(together.predict(predictor, ONE)) for _ in range(3)
        ]
        await asyncio.sleep(0)
        calls[1].cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    first, left, last = asyncio.run(play())

    assert isinstance(left, asyncio.CancelledError)
    assert first == last == predictor.predict([ONE])[0]


def test_when_the_model_changes_each_is_answered_by_the_one_it_asked(
    predictor: Predictor,
):
    one, other = (
        Predictor(
            predictor.source,
            CONTRACT,
            lambda customers, share=share: np.full(len(customers[DIFFERENT]), share),
        )
        for share in (0.25, 0.75)
    )

    async def play() -> list[Any]:
        together = MicroBatch()
        return await asyncio.gather(
            *(together.predict(each, ONE) for each in (one, other) * 2)
        )

    assert [found.probability for found in asyncio.run(play())] == [0.25, 0.75] * 2


@pytest.mark.slow
def test_a_large_batch_that_hangs_is_a_503_while_health_is_answered(
    build, connect, predictor: Predictor
):
    hangs, release, calls = threading.Event(), threading.Event(), []

    def probabilities(customers: Any) -> np.ndarray:
        calls.append(1)
        hangs.set()
        release.wait()
        return predictor.probabilities(customers)

    body = {"customers": [CONTRACT.example()] * (INLINE_ROWS + 1)}
    service = build(
        lambda: Predictor(predictor.source, CONTRACT, probabilities),
        serving={"deadline_seconds": 1.0},
    )
    with connect(service) as client, ThreadPoolExecutor() as threads:
        slow = threads.submit(client.post, "/predict/batch", json=body)
        assert hangs.wait(20)
        health = client.get("/health")
        answered_in_between = not slow.done()
        answer = slow.result(20)
        release.set()
        after = client.post("/predict/batch", json=body)

    assert (health.status_code, answered_in_between) == (200, True)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    # the one that hung was not tried twice
    assert (after.status_code, len(calls)) == (200, 2)


HOUR = 60 * 60


@pytest.mark.parametrize("jump", [-HOUR, 24 * HOUR], ids=["an hour back", "a day on"])
def test_a_clock_that_jumps_changes_no_limit_and_loses_no_line(
    build, connect, tmp_path, monkeypatch, jump: int
):
    service = build(serving={"rate_limit_anonymous": 4}, root=tmp_path)
    real = time.time
    with connect(service) as client:
        before = [
            client.post("/predict", json=CONTRACT.example()).status_code
            for _ in range(3)
        ]
        client.get("/metrics")  # what was asked so far is handed to the log
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        after = [
            client.post("/predict", json=CONTRACT.example()).status_code
            for _ in range(3)
        ]

    assert (before, after) == ([200] * 3, [200, 429, 429])
    paths = sorted((tmp_path / "predictions").iterdir())
    assert sum(path.read_bytes().count(b"\n") for path in paths) == 4
    assert len({path.name[:10] for path in paths}) >= (2 if jump > 0 else 1)
