"""Projects of other tables, as objects; all that the engine promises holds for each.

Their tables are those of `other_tables`, and two more; record classes are made of what
the tables hold.
"""

import datetime as dt
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Final, Literal, get_args

import numpy as np
import pandas as pd
import yaml
from fastapi import FastAPI
from pydantic import Field, create_model
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from churn_service.evaluate import evaluate
from conftest import ROOT
from other_tables import OTHERS, Other, drawn, with_gaps, write_plain
from skewless import (
    DAY,
    NO_CONTROLS,
    WHOLE,
    BaseConfig,
    Columns,
    Metrics,
    ModelSection,
    Project,
    Record,
    Section,
    TableFormat,
    Training,
    one_hot,
)
from skewless.core.contract import Contract
from skewless.serving import Answer, Model, create_app

TEXTS = 12  # a column with more of them is a remark, and no category


def codes(random: np.random.Generator) -> pd.DataFrame:
    """Make categories and truth values that are written as integers."""
    rows = 1_200
    region, channel = (
        random.choice([10, 20, 30], rows),
        random.choice(["1", "2", "7"], rows),
    )
    visits, member = random.integers(0, 40, rows), random.integers(0, 2, rows)
    gone = drawn(
        random,
        1.5 * (region == 20) - 0.1 * visits + 1.0 * (channel == "7") - 0.8 * member,
    )
    columns = {
        "key": range(rows),
        "region": region,
        "channel": channel,
        "visits": visits,
        "member": member,
    }
    return pd.DataFrame(columns | {"gone": np.where(gone, 2, 1)})


def blanks(random: np.random.Generator) -> pd.DataFrame:
    """Make a table whose every cell may be missing; one column's nearly always are."""
    rows = 1_500
    level, size = (
        random.choice(["low", "high"], rows),
        np.round(random.gamma(2, 10, rows), 2),
    )
    count = random.integers(0, 9, rows)
    gone = drawn(random, 1.2 * (level == "high") - 0.05 * size + 0.3 * count)
    table = {
        "key": [f"k{row}" for row in range(rows)],
        "level": with_gaps(random, level, 0.5),
        "size": with_gaps(random, size, 0.6),
        "count": with_gaps(random, count, 0.7),
        "rare": with_gaps(random, np.round(random.normal(3, 1, rows), 1), 0.97),
    }
    return pd.DataFrame(table | {"gone": gone * 1})


MORE: Final = (
    Other("codes", codes, write_plain, "codes.csv", "gone", id="key", positive=2),
    Other("blanks", blanks, write_plain, "blanks.csv", "gone", id="key"),
)
FORMATS: Final[Mapping[str, dict[str, Any]]] = {
    "wide": {
        "delimiter": ";",
        "encoding": "latin-1",
        "decimal": ",",
        "missing": ["", "k. A."],
    },
    "dates": {"row_ids": True},
}


class NoKnobs(Section):
    """Features that have nothing to set."""


class Config(BaseConfig[NoKnobs, ModelSection]):
    """A configuration with no keys of its own."""


def train(
    matrix: np.ndarray, target: np.ndarray, model: ModelSection
) -> HistGradientBoostingClassifier:
    """Fit a small model."""
    assert model.version
    classifier = HistGradientBoostingClassifier(
        max_iter=30, max_leaf_nodes=8, random_state=1
    )
    return classifier.fit(matrix, target)


def measure(
    probabilities: np.ndarray, outcomes: np.ndarray, *, threshold: float
) -> Metrics:
    """Measure as this repository's project does, and one thing besides."""
    metrics = evaluate(probabilities, outcomes, threshold=threshold)
    gap = abs(float(probabilities.mean() - outcomes.mean()))
    return metrics.model_copy(update={"others": {"gap of the means": gap}})


training = Training(train=train, evaluate=measure)


@dataclass(frozen=True)
class Small:
    """A project and its table."""

    other: Other
    project: Project[NoKnobs, ModelSection]

    @property
    def name(self) -> str:
        return self.other.name

    def make(self, folder: Path) -> Path:
        """Write what its commands read: table, configuration and lock."""
        table = folder / "data" / self.other.file
        table.parent.mkdir(parents=True)
        self.other.write(self.other.rows(), table)
        (folder / "config.yaml").write_text(
            yaml.safe_dump(self._config(table.relative_to(folder)))
        )
        (folder / "requirements-dev.lock").write_bytes(
            (ROOT / "requirements-dev.lock").read_bytes()
        )
        return folder

    def _config(self, table: Path) -> dict[str, Any]:
        return {
            "data": {
                "path": table.as_posix(),
                "holdout_fraction": 0.3,
                "holdout_salt": "small",
                "format": dict(FORMATS.get(self.name, {})),
            },
            "features": {},
            "model": {"version": "0.1.0"},
            "decision": {"threshold": 0.5, "medium_risk": 0.4, "high_risk": 0.7},
            "baseline": {
                "column": self._first_feature(),
                "cuts": [1.0],
                "probabilities": [0.3, 0.3, 0.3],
            },
            "serving": {"drain_seconds": 0},
            "monitoring": {"prediction_log": "predictions"},
        }

    def _first_feature(self) -> str:
        first = self.project.contract.columns[0]
        return f"{first.name}_{first.categories[0]}" if first.categories else first.name

    def app(self) -> FastAPI:
        """Build its application."""
        record: Any = self.project.record
        app = create_app(self.project, to_response)

        @app.post("/predict")
        async def predict(row: record, model: Model) -> dict[str, Any]:
            return to_response(await model.predict(row))

        @app.post("/predict/batch")
        async def predict_batch(
            rows: Annotated[list[record], Field(min_length=1)], model: Model
        ) -> list[dict[str, Any]]:
            return [to_response(answer) for answer in await model.predict_batch(rows)]

        return app


