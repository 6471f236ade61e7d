"""A batch sent as columns is the batch sent as records: answers, faults, log."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, PlainSerializer, TypeAdapter, computed_field

from churn_service.api import BatchColumns, BatchPrediction, BatchRequest, to_response
from churn_service.project import project
from churn_service.schema import Customer
from fields import wrong
from own import CONTRACT, ID, fresh_app
from skewless.core.record_columns import MOST_FAULTS
from skewless.core.workspace import Workspace, open_workspace
from skewless.serving import TO_COLUMNS, Model
from skewless.testing import connect as connect_app
from skewless.testing import payloads

ROWS = 6  # in a generated batch, at most
SMALL = {"max_batch_rows": 1_000, "max_body_bytes": 1_000_000}
QUIET = {"log_level": "warning"}
NAMES = [CONTRACT.id, *(column.name for column in CONTRACT.columns)]
DIGITS = "five thousand digits"  # stands for a number that json does not write
HOSTILE = [
    None,
    True,
    False,
    0,
    4.0,
    12.5,
    -0.0,
    1e400,
    float("nan"),
    10**400,
    DIGITS,
    "4",
    "",
    "\ud800",
    "\x00",
    "x" * 65,
    [],
    [1],
    {},
    {"a": 1},
]
Columns = dict[str, list[Any]]


@st.composite
def batches(draw: st.DrawFn) -> Columns:
    """Columns that are right, or wrong in cells, missing or unknown."""
    rows = draw(st.lists(payloads(CONTRACT), min_size=1, max_size=ROWS))
    columns = {name: [row.get(name) for row in rows] for name in NAMES}
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        name = draw(st.sampled_from(NAMES))
        row = draw(st.integers(0, len(rows) - 1))
        columns[name][row] = draw(st.sampled_from(HOSTILE))
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=1)):
        if draw(st.booleans()):
            del columns[name]
    if draw(st.integers(0, 5)) == 0:
        columns[draw(st.sampled_from(["unknown", "", "é", "\ud800"]))] = [1] * len(rows)
    return columns


def as_rows(columns: Columns) -> list[dict[str, Any]]:
    """Turn columns into records."""
    cells = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in cells]


def written(document: Any, *, repeated: str | None = None) -> bytes:
    """Write JSON as a caller may; an object may have a field twice, first wrongly."""
    text = json.dumps(document).replace(f'"{DIGITS}"', "9" * 5_000)
    if repeated is not None:
        name = json.dumps(repeated)
        text = text.replace(f"{{{name}: ", f"{{{name}: {{}}, {name}: ")
    return text.encode("utf-8", "surrogatepass")


@dataclass
class Forms:
    """Asks for the same batch in both forms."""

    client: TestClient
    asked: int = 0

    def ask(self, form: str, document: Any, repeated: str | None = None) -> Any:
        return self.client.post(
            "/predict/batch",
            content=written({form: document}, repeated=repeated),
            headers={
                "content-type": "application/json",
                "x-request-id": f"{form}-{self.asked}",
            },
        )

    def ask_both(self, columns: Columns, *, repeated: bool = False) -> tuple[Any, Any]:
        self.asked += 1
        first = next(iter(columns)) if repeated else None
        return (
            self.ask("customers", as_rows(columns), first),
            self.ask("columns", columns, first),
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("columns")


@pytest.fixture(scope="module")
def forms(build, connect, folder: Path) -> Iterator[Forms]:
    with connect(build(serving=SMALL, environment=QUIET, root=folder)) as client:
        yield Forms(client)


Fault = tuple[str, int, str, str]


def faults_of_rows(answer: Any) -> set[Fault]:
    """Return each fault as field, row, rule and message."""
    found = set()
    for fault in answer.json()["errors"]:
        _, row, *names = fault["field"].split(".")
        found.add((".".join(names), int(row), fault["rule"], fault["message"]))
    return found


def faults_of_columns(answer: Any, rows: int) -> set[Fault]:
    """Return the same; a fault of a whole column is one of each of its cells."""
    found = set()
    for fault in answer.json()["errors"]:
        _, *names = fault["field"].split(".")
        is_cell = bool(names) and names[-1].isdigit()
        *name, row = names if is_cell else [*names, None]
        for each in range(rows) if row is None else [int(row)]:
            found.add((".".join(name), each, fault["rule"], fault["message"]))
    return found


def without_ids(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: cells for name, cells in columns.items() if name != "prediction_id"}


def check(forms: Forms, columns: Columns, *, repeated: bool = False) -> int:
    by_rows, by_columns = forms.ask_both(columns, repeated=repeated)

    assert by_columns.status_code == by_rows.status_code, by_columns.text
    if by_rows.status_code == 200:
        rows, answer = by_rows.json()["predictions"], by_columns.json()
        said = {name: [row[name] for row in rows] for name in rows[0]}
        assert without_ids(answer["predictions"]) == without_ids(said)
        assert answer["batch_size"] == len(rows)
    else:
        count = len(next(iter(columns.values())))
        assert faults_of_columns(by_columns, count) == faults_of_rows(by_rows)
    return by_rows.status_code


def compare(forms: Forms, examples: int | None = None) -> dict[int, int]:
    seen: dict[int, int] = {}

    @given(columns=batches(), repeated=st.booleans())
    @example(columns={n: [v] * 2 for n, v in CONTRACT.example().items()}, repeated=True)
    def compared(columns: Columns, *, repeated: bool) -> None:
        status = check(forms, columns, repeated=repeated)
        seen[status] = seen.get(status, 0) + 1

    if examples is not None:
        compared = settings(
            max_examples=examples,
            suppress_health_check=list(HealthCheck),
            database=None,
        )(compared)
    compared()
    return seen


def test_both_forms_get_the_same_answers_and_the_same_faults(forms: Forms):
    assert compare(forms).keys() == {200, 422}


@pytest.mark.slow
def test_both_forms_get_the_same_thousands_of_times(forms: Forms):
    seen = compare(forms, 2_000)

    assert min(seen[200], seen[422]) > 200


def test_both_forms_are_logged_in_the_same_bytes(build, connect, tmp_path: Path):
    examples: list[Columns] = []

    with connect(build(environment=QUIET, root=tmp_path)) as client:
        forms = Forms(client)

        @settings(max_examples=20)
        @given(columns=batches())
        def ask(columns: Columns) -> None:
            if forms.ask_both(columns)[0].status_code == 200:
                examples.append(columns)

        ask()
        many = {name: [value] * 150 for name, value in CONTRACT.example().items()}
        forms.ask_both(many)
    (file,) = (tmp_path / "predictions").glob("*.jsonl")
    logged: dict[str, list[bytes]] = {}
    for line in file.read_bytes().splitlines():
        said = json.loads(line)
        _, _, number = said["request_id"].partition("-")
        told = said.pop("answer", None) or said.pop("answers")
        del told["prediction_id"], said["request_id"], said["time"], said["latency_ms"]
        logged.setdefault(number, []).append(json.dumps([said, told]).encode())

    assert len(logged) == len(examples) + 1
    assert all(len(pair) == 2 and pair[0] == pair[1] for pair in logged.values())


def test_one_bad_cell_in_a_thousand_rows_is_named(forms: Forms):
    column = CONTRACT.columns[0]
    columns = {name: [value] * 1_000 for name, value in CONTRACT.example().items()}
    columns[column.name][777] = wrong(column)

    assert check(forms, columns) == 422
    (fault,) = forms.ask("columns", columns).json()["errors"]
    assert fault["field"] == f"columns.{column.name}.777"


def test_as_many_faults_are_named_as_of_records_and_the_same(forms: Forms):
    columns = {name: [[]] * 200 for name in NAMES}

    by_rows, by_columns = forms.ask_both(columns)

    assert len(by_columns.json()["errors"]) == MOST_FAULTS
    assert faults_of_columns(by_columns, 200) == faults_of_rows(by_rows)


FEW = {name: [value] * 3 for name, value in CONTRACT.example().items()}
FIRST = CONTRACT.columns[0].name


@pytest.mark.parametrize(
    ("document", "field", "rule"),
    [
        ([FEW], "columns", "model_type"),
        (None, "columns", "model_type"),
        ({name: [] for name in FEW}, "columns", "too_short"),
        (FEW | {FIRST: FEW[FIRST][:2]}, f"columns.{FIRST}", "row_count"),
        (FEW | {FIRST: []}, f"columns.{FIRST}", "row_count"),
        (FEW | {FIRST: FEW[FIRST][0]}, f"columns.{FIRST}", "list_type"),
        (FEW | {FIRST: {"0": 1}}, f"columns.{FIRST}", "list_type"),
        (FEW | {"unknown": 1}, "columns.unknown", "extra_forbidden"),
    ],
)
def test_columns_of_another_shape_are_refused(
    forms: Forms, document: Any, field: str, rule: str
):
    answer = forms.ask("columns", document)

    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["field"], fault["rule"]) == (422, field, rule)


@pytest.mark.parametrize(
    "body", [{}, {"columns": FEW, "customers": as_rows(FEW)}, {"columns": {}}]
)
def test_a_batch_has_exactly_one_form(forms: Forms, body: Any):
    assert forms.client.post("/predict/batch", json=body).status_code == 422


def test_numbers_that_pandas_wrote_as_floats_are_those_numbers(forms: Forms):
    floats = {
        name: [float(cell) if type(cell) is int else cell for cell in cells]
        for name, cells in FEW.items()
    }

    plain, as_floats = forms.ask("columns", FEW), forms.ask("columns", floats)

    assert without_ids(as_floats.json()["predictions"]) == without_ids(
        plain.json()["predictions"]
    )


@pytest.mark.parametrize("column", [FIRST, "unknown"])
def test_too_many_rows_are_refused_before_a_column_is_looked_at(
    forms: Forms, column: str
):
    answer = forms.ask("columns", {column: [[]] * (SMALL["max_batch_rows"] + 1)})

    assert (answer.status_code, answer.json()["errors"]) == (413, [])


def test_too_many_columns_are_refused(forms: Forms):
    many = {f"x{number}": [1] for number in range(1_000)}

    assert forms.ask("columns", FEW | many).status_code == 413


def test_a_body_too_large_is_refused(forms: Forms):
    answer = forms.ask("columns", {FIRST: [1] * SMALL["max_body_bytes"]})

    assert answer.status_code == 413


@pytest.mark.parametrize("rows", [1, 2, 65, 130])
def test_a_batch_costs_a_limited_caller_its_rows(build, connect, rows: int):
    limits = {
        "rate_limit_anonymous": 1_000,
        "rate_limit_by": "row",
        "max_batch_rows": 1_000,
    }
    columns = {name: [value] * rows for name, value in CONTRACT.example().items()}

    with connect(build(serving=limits, environment=QUIET)) as client:
        Forms(client).ask("columns", columns)
        answer = client.get("/model")

    assert f"r={1_000 - rows - 1};" in answer.headers["ratelimit"]


def test_the_records_can_be_asked_for_as_of_any_request(forms: Forms):
    assert forms.ask("columns", FEW).status_code == 200

    by_columns = BatchRequest.model_validate({"columns": FEW}).columns
    by_rows = BatchRequest.model_validate({"customers": as_rows(FEW)}).customers

    expected = [Customer(**row) for row in as_rows(FEW)]
    assert list(by_columns) == list(by_rows) == expected
    assert [by_columns[1], *by_columns[1:]] == [expected[1], *expected[1:]]


def test_the_documented_example_is_answered(forms: Forms):
    document = forms.client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    shown = schemas["BatchRequest"]["properties"]["columns"]["examples"][0]
    answer = schemas["BatchColumns"]["properties"]["predictions"]

    given_back = forms.ask("columns", shown).json()

    assert shown.keys() == CONTRACT.example().keys()
    assert answer["properties"].keys() == given_back["predictions"].keys()
    assert answer["properties"]["churn_probability"]["items"]["type"] == "number"


# What an owner declares.


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Workspace:
    """Return the trained project's settings in a copy, which may be logged to."""
    folder = Path(shutil.copytree(trained, tmp_path / "own"))
    return open_workspace(project, folder / "config.yaml")


