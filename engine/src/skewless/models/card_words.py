"""Metadata → the sentences of a model card, for Markdown and for HTML alike.

Each follows from what was measured or fitted. They are plain text: names in them are
from outside, and whoever shows them escapes them.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from skewless.core.metrics import Metrics, are_apart
from skewless.models.metadata import (
    Fitted,
    Holdout,
    Identity,
    Imputation,
    Metadata,
    Proof,
    Step,
)
from skewless.models.quality import FEWEST_OUTCOMES, FEWEST_ROWS, Estimate, Segment

FEW: Final = 100  # of fewer records, counts are said and no rounded share
WEIGHTS: Final = ("class_weight", "scale_pos_weight")
CALIBRATION: Final = "CalibratedClassifierCV"
STATES: Final = {
    "measured": "measured",
    "too_few": f"fewer than {FEWEST_ROWS} records, or {FEWEST_OUTCOMES} of an outcome",
    "one_outcome": "all have the same outcome",
}


class Verdict(NamedTuple):
    """What a version is worth beside the baseline, in a word and a sentence."""

    tone: str
    said: str
    reason: str


def verdict(metadata: Metadata) -> Verdict:
    """Compare a version with its baseline; what was not shown is not claimed."""
    behind = metadata.behind_baseline
    if behind is None:
        return Verdict(
            "unsure",
            "not compared",
            "It is from before versions were compared with the baseline by interval.",
        )
    reason = _distance(behind)
    if behind.low > 0:
        return Verdict(
            "bad",
            "worse than the baseline",
            f"{reason} The baseline is better: do not use the model.",
        )
    if behind.mean >= 0:
        return Verdict(
            "bad",
            "no better than the baseline",
            f"{reason} The difference may be chance, but it is on the baseline's side: "
            "do not use the model.",
        )
    if has_few_held_out(metadata):
        return Verdict("unsure", "not judged, as too few records were held out", reason)
    if behind.high < 0:
        return Verdict("good", "better than the baseline", reason)
    return Verdict(
        "warn",
        "not shown to be better than the baseline",
        f"{reason} The difference may be chance.",
    )


def _distance(behind: Estimate) -> str:
    """Say how far a model is from the baseline; the interval has the word's sign."""
    word, low, high = "worse", behind.low, behind.high
    if behind.mean < 0:
        word, low, high = "better", -behind.high, -behind.low
    return (
        f"On the records held out it is {abs(behind.mean):.3f} nats of log loss per "
        f"record {word} than the baseline (95 % interval {low:+z.3f} to {high:+z.3f})."
    )


def has_few_held_out(metadata: Metadata) -> bool:
    """Tell whether the holdout is smaller than a segment that is measured."""
    rows, events = _held_out(metadata)
    return rows < FEWEST_ROWS or min(events, rows - events) < FEWEST_OUTCOMES


def _held_out(metadata: Metadata) -> tuple[int, int]:
    """Count the records held out, and those of them with the event."""
    model = Metrics.model_validate(metadata.metrics["model"])
    _, _, missed, found = model.confusion
    return model.rows, missed + found


def capital(text: str) -> str:
    """Begin a sentence."""
    return text[:1].upper() + text[1:]


def in_plain_words(metadata: Metadata, target: str) -> Iterator[str]:
    """Say how good the decisions are, in numbers of records."""
    model = Metrics.model_validate(metadata.metrics["model"])
    _, false_alarms, missed, found = model.confusion
    flagged = found + false_alarms
    events = found + missed
    threshold = metadata.identity.decision.threshold
    if flagged == 0:
        yield (
            f"It says of none of the {model.rows:,} records held out that it has the "
            f"event ({target}): no probability reaches the threshold of {threshold:g}."
        )
        return
    what = f"records that it says have the event ({target})"
    told = f"Of 100 {what}, {round(100 * found / flagged)} do."
    if flagged < FEW:
        told = f"Of the {flagged} {what}, {found} do."
    yield f"{told} Of 100 of all records, {round(100 * model.event_rate)} do."
    if events < FEW:
        yield f"It finds {found} of the {events} events."
    else:
        yield f"It finds {round(100 * found / events)} of 100 events."


