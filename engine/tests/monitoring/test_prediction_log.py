"""Every answer is one line of the prediction log, in the right file.

It tells no more than it may.
"""

import contextlib
import json
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from churn_service.schema import Customer
from conftest import ROOT, make_project
from fields import NUMBERS, field, fields
from own import CONTRACT, ID, PROJECT, neutral, service_of
from remembered import in_rows
from skewless.core import background
from skewless.core.answer import Answer, Answered
from skewless.core.config_file import load_config
from skewless.core.contract import Column
from skewless.core.errors import ConfigError
from skewless.core.sections import MonitoringConfig
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.models.predict import Predictor, load_predictor
from skewless.monitoring import line_log
from skewless.monitoring.line_log import LineLog
from skewless.monitoring.prediction_log import PredictionLog, bucket
from skewless.serving.follow import Models
from skewless.serving.journal import Note
from steady import configure, until

FIELDS = ["time", "request_id", "source", "threshold", "latency_ms", "record", "answer"]
FIELDS_OF_BATCH = [*FIELDS[:-2], "records", "answers"]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
DAY = 24 * 60 * 60  # seconds
KEY = SecretStr("k" * 32)


@pytest.fixture(scope="session")
def predictor(version: Path) -> Predictor:
    return load_predictor(version, PROJECT)


def monitoring(**values: Any) -> MonitoringConfig:
    known = {
        "prediction_log": "predictions",
        "flush_seconds": 0.01,
        "privacy": {},
        "outcome_days": 90,
    }
    return MonitoringConfig.model_validate(known | values)


def lines(folder: Path) -> list[dict]:
    """Parse every line, file after file."""
    paths = sorted(folder.rglob("*.jsonl"))
    return [
        json.loads(line)
        for path in paths
        for line in path.read_bytes().split(b"\n")[:-1]
    ]


class Log:
    """A log on its own, and what it said was lost."""

    def __init__(
        self,
        root: Path,
        predictor: Predictor,
        *,
        key: SecretStr | None = None,
        **values: Any,
    ) -> None:
        self.root, self._predictor = root, predictor
        self.lost: list[int] = []
        self.warnings: list[dict] = []
        report = (self.lost.append, lambda _event, **facts: self.warnings.append(facts))
        section = monitoring(**values)
        lines = LineLog(root / section.prediction_log, section.flush_seconds, report)
        self._log = PredictionLog(
            lines, section.privacy, Settings(_env_file=None, hash_key=key)
        )

    def add(self, *customers: Customer, moment: float = NOON) -> None:
        source = self._predictor.source
        model = source.version, source.trained_at
        found = [
            Answer(0.5, True, "HIGH", *model, "i")  # noqa: FBT003 - as in answer.py
            for _ in customers
        ]
        note = Note(moment, "r", "POST", "/predict", 200, 0.1, None, {}, None)
        self._log.observe(note, Answered(customers, found, source, 1.5))

    def close(self) -> list[dict]:
        self._log.close()
        return in_rows(lines(self.root))


@pytest.fixture
def log(tmp_path: Path, predictor: Predictor) -> Callable[..., Log]:
    return lambda **values: Log(tmp_path, predictor, **values)


@contextlib.contextmanager
def serve(root: Path, predictor: Predictor) -> Iterator[TestClient]:
    config, settings = (
        load_config(ROOT / "config.yaml", PROJECT),
        Settings(_env_file=None),
    )
    models = Models(lambda: predictor, lambda: None, lambda _: predictor, str)
    service = service_of(models, Workspace(PROJECT, config, root, settings))
    with TestClient(
        service.app, "http://127.0.0.1", client=("127.0.0.1", 50_000)
    ) as client:
        yield client


def asked(**values: Any) -> Customer:
    return Customer(**CONTRACT.example() | values)


def recorded(payload: dict[str, Any]) -> dict[str, Any]:
    return Customer(**payload).model_dump(mode="json")