def to_response(answer: Answer) -> dict[str, Any]:
    return {"p": answer.probability, "yes": answer.decision, "by": answer.model_version}


def slug(header: str) -> str:
    """Spell a header as a field."""
    name = re.sub(r"\W+", "_", header).strip("_").lower()
    name = name if name[:1].isalpha() else f"column_{name}"
    return f"{name}_" if keyword.iskeyword(name) or hasattr(Record, name) else name


def annotation(values: pd.Series) -> Any:
    """Derive what a field may hold from a column; None, if the column tells nothing."""
    known = values.dropna()
    if not len(known) or (known.dtype == object and known.nunique() > TEXTS):
        return None
    base, shown, bounds, marks = declared(known)
    kind = base if len(known) == len(values) else base | None
    return Annotated[(kind, Field(examples=[shown], **bounds), *marks)]


def declared(known: pd.Series) -> tuple[Any, Any, dict[str, Any], list[Any]]:
    """Return a column's type, an example, its bounds and the annotation's last part."""
    low, high, shown = known.min(), known.max(), known.iloc[0]
    match known.dtype.kind:
        case "M":
            return (
                dt.date,
                shown.date().isoformat(),
                {"ge": low.date(), "le": high.date()},
                [DAY],
            )
        case "b":
            return bool, bool(shown), {}, []
        case "i" | "u":
            return int, int(shown), {"ge": int(low), "le": int(high)}, [WHOLE]
        case "f":
            return float, float(shown), {"ge": float(low), "le": float(high)}, []
        case _:
            return Literal[tuple(sorted(known.unique()))], str(shown), {}, []


def small(other: Other) -> Small:
    """Make a project of a table."""
    rows = other.rows()
    columns = rows.drop(columns=[other.target, *([other.id] if other.id else [])])
    declared = {
        slug(header): (header, annotation(columns[header])) for header in columns
    }
    key: Any = (
        Annotated[
            str | None,
            Field(min_length=1, max_length=64, examples=["r-1"]),
            NO_CONTROLS,
        ],
        None,
    )
    fields: dict[str, Any] = {
        name: (kind, None if type(None) in get_args(get_args(kind)[0]) else ...)
        for name, (_, kind) in declared.items()
        if kind is not None
    }
    record = create_model(
        f"{other.name.capitalize()}Row", __base__=Record, row_key=key, **fields
    )
    headers = {name: declared[name][0] for name in fields} | {
        "row_key": other.id or "row_key"
    }
    no, yes = sorted(
        map(str, rows[other.target].unique()),
        key=lambda each: each == str(other.positive),
    )
    table = TableFormat(
        id="row_key",
        target="event",
        outcomes={no: 0, yes: 1},
        headers=headers | {"event": other.target},
    )
    kinds = Contract(record, table).columns

    def features(records: Columns, _: NoKnobs) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for column in kinds:
            if column.kind == "category":
                made |= one_hot(records, column.name, record)
            else:
                made[column.name] = records[column.name]
        return made

    return Small(
        other,
        Project(
            name=f"{other.name}-project",
            prefix=f"{other.name.upper()}_",
            record=record,
            table=table,
            features=features,
            config=Config,
            intended_use=f"Tests with the table {other.name}.",
            place=f"small_projects:PROJECTS.{other.name}",
            training="small_projects:training",
        ),
    )


def plain_auc(other: Other, held_out: np.ndarray) -> float:
    """Fit the same classifier on dummies of the same rows, split alike.

    Returns its ROC AUC on the holdout.
    """
    rows = other.rows()
    columns = rows.drop(columns=[other.target, *([other.id] if other.id else [])])
    for name in columns:
        if columns[name].dtype.kind == "M":
            columns[name] = (
                columns[name].astype("int64").where(columns[name].notna()).astype(float)
            )
        elif columns[name].dtype == object:
            columns[name] = columns[name].infer_objects()
    numbers = [name for name in columns if columns[name].dtype.kind in "iufb"]
    few = [
        name for name in columns if name in numbers or columns[name].nunique() <= TEXTS
    ]
    matrix = pd.get_dummies(columns[few]).astype(float).to_numpy(np.float32)
    outcomes = (rows[other.target] == other.positive).to_numpy()
    model = train(matrix[~held_out], outcomes[~held_out], ModelSection(version="0.1.0"))
    return float(
        roc_auc_score(outcomes[held_out], model.predict_proba(matrix[held_out])[:, 1])
    )


SMALL: Final = tuple(small(other) for other in (*OTHERS, *MORE))
PROJECTS: Final = SimpleNamespace(
    **{each.name: each.project for each in SMALL}
)  # where other processes find them