def test_what_an_owner_declares_on_a_row_holds_in_both_forms(own: Workspace):
    class Advised(BaseModel):
        probability: Annotated[float, PlainSerializer(lambda p: f"{p:.0%}")]
        tier: Annotated[str, Field(serialization_alias="risk")]
        note: str | None = None

        @computed_field
        @property
        def advice(self) -> str:
            return "call" if self.tier == "HIGH" else "wait"

    class Rows(BaseModel):
        predictions: list[Advised]

    class Lists(Rows):
        predictions: Annotated[list[Advised], TO_COLUMNS]

    app = fresh_app()
    declared = partial(app.post, response_model_exclude_none=True)

    @declared("/advice", response_model=Lists | Rows)
    async def advise(batch: BatchRequest, model: Model) -> Any:
        answers = await model.predict_batch(batch.customers or batch.columns)
        form = Rows if batch.customers else Lists
        return form(
            predictions=[
                Advised(probability=each.probability, tier=each.tier)
                for each in answers
            ]
        )

    with connect_app(app, own) as client:
        rows = client.post("/advice", json={"customers": as_rows(FEW)}).json()
        lists = client.post("/advice", json={"columns": FEW}).json()

    said = rows["predictions"]
    assert said[0].keys() == {"probability", "risk", "advice"}
    assert lists["predictions"] == {n: [row[n] for row in said] for n in said[0]}