def test_every_answer_is_in_a_line_with_what_was_asked_and_what_went_over_the_wire(
    tmp_path: Path, predictor: Predictor
):
    asked = [CONTRACT.example() | {ID: f"c-{number}"} for number in range(150)]
    with serve(tmp_path, predictor) as client:
        named = {"X-Request-ID": "alone"}
        alone = [
            client.post("/predict", json=each, headers=named).json()
            for each in asked[:20]
        ]
        batch = client.post("/v1/predict/batch", json={"customers": asked}).json()[
            "predictions"
        ]
        client.post("/predict", json={"no_such_field": 1})
        client.get("/model")

    # a batch is written before what waits
    written = sorted(lines(tmp_path), key=itemgetter("time"))
    found = in_rows(written)

    assert [list(line) for line in written] == [FIELDS] * 20 + [FIELDS_OF_BATCH]
    assert [line["answer"] for line in found] == [
        neutral(answer) for answer in alone + batch
    ]
    assert [line["record"] for line in found] == [
        recorded(each) for each in asked[:20] + asked
    ]
    assert [line["source"] for line in found] == ["/predict"] * 20 + [
        "/predict/batch"
    ] * 150
    assert {line["request_id"] for line in found[:20]} == {"alone"}
    assert len({line["request_id"] for line in found[20:]}) == 1
    assert {line["threshold"] for line in found} == {predictor.threshold}
    assert all(line["latency_ms"] > 0 for line in found)
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in found)


def test_a_batch_is_lines_of_at_most_a_thousand_rows(log, tmp_path: Path):
    own = log()
    own.add(*[asked()] * 2_500)

    rows = own.close()

    counts = [len(line["answers"]["decision"]) for line in lines(tmp_path)]
    assert (counts, len(rows)) == ([1_000, 1_000, 500], 2_500)


def test_a_line_says_which_columns_it_does_not_hold_as_they_were(log):
    column, other = CONTRACT.columns[:2]
    own = log(privacy={column.name: "drop", other.name: "keep", ID: "hash"}, key=KEY)
    plain = log()
    for each in (own, plain):
        each.add(asked())
        each.add(asked(), asked())
    own.close()

    said = [line.get("privacy") for line in plain.close()]

    assert said.count({column.name: "drop", ID: "hash"}) == 3
    assert said.count(None) == 3


def test_an_answer_by_a_named_version_is_a_line_whose_source_is_the_template(
    tmp_path: Path, predictor: Predictor
):
    with serve(tmp_path, predictor) as client:
        answers = [
            client.post(f"/models/{name}/predict", json=CONTRACT.example())
            for name in (predictor.version, "x")
        ]

    (line,) = lines(tmp_path)
    assert [answer.status_code for answer in answers] == [200, 404]
    assert (line["source"], line["answer"]) == (
        "/models/{name}/predict",
        neutral(answers[0].json()),
    )


def test_each_process_and_day_has_a_file_that_only_its_owner_can_read(
    log, tmp_path: Path
):
    days = [NOON, NOON, NOON + DAY, NOON - 1]
    for each in (log(), log()):
        for moment in days:
            each.add(asked(), moment=moment)
        each.close()

    paths = sorted((tmp_path / "predictions").iterdir())
    assert [path.name[:10] for path in paths] == ["2026-03-01"] * 2 + ["2026-03-02"] * 2
    assert [path.read_bytes().count(b"\n") for path in paths] == [3, 3, 1, 1]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    assert stat.S_IMODE((tmp_path / "predictions").stat().st_mode) == 0o700