def cautions(metadata: Metadata) -> Iterator[tuple[str, str]]:
    """Yield what to watch out for: a headline and what it means."""
    if "best possible" in metadata.metrics:
        meaning = "This version knows nothing of your data."
        yield "The table is the simulator's.", meaning
    if has_few_held_out(metadata):
        yield "Too few records were held out to judge it.", _how_few(metadata)
    yield from _of_calibration(metadata)
    yield from _of_holdout(metadata.holdout)
    yield (
        "The probabilities hold for records like those of the training table.",
        "A field outside its range is refused.",
    )
    yield "Missing values.", " ".join(missing_values(metadata))
    yield (
        "It does not say why.",
        "Nothing here says why the event happens, nor that anything would prevent it.",
    )


def _how_few(metadata: Metadata) -> str:
    rows, events = _held_out(metadata)
    return (
        f"{rows:,} records, {events:,} of them with the event; "
        f"{FEWEST_ROWS} records and {FEWEST_OUTCOMES} of each outcome are the fewest "
        "that say anything. Scores and intervals here may be chance."
    )


def _of_calibration(metadata: Metadata) -> Iterator[tuple[str, str]]:
    model = Metrics.model_validate(metadata.metrics["model"])
    reasons = []
    if model.is_off:
        reasons.append(_averages(model.predicted_rate, model.event_rate))
    weights = weights_of(metadata)
    if weights:
        reasons.append(
            f"It was trained with {weights}, which makes an outcome look more likely "
            "than it is."
        )
    if reasons:
        meaning = (
            f"{' '.join(reasons)} They rank records, and say nothing of how likely it "
            "is; model.calibration maps them."
        )
        yield "The probabilities are not calibrated.", meaning
    for each in metadata.segments:
        if is_off(each):
            rates = _averages(each.predicted_rate or 0, each.events / each.rows)
            yield f"The probabilities are off where {name_of(each)}.", rates


def weights_of(metadata: Metadata) -> str:
    """Name the weights of outcomes that no calibration makes up for; empty if none."""
    if metadata.fitted is None:
        return ""
    calibrated: int | None = None  # depth of the calibration that holds a step
    for step in metadata.fitted.steps:
        if calibrated is not None and step.depth > calibrated:
            continue
        calibrated = step.depth if step.name == CALIBRATION else None
        for name in WEIGHTS:
            if step.knobs.get(name) not in {None, 1}:
                return f"{name}={step.knobs[name]!r}"
    return ""


def _averages(predicted: float, happened: float) -> str:
    return (
        f"{100 * predicted:.1f} % on average where {100 * happened:.1f} % have the "
        "event."
    )


def _of_holdout(holdout: Holdout) -> Iterator[tuple[str, str]]:
    if holdout.repeated:
        again = f"{holdout.repeated:,} of the {holdout.rows:,} records held out"
        yield (
            f"{again} equal one to train on, but for the id.",
            "If they are copies, they flatter the model.",
        )
    if holdout.group:
        meaning = (
            "Intervals take records for independent, so they are too narrow where "
            "records of a group are alike."
        )
        yield f"Records with the same {holdout.group} are on the same side.", meaning


def is_off(segment: Segment) -> bool:
    """Tell whether a segment's probabilities are too high or too low on the whole."""
    if segment.predicted_rate is None:
        return False
    happened = segment.events / segment.rows
    return are_apart(segment.predicted_rate, happened, segment.rows)


def name_of(segment: Segment) -> str:
    """Name a segment, such as ``size = small``."""
    if segment.kind == "value":
        return f"{segment.column} = {segment.value}"
    return f"{segment.column}: {segment.kind}"