def test_a_dependency_that_an_owner_declares_holds_for_both_forms(own: Workspace):
    def deny() -> None:
        raise HTTPException(403, "denied")

    app = fresh_app()

    @app.post("/own", dependencies=[Depends(deny)])
    async def count(batch: BatchRequest, model: Model) -> int:
        return len(await model.predict_batch(batch.columns))

    with connect_app(app, own) as client:
        answer = client.post("/own", json={"columns": FEW})

    assert answer.status_code == 403


@dataclass
class Plain:
    size: float
    name: Annotated[str | None, Field(description="Its name")] = None


@dataclass
class Renamed:
    size: Annotated[float, Field(serialization_alias="s")]
    name: str


@dataclass
class Rounded:
    size: Annotated[float, PlainSerializer(round)]
    name: str


@dataclass
class Hidden:
    size: float
    name: Annotated[str, Field(exclude=True)] = "secret"


@dataclass
class Defaulted:
    size: float
    name: str = Field(default="x", serialization_alias="n")


@pytest.mark.parametrize("row", [Plain, Renamed, Rounded, Hidden, Defaulted])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"by_alias": True},
        {"exclude_defaults": True},
        {"exclude_none": True},
        {"exclude": {"__all__": {"size"}}},
        {"include": {"__all__": {"size"}}},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["json", "python"])