def test_a_large_file_is_followed_by_the_next_part(log, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(line_log, "MOST_BYTES", 1)
    monkeypatch.setattr(background, "SLICE", 1)
    own = log()
    for _ in range(3):
        own.add(asked())

    found = own.close()

    parts = sorted(path.suffixes[-2] for path in (tmp_path / "predictions").iterdir())
    assert (parts, len(found)) == ([".000", ".001", ".002"], 3)


def test_a_line_that_was_cut_short_is_ended_before_the_next(log, tmp_path: Path):
    own = log()
    own.add(asked())
    until(lambda: lines(tmp_path), "the first line is written")
    (path,) = (tmp_path / "predictions").iterdir()
    with path.open("ab") as file:
        file.write(b'{"time":"2026-03')
    own.add(asked())
    own._log.close()  # noqa: SLF001 - close() would parse the torn line

    first, torn, last = path.read_bytes().splitlines()
    assert json.loads(first) == json.loads(last)
    assert torn == b'{"time":"2026-03'
    assert own.lost == []


def test_more_than_may_wait_for_a_disk_is_lost_counted_and_said_once(log, monkeypatch):
    monkeypatch.setattr(line_log, "MOST_WAITING", 2)
    own = log(flush_seconds=60)
    for _ in range(3):
        own.add(asked(), asked())

    own.close()

    assert sum(own.lost) == 4
    assert [warning["rows"] for warning in own.warnings] == [2]


def test_a_folder_that_cannot_be_made_loses_lines_that_are_counted_with_one_warning(
    log, tmp_path: Path
):
    (tmp_path / "predictions").write_text("a file")
    own = log()
    for _ in range(5):
        own.add(asked(), asked())

    own.close()

    assert sum(own.lost) == 10
    assert len(own.warnings) == 1
    assert own.warnings[0]["reason"]


@pytest.mark.parametrize("column", CONTRACT.columns, ids=lambda column: column.name)
def test_a_column_is_kept_dropped_or_hashed_as_configured(log, column: Column):
    plain = asked().model_dump(mode="json")
    rest = {name: value for name, value in plain.items() if name != column.name}

    kept, dropped, hashed = (
        log(privacy={column.name: way}, key=KEY) for way in ("keep", "drop", "hash")
    )
    found = []
    for each in (kept, dropped, hashed):
        each.add(asked())
        found.append(each.close()[-1]["record"])
        shutil.rmtree(each.root / "predictions")

    assert found[:2] == [plain, rest]
    assert {
        name: value for name, value in found[2].items() if name != column.name
    } == rest
    assert (
        re.fullmatch("[0-9a-f]{32}", str(found[2][column.name]))
        or plain[column.name] is None
    )


def test_a_hash_depends_on_value_and_key_alone_and_missing_stays_missing(
    log, tmp_path: Path
):
    keys = [KEY, KEY, SecretStr("o" * 32)]
    optional = [column.name for column in fields(nullable=True)]
    empty = dict.fromkeys([ID, *optional])
    names = dict.fromkeys(empty, "hash")
    customers = [asked(**{ID: value}) for value in "aab"] + [asked(**empty)]
    found = []
    for key in keys:
        own = log(privacy=names, key=key)
        own.add(*customers)
        found.append([line["record"] for line in own.close()])
        shutil.rmtree(tmp_path / "predictions")

    (one, same, different, missing), again, otherwise = found
    assert one == same != different
    assert found[0] == again
    assert one[ID] != otherwise[0][ID]
    assert missing.items() >= empty.items()


def test_to_hash_a_column_needs_a_key(log):
    with pytest.raises(ConfigError, match="SKEWLESS_HASH_KEY"):
        log(privacy={ID: "hash"})


@pytest.mark.parametrize("column", fields(*NUMBERS), ids=lambda column: column.name)
def test_a_bucket_keeps_one_digit_of_whatever_the_contract_allows(log, column: Column):
    low, high = column.bounds
    tiny = [5e-324, 2.2e-308] if column.kind == "number" and low <= 0 else []
    values = [low, high, (low + high) / 3, *tiny]
    kind = int if column.kind == "integer" else float
    own = log(privacy={column.name: "bucket"})

    own.add(*(asked(**{column.name: kind(value)}) for value in values))
    found = [line["record"][column.name] for line in own.close()]

    assert found == [bucket(kind(value)) for value in values]
    assert all(
        len(f"{value:e}".partition("e")[0].strip("-0.").replace(".", "")) <= 1
        for value in found
    )
    assert all(small <= value for small, value in zip(found, values, strict=True))


def test_a_bucket_of_a_category_is_a_configuration_error_that_names_it(tmp_path: Path):
    column = field("category", "boolean")

    folder = configure(
        make_project(tmp_path), "monitoring", privacy={column.name: "bucket"}
    )

    with pytest.raises(ConfigError, match=f"{column.name} is no number"):
        load_config(folder / "config.yaml", PROJECT)
