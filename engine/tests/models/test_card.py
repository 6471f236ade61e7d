"""A card says what was measured and fitted, and nothing else.

As a page it is one file that loads nothing and is fit to be looked at.
"""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from browser import Scheme, measure
from conftest import Run, make_project
from outline import Outline, check_loads_nothing
from own import CONTRACT, PROJECT
from skewless.cli.training_commands import say_what_it_is_worth
from skewless.core.checkout import Checkout
from skewless.core.contract import Column
from skewless.models.artifact import CARD_PAGE, read_artifact
from skewless.models.card import render_card
from skewless.models.card_page import render_card_page
from skewless.models.card_words import (
    capital,
    cautions,
    importance_of,
    missing_values,
    name_of,
    verdict,
)
from skewless.models.fitted import describe
from skewless.models.metadata import Fitted, Metadata, Step
from skewless.models.quality import (
    HUNDREDTHS,
    Estimate,
    Segment,
    auc_of,
    count_scores,
    share_of,
)
from skewless.training.holdout import measure_segments
from skewless.training.intervals import measured

ROWS = 600
ADDED_LATER = ("intervals", "behind_baseline", "scores", "segments", "fitted")


@pytest.fixture(scope="module")
def metadata(version: Path) -> Metadata:
    return read_artifact(version).metadata


@pytest.fixture(scope="module")
def older(metadata: Metadata) -> Metadata:
    """Return the metadata of a version from before the card's figures were kept."""
    known = metadata.model_dump(mode="json", exclude=set(ADDED_LATER))
    return Metadata.model_validate(known)


@pytest.fixture(scope="module")
def page(version: Path) -> str:
    return (version / CARD_PAGE).read_text()