def test_rows_are_written_as_declared_and_then_as_columns(
    row: Any, options: dict[str, Any], mode: Any
):
    rows = [row(1.25, "x"), row(2.5, "y")]

    plain = TypeAdapter(list[row]).dump_python(rows, mode=mode, **options)
    columns = TypeAdapter(Annotated[list[row], TO_COLUMNS])

    names = dict.fromkeys(name for each in plain for name in each)
    found = columns.dump_python(rows, mode=mode, **options)
    expected = {name: [each.get(name) for each in plain] for name in names}
    assert known(found) == known(expected)


def known(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Leave out columns of which nothing is known, as some ask for."""
    return {name: cells for name, cells in columns.items() if set(cells) != {None}}


def test_the_projects_answer_is_the_same_in_both_forms(client: TestClient):
    answers = client.post("/predict/batch", json={"columns": FEW}).json()

    assert answers.keys() == BatchPrediction.model_fields.keys()
    assert issubclass(BatchColumns, BatchPrediction)
    assert (
        answers["predictions"].keys()
        == to_response.__annotations__["return"].__dataclass_fields__.keys()
    )


def test_the_id_is_checked_as_in_a_record(forms: Forms):
    answer = forms.ask("columns", FEW | {ID: ["c-1", "\x1b[31m", "c-3"]})

    (fault,) = answer.json()["errors"]
    assert fault["field"] == f"columns.{ID}.1"
    assert "31m" not in answer.text


def test_an_application_without_a_service_reads_columns_too():
    app = FastAPI()

    @app.post("/count")
    async def count(batch: BatchRequest) -> int:
        return len(batch.columns)

    with TestClient(app) as client:
        assert client.post("/count", json={"columns": FEW}).json() == 3