def missing_values(metadata: Metadata) -> Iterator[str]:
    """Say what becomes of a missing value, as the fitted model has it."""
    nullable = [column.name for column in metadata.identity.columns if column.nullable]
    if not nullable:
        yield "No field may be missing: a record without a value is refused."
    if metadata.fitted is None:
        yield "What becomes of one was not recorded when this version was trained."
        return
    yield _treatment(metadata.fitted)
    if nullable:
        yield "So do not fill a missing value in before asking."
    unseen = _never_missing(metadata, nullable)
    if unseen:
        yield (
            f"In the training table {', '.join(unseen)} was never missing: what it "
            "answers to a record without it rests on no such record."
        )


def _never_missing(metadata: Metadata, nullable: list[str]) -> list[str]:
    if metadata.reference is None:
        return []
    columns = metadata.reference.columns
    return [
        name
        for name in nullable
        if name in columns and columns[name].counts and columns[name].counts[-1] == 0
    ]


def _treatment(fitted: Fitted) -> str:
    last = fitted.steps[-1].name
    if fitted.missing == "read":
        return f"{last} reads a missing feature itself; no step fills it in."
    if fitted.missing == "refused":
        return f"{last} takes no missing feature, and was given none."
    if fitted.missing == "unknown" or not fitted.imputations:
        return (
            "Which step deals with a missing feature cannot be read off this model; "
            "what it answers was proven, and what it makes of it was not."
        )
    said = "; ".join(map(_imputation, fitted.imputations))
    where = "Part of the features" if fitted.missing == "partly_imputed" else "Features"
    return f"{where} are imputed where they are missing: {said}."


def _imputation(imputation: Imputation) -> str:
    value = f"the {imputation.strategy}"
    if not imputation.strategy.startswith("constant"):
        value += " of the training records"
    told = "a column of its own tells" if imputation.is_told else "nothing tells"
    return (
        f"{imputation.name} puts in {value}, and {told} the model that a value was "
        "missing"
    )


def proofs(metadata: Metadata) -> Iterator[tuple[bool, str]]:
    """Yield what was proven before the version was written (True), and what was not."""
    proof = metadata.proof
    if proof is None:
        yield False, "Nothing: it is from before versions were proven."
        return
    for sentence in _proven(proof, metadata.identity):
        yield True, sentence
    for sentence in _not_proven(proof, metadata.identity):
        yield False, sentence


def _proven(proof: Proof, identity: Identity) -> Iterator[str]:
    edges = len(proof.edges.probabilities)
    yield (
        f"The features of {proof.rows:,} records of the table are the same, bit for "
        f"bit, in another order and alone, and so are those of {edges:,} made-up "
        "records at the edges of what is allowed. All are finite or missing."
    )
    file = "model.onnx" if identity.onnx_sha256 else "model.joblib, loaded again,"
    yield (
        f"On {proof.compared:,} rows of features {file} answers as the model that was "
        f"trained, at most {proof.difference:.2g} apart."
    )
    if proof.splits:
        yield (
            f"Of the {proof.splits:,} splits of its trees, {proof.splits_checked:,} "
            "have rows on them and beside them among those."
        )


def _not_proven(proof: Proof, identity: Identity) -> Iterator[str]:
    if identity.onnx_sha256 is None:
        yield (
            "An ONNX form, as there is none. scikit-learn serves this version, from a "
            "pickle, which can run any code of whoever wrote it."
        )
    others = proof.splits - proof.splits_checked
    if others:
        yield (
            f"The other {others:,} splits. They are of a model with very many, or "
            "behind a step that changes values, so that their place in a record is "
            "not known."
        )


def step_of(step: Step) -> str:
    """Write a step as code would, such as ``SimpleImputer(strategy='median')``."""
    knobs = ", ".join(f"{name}={value!r}" for name, value in step.knobs.items())
    return f"{step.name}({knobs})"


def importance_of(metadata: Metadata) -> list[tuple[str, float]]:
    """List the columns with what each is worth in nats, the most important first."""
    if metadata.reference is None:
        return []
    found = [
        (column.name, metadata.reference.columns[column.name].importance)
        for column in metadata.identity.columns
        if column.name in metadata.reference.columns
    ]
    return sorted(found, key=lambda each: -each[1])