def scored(rows: int = ROWS, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Make probabilities, some of them equal, and outcomes that follow from them."""
    random = np.random.default_rng(seed)
    probabilities = random.beta(1, 3, rows).round(2)
    return probabilities, (random.random(rows) < probabilities).astype(int)


def gaps() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    matrix = random.normal(size=(200, 3)).astype(np.float32)
    target = (matrix[:, 0] > 0).astype(int)
    matrix[:40, 1] = np.nan
    return matrix, target


BOOSTED = HistGradientBoostingClassifier(max_iter=3)
FILLED = make_pipeline(SimpleImputer(), LogisticRegression())
PARTLY = ColumnTransformer([("a", SimpleImputer(), [1])], remainder="passthrough")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (BOOSTED, "read"),
        (make_pipeline(StandardScaler(), BOOSTED), "read"),
        (FILLED, "imputed"),
        (CalibratedClassifierCV(FILLED, cv=2, ensemble=False), "imputed"),
        (make_pipeline(KNNImputer(), LogisticRegression()), "imputed"),
        (make_pipeline(PARTLY, BOOSTED), "partly_imputed"),
        (VotingClassifier([("a", BOOSTED), ("b", FILLED)]), "unknown"),
        (VotingClassifier([("a", BOOSTED), ("b", BOOSTED)]), "read"),
        (StackingClassifier([("a", FILLED)], LogisticRegression()), "imputed"),
        (
            make_pipeline(FunctionTransformer(np.nan_to_num), LogisticRegression()),
            "unknown",
        ),
    ],
)
def test_what_becomes_of_a_missing_value_is_read_off_the_fitted_model(
    model: Any, expected: str
):
    assert describe(model.fit(*gaps())).missing == expected


def test_an_estimator_that_takes_no_missing_value_is_not_said_to_read_one():
    matrix, target = gaps()

    fitted = describe(LogisticRegression().fit(np.nan_to_num(matrix), target))

    assert fitted.missing == "refused"


@pytest.mark.parametrize("is_told", [True, False])
def test_a_card_says_of_an_imputed_model_what_stands_for_a_missing_value(
    metadata: Metadata, *, is_told: bool
):
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=is_told),
        RandomForestClassifier(n_estimators=5, max_depth=2),
    )
    changed = metadata.model_copy(update={"fitted": describe(model.fit(*gaps()))})

    cards = render_card(changed, PROJECT), Outline(render_card_page(changed, PROJECT))

    told = "a column of its own tells" if is_told else "nothing tells"
    sentence = (
        "SimpleImputer puts in the median of the training records, "
        f"and {told} the model that a value was missing"
    )
    for said in (cards[0], cards[1].said):
        assert sentence in said
        assert "reads a missing feature itself" not in said
        assert "RandomForestClassifier(max_depth=2, n_estimators=5)" in said
        assert "HistGradientBoosting" not in said


def test_a_card_says_of_a_model_that_reads_missing_values_that_nothing_fills_them_in(
    metadata: Metadata, page: str
):
    said = Outline(page).said

    assert metadata.fitted.missing == "read"
    assert "reads a missing feature itself; no step fills it in" in said
    assert "imputed" not in said


def test_a_column_that_was_never_missing_in_training_is_named(metadata: Metadata):
    (name, *_) = (each.name for each in CONTRACT.columns if each.nullable)
    column = metadata.reference.columns[name]
    whole = column.model_copy(update={"counts": (*column.counts[:-1], 0)})
    columns = metadata.reference.columns | {name: whole}
    reference = metadata.reference.model_copy(update={"columns": columns})

    said = " ".join(
        missing_values(metadata.model_copy(update={"reference": reference}))
    )

    assert f"In the training table {name} was never missing" in said
    assert "never missing" not in " ".join(missing_values(metadata))


def test_a_card_has_the_parameters_of_the_fitted_model_and_no_knob_that_nobody_read(
    metadata: Metadata,
):
    knobs = metadata.training["model"] | {"nobody_reads": 7}
    changed = metadata.model_copy(
        update={"training": metadata.training | {"model": knobs}}
    )

    cards = render_card(changed, PROJECT), render_card_page(changed, PROJECT)

    assert not any("nobody_reads" in card or "estimator: " in card for card in cards)
    assert all(f"max_iter={knobs['max_iter']}" in card for card in cards)


def test_the_importances_on_the_card_are_those_of_the_metadata(
    metadata: Metadata, version: Path, page: str
):
    found = dict(importance_of(metadata))
    numbers = list(found.values())

    assert numbers == sorted(numbers, reverse=True)
    assert found == {
        name: each.importance for name, each in metadata.reference.columns.items()
    }
    card = (version / "card.md").read_text()
    said = Outline(page).said.replace("\u2212", "-")
    for name, worth in found.items():
        assert f"| `{name}` | {worth:z.4f} |" in card
        assert re.search(rf"{re.escape(name)} .*{re.escape(f'{worth:z.4f}')}", said)


def test_a_column_of_no_use_is_worth_zero_and_not_less(metadata: Metadata):
    (name, column), *_ = metadata.reference.columns.items()
    of_no_use = column.model_copy(update={"importance": -0.00001})
    columns = metadata.reference.columns | {name: of_no_use}
    reference = metadata.reference.model_copy(update={"columns": columns})
    changed = metadata.model_copy(update={"reference": reference})

    card = render_card(changed, PROJECT)
    said = Outline(render_card_page(changed, PROJECT)).said

    assert f"| `{name}` | 0.0000 |" in card
    assert not re.search("[-\u2212]0\\.0000", card + said)


def test_the_confusion_on_the_card_is_that_of_the_metadata(
    metadata: Metadata, version: Path, page: str
):
    left, alarms, missed, found = metadata.metrics["model"]["confusion"]
    card = (version / "card.md").read_text()
    said = Outline(page).said

    assert f"| event | {found} found | {missed} missed |" in card
    assert f"| no event | {alarms} false alarms | {left} rightly left alone |" in card
    for number, word in (
        (found, "found"),
        (missed, "missed"),
        (alarms, "false alarms"),
        (left, "left alone"),
    ):
        assert f" {number:,} {word}" in said


def test_the_segments_of_a_column_have_all_records_between_them(metadata: Metadata):
    rows = dict[str, int]()
    events = dict[str, int]()
    for each in metadata.segments:
        rows[each.column] = rows.get(each.column, 0) + each.rows
        events[each.column] = events.get(each.column, 0) + each.events

    expected = {
        column.name
        for column in CONTRACT.columns
        if column.nullable or column.kind in {"category", "boolean"}
    }
    _, _, missed, found = metadata.metrics["model"]["confusion"]
    assert set(rows) == expected
    assert set(rows.values()) == {metadata.holdout.rows}
    assert set(events.values()) == {missed + found}


def test_every_interval_holds_its_figure(metadata: Metadata):
    estimates = [*metadata.intervals.values(), metadata.behind_baseline]
    for each in metadata.segments:
        estimates += [each.event_rate, each.log_loss, each.roc_auc]

    known = [each for each in estimates if each is not None]
    assert len(known) > 10
    assert all(each.low <= each.mean <= each.high for each in known)
    for name, each in metadata.intervals.items():
        assert each.mean == pytest.approx(metadata.metrics["model"][name])


def parted(values: list[Any], kind: str = "category") -> tuple[Segment, ...]:
    is_text = kind == "category"
    choices = ("s", "m", "l") if is_text else ()
    column = Column(name="size", kind=kind, nullable=True, categories=choices)
    records = {"size": np.array(values, dtype=object if is_text else float)}
    probabilities, outcomes = scored(len(values))
    outcomes[:100] = 0
    return measure_segments(
        [column], records, probabilities=probabilities, outcomes=outcomes
    )


def test_a_segment_of_one_outcome_or_of_few_records_has_no_figure_and_says_why(
    metadata: Metadata,
):
    segments = parted(["s"] * 100 + ["m"] * 460 + [None] * 40)

    states = {each.value or each.kind: each.state for each in segments}
    assert states == {
        "s": "one_outcome",
        "m": "measured",
        "l": "too_few",
        "missing": "too_few",
    }
    for each in segments:
        is_measured = each.state == "measured"
        figures = (each.predicted_rate, each.event_rate, each.log_loss, each.roc_auc)
        assert [figure is not None for figure in figures] == [is_measured] * 4
    changed = metadata.model_copy(update={"segments": segments})
    card = render_card(changed, PROJECT)
    said = Outline(render_card_page(changed, PROJECT)).said
    assert "| `size = s` | 100 | 0 | not measured, all have the same outcome |" in card
    assert "size = s 100 0 not measured all have the same outcome" in said
    assert "size: missing 40" in said


@pytest.mark.parametrize("kind", ["number", "boolean"])
def test_a_missing_number_or_truth_value_is_a_segment_too(kind: str):
    segments = parted([0.0] * 200 + [1.0] * 300 + [np.nan] * 100, kind)

    found = [(each.kind, each.value, each.rows) for each in segments]
    assert (
        found
        == {
            "number": [("present", "", 500), ("missing", "", 100)],
            "boolean": [
                ("value", "false", 200),
                ("value", "true", 300),
                ("missing", "", 100),
            ],
        }[kind]
    )


def halves(column: str, missing: int) -> list[Segment]:
    return [
        Segment(column=column, kind=kind, rows=rows, events=1, state="too_few")
        for kind, rows in (("present", 600 - missing), ("missing", missing))
    ]


def test_a_page_of_many_segments_keeps_choices_and_the_rarer_halves(
    metadata: Metadata,
):
    plans = [
        Segment(
            column="tariff",
            kind="value",
            value=value,
            rows=9,
            events=1,
            state="too_few",
        )
        for value in ("basic", "pro")
    ]
    mostly_known = [each for n in range(30) for each in halves(f"known_{n}", 10)]
    mostly_missing = [each for n in range(8) for each in halves(f"rare_{n}", 590)]
    segments = (*mostly_known, *mostly_missing, *plans)
    changed = metadata.model_copy(update={"segments": segments})

    page = Outline(render_card_page(changed, PROJECT)).said
    card = render_card(changed, PROJECT)

    kept = [f"known_{n}: missing" for n in range(30)]
    kept += [f"rare_{n}: present" for n in range(8)]
    kept += ["tariff = basic", "tariff = pro"]
    assert [name for name in kept if name not in page] == []
    assert "38 more segments are in card.md" in page
    assert [each for each in segments if f"`{name_of(each)}`" not in card] == []


def test_a_segment_whose_probabilities_are_off_is_something_to_watch_out_for(
    metadata: Metadata,
):
    (segment, *_) = (each for each in metadata.segments if each.state == "measured")
    off = segment.model_copy(update={"predicted_rate": 0.999})

    changed = render_card(metadata.model_copy(update={"segments": (off,)}), PROJECT)

    assert "The probabilities are off where " in changed
    assert "99.9 % on average" in changed


def with_outcomes(metadata: Metadata, rows: int, events: int) -> Metadata:
    """Let another number of records have been held out; its model is calibrated."""
    decided = (rows - events, 0, events, 0)
    (one, *_) = metadata.metrics["model"]["calibration"]
    bins = [one | {"predicted": events / rows, "rows": rows}]
    few = metadata.metrics["model"] | {
        "rows": rows,
        "event_rate": events / rows,
        "confusion": decided,
        "calibration": bins,
    }
    metrics = metadata.metrics | {"model": few}
    return metadata.model_copy(update={"metrics": metrics})


def with_distance(metadata: Metadata, low: float, high: float) -> Metadata:
    behind = Estimate(mean=(low + high) / 2, low=low, high=high)
    return metadata.model_copy(update={"behind_baseline": behind})


@pytest.mark.parametrize(
    ("low", "high", "expected", "is_advised_against"),
    [
        (-0.2, -0.1, "better than the baseline", False),
        (-0.2, 0.1, "not shown to be better than the baseline", False),
        (-0.1, 0.2, "no better than the baseline", True),
        (0.1, 0.2, "worse than the baseline", True),
    ],
)
def test_the_verdict_of_card_and_command_is_that_of_the_paired_interval(
    metadata: Metadata,
    capsys: pytest.CaptureFixture[str],
    low: float,
    high: float,
    expected: str,
    *,
    is_advised_against: bool,
):
    changed = with_distance(metadata, low, high)

    say_what_it_is_worth(changed)
    worth = verdict(changed)

    assert worth.said == expected
    assert f"<h1><span>{expected}</span>" in render_card_page(changed, PROJECT)
    assert f"**{capital(expected)}.** {worth.reason}" in render_card(changed, PROJECT)
    assert f"{capital(expected)}. {worth.reason}\n" in capsys.readouterr().out
    assert ("do not use" in worth.reason) == is_advised_against


@pytest.mark.parametrize(
    ("low", "high", "word", "interval"),
    [
        (-0.25, -0.05, "0.150 nats of log loss per record better", "+0.050 to +0.250"),
        (-0.086, 0.214, "0.064 nats of log loss per record worse", "-0.086 to +0.214"),
    ],
)
def test_the_interval_of_a_distance_has_the_sign_of_its_word(
    metadata: Metadata, low: float, high: float, word: str, interval: str
):
    reason = verdict(with_distance(metadata, low, high)).reason

    assert f"{word} than the baseline (95 % interval {interval})" in reason


@pytest.mark.parametrize(
    ("rows", "events", "is_few"),
    [(6, 3, True), (49, 20, True), (900, 9, True), (900, 891, True), (50, 10, False)],
)
def test_a_holdout_too_small_to_judge_is_said_and_no_success_is_claimed(
    metadata: Metadata, rows: int, events: int, *, is_few: bool
):
    changed = with_outcomes(with_distance(metadata, -0.2, -0.1), rows, events)

    said = " ".join(headline for headline, _ in cautions(changed))

    assert ("Too few records were held out to judge it." in said) == is_few
    few = "not judged, as too few records were held out"
    assert verdict(changed).said == (few if is_few else "better than the baseline")


def test_too_few_records_do_not_hide_that_the_baseline_is_better(metadata: Metadata):
    changed = with_outcomes(with_distance(metadata, 0.1, 0.2), 6, 3)

    assert verdict(changed).said == "worse than the baseline"


WEIGHTED = LogisticRegression(class_weight="balanced")


def boosted(weight: float) -> Fitted:
    knobs = {"scale_pos_weight": weight}
    step = Step(name="XGBClassifier", depth=0, knobs=knobs)
    return Fitted(steps=(step,), missing="read")


def fitted_to_gaps(model: Any) -> Fitted:
    matrix, target = gaps()
    return describe(model.fit(np.nan_to_num(matrix), target))


@pytest.mark.parametrize(
    ("fitted", "expected"),
    [
        (fitted_to_gaps(WEIGHTED), "class_weight='balanced'"),
        (
            fitted_to_gaps(make_pipeline(StandardScaler(), WEIGHTED)),
            "class_weight='balanced'",
        ),
        (boosted(4.0), "scale_pos_weight=4.0"),
        (boosted(1.0), ""),
        (fitted_to_gaps(LogisticRegression()), ""),
        (
            fitted_to_gaps(CalibratedClassifierCV(WEIGHTED, cv=2, ensemble=False)),
            "",
        ),
    ],
)
def test_weights_that_nothing_calibrates_are_something_to_watch_out_for(
    metadata: Metadata,
    capsys: pytest.CaptureFixture[str],
    fitted: Fitted,
    expected: str,
):
    few = with_outcomes(metadata, 100, 35)  # and its rates are not off
    changed = few.model_copy(update={"fitted": fitted})

    say_what_it_is_worth(changed)

    said = f"It was trained with {expected}, which makes an outcome look more likely"
    meaning = dict(cautions(changed)).get("The probabilities are not calibrated.", "")
    assert (said in meaning) == bool(expected)
    printed = capsys.readouterr().out
    assert (said.lower() in printed) == bool(expected)
    assert ("model.calibration maps" in printed) == bool(expected)


@pytest.mark.parametrize(
    ("checkout", "expected"),
    [
        (Checkout("clean", "abc"), None),
        (
            Checkout("dirty", "abc"),
            "its code is commit abc with changes that are not committed, so",
        ),
        (Checkout("dirty"), "nothing of its code is committed yet, so"),
        (
            Checkout("unknown", reason="not a git repository"),
            "git cannot tell which commit its code is of: not a git repository, so",
        ),
    ],
)
def test_training_says_why_no_commit_can_rebuild_a_version(
    metadata: Metadata,
    capsys: pytest.CaptureFixture[str],
    checkout: Checkout,
    expected: str | None,
):
    say_what_it_is_worth(metadata.model_copy(update={"checkout": checkout}))

    said = capsys.readouterr().out
    assert ("no commit can rebuild it" in said) == (expected is not None)
    assert (expected or "") in said


def test_a_threshold_that_no_probability_reaches_is_told_in_words(metadata: Metadata):
    model = metadata.metrics["model"]
    left, alarms, missed, found = model["confusion"]
    none = model | {"confusion": (left + alarms, 0, missed + found, 0)}
    changed = metadata.model_copy(
        update={"metrics": metadata.metrics | {"model": none}}
    )

    said = Outline(render_card_page(changed, PROJECT)).said

    assert "held out that it has the event" in said
    assert "no probability reaches the threshold" in said


def test_the_scores_and_their_intervals_are_those_of_scikit_learn():
    probabilities, outcomes = scored()

    found = measured(probabilities, outcomes)

    expected = {
        "roc_auc": roc_auc_score(outcomes, probabilities),
        "average_precision": average_precision_score(outcomes, probabilities),
    }
    for name, value in expected.items():
        assert found[name].mean == pytest.approx(value)
        assert found[name].low < value < found[name].high
    area = auc_of(probabilities, outcomes)
    assert area.mean == pytest.approx(found["roc_auc"].mean)
    # Two ways to the same interval.
    assert area.low == pytest.approx(found["roc_auc"].low, abs=0.02)
    assert area.high == pytest.approx(found["roc_auc"].high, abs=0.02)


def test_a_draw_that_lacks_an_outcome_spoils_no_interval():
    probabilities, outcomes = scored(12)
    outcomes[:] = 0
    outcomes[3] = 1

    found = measured(probabilities, outcomes)

    assert all(np.isfinite(list(each)).all() for each in found.values())


def test_shares_have_the_intervals_that_wilson_published():
    nothing = share_of(0, 10)

    assert (nothing.mean, nothing.low) == (0, 0)
    assert nothing.high == pytest.approx(0.2775, abs=1e-4)


@pytest.mark.parametrize("scale", [1.0, 0.02], ids=["spread", "rare"])
def test_confusion_roc_and_net_benefit_follow_from_the_counted_scores(scale: float):
    probabilities, outcomes = scored()
    probabilities = probabilities * scale

    scores = count_scores(probabilities, outcomes)

    benefit = scores.net_benefit()
    for place in (9, 49):
        threshold = HUNDREDTHS[place]
        flagged = probabilities >= threshold
        _, false, _, true = confusion_matrix(outcomes, flagged, labels=[0, 1]).ravel()
        worth = (true - false * threshold / (1 - threshold)) / ROWS
        assert benefit["model"][place] == pytest.approx(worth)
    share = outcomes.mean()
    assert benefit["all"][49] == pytest.approx(share - (1 - share))
    false, true = scores.roc()
    area = -np.trapezoid(true, false)
    assert area == pytest.approx(roc_auc_score(outcomes, probabilities), abs=0.01)
    edges, without, happened = scores.histogram()
    assert without.sum() + happened.sum() == ROWS
    counted, _ = np.histogram(probabilities[outcomes == 1], edges)
    assert happened.tolist() == pytest.approx(counted.tolist(), abs=3)


def test_scores_that_are_all_the_same_are_counted_and_drawn(metadata: Metadata):
    _, outcomes = scored()
    scores = count_scores(np.full(ROWS, 0.3), outcomes)

    page = render_card_page(metadata.model_copy(update={"scores": scores}), PROJECT)

    assert scores.histogram()[2].sum() == outcomes.sum()
    assert page.startswith("<!DOCTYPE html>")


def test_the_page_is_one_small_file_that_loads_nothing_and_runs_nothing(page: str):
    check_loads_nothing(page, most_bytes=200_000)


def test_a_reader_who_cannot_see_the_page_is_told_what_it_shows(page: str):
    tags = Outline(page).tags

    headings = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    pictures = [each for tag, each in tags if tag == "svg"]
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    assert len(pictures) == 7
    assert all(len(each["aria-label"]) > 30 for each in pictures)
    assert {each["scope"] for tag, each in tags if tag == "th"} == {"col", "row"}
    ids = [each["id"] for _, each in tags if "id" in each]
    assert len(ids) == len(set(ids))


def test_the_page_names_every_field_with_its_rule_and_meaning(page: str):
    said = Outline(page).said

    for column in CONTRACT.columns:
        assert f"{column.name} {column.rule} {column.description}" in said


def test_a_version_from_before_the_figures_were_kept_has_a_card_that_says_so(
    older: Metadata,
):
    card = render_card(older, PROJECT)
    page = render_card_page(older, PROJECT)

    assert [getattr(older, name) for name in ADDED_LATER] == [{}, None, None, (), None]
    for said in (card, Outline(page).said):
        assert "from before versions were compared with the baseline" in said
        assert "not recorded when this version was trained" in said
    assert "better than the baseline" not in card


def test_the_same_metadata_give_the_same_page(metadata: Metadata, page: str):
    assert render_card_page(metadata, PROJECT) == page


@pytest.mark.slow
def test_the_commands_say_where_the_page_is(trained: Path, version: Path, run: Run):
    place = str(Path("models") / version.name / CARD_PAGE)

    assert place in run(trained, "train").stdout
    assert place in run(trained, "registry", "show").stdout


@pytest.mark.slow
def test_training_twice_gives_pages_that_differ_in_their_moment_only(
    trained: Path, version: Path, page: str, run: Run, tmp_path: Path
):
    again = make_project(tmp_path / "again")
    (again / "data").mkdir()
    (again / "data/table.csv").write_bytes((trained / "data/table.csv").read_bytes())
    assert run(again, "train").returncode == 0

    (folder,) = (again / "models").glob("*-*")
    other = read_artifact(folder).metadata
    before = read_artifact(version).metadata
    same = {"trained_at": before.trained_at, "checkout": before.checkout}
    assert folder.name == version.name
    assert render_card_page(other.model_copy(update=same), PROJECT) == page


@pytest.mark.needs("chromium")
@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 900, 1200])
def test_what_became_of_the_records_is_never_cut(
    version: Path, tmp_path: Path, width: int
):
    found = measure(version / CARD_PAGE, tmp_path, "light", width=width)

    assert "Confusion" not in found["cut"]


@pytest.mark.needs("chromium")
@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 900, 1200])
def test_a_picture_fills_its_card(version: Path, tmp_path: Path, width: int):
    found = measure(version / CARD_PAGE, tmp_path, "light", width=width)

    assert len(found["filled"]) == 7
    assert min(found["filled"]) > 0.8


@pytest.mark.needs("chromium")
@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_the_page_whole_and_legible(
    version: Path, tmp_path: Path, scheme: Scheme, width: int
):
    found = measure(version / CARD_PAGE, tmp_path, scheme, width=width)

    assert found["scrolled"] <= found["width"] == width
    assert found["clipped"] == []
    assert min(found["contrasts"].values()) >= 4.5
