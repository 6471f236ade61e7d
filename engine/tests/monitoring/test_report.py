"""The report has the right words, never changes, and is fit to be looked at.

Nothing in it is from elsewhere.
"""

import dataclasses
import html
import json
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import Scheme, measure, photograph
from conftest import Run
from fields import NUMBERS, movable, moved
from outline import Outline, check_loads_nothing
from own import CONTRACT, PROJECT, TARGET
from recorded import outcome, write_outcomes
from skewless.core.nouns import Noun
from skewless.models.artifact import read_artifact
from skewless.models.predict import load_predictor
from skewless.models.reference import Reference, freeze
from skewless.monitoring.charts import Scale
from skewless.monitoring.drift_figures import Figures, Finding
from skewless.monitoring.drift_job import Compared, Found
from skewless.monitoring.performance import Band, Measures, Week
from skewless.monitoring.report import Onset, Report, summarise, verdict
from skewless.monitoring.report_page import render
from skewless.monitoring.words import day, describe
from steady import configure
from versions import put
from windows import SCORE, customers, write_log

WEEKS, ROWS = 4, 240
CUSTOMER = Noun.of("customer")
BEGAN = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)
MOVED = movable().name
MEANINGS = {column.name: column.description for column in CONTRACT.columns}
VARIABLE = re.compile(r"--([a-z-]+): (#[0-9a-f]{6});")
PAIRS = [
    (text, ground) for text in ("ink", "muted", "accent") for ground in ("page", "card")
]
PAIRS += [
    (tone, ground)
    for tone in ("good", "warn", "bad", "unsure")
    for ground in ("card", f"{tone}-tint")
]


@pytest.fixture(scope="module")
def told(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with weeks of answers and outcomes; do not change it.

    The last week is shifted.
    """
    folder = tmp_path_factory.mktemp("told") / "project"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("predictions"))
    configure(folder, "monitoring", outcome_days=10)
    (version,) = (folder / "models").glob("*-*")
    put(folder, version.name)
    predictor, now, random, said = (
        load_predictor(version, PROJECT),
        datetime.now(UTC),
        np.random.default_rng(1),
        [],
    )
    for week in range(WEEKS):
        values, ids = (
            customers(ROWS, 50 + week),
            [f"c-{week}-{row}" for row in range(ROWS)],
        )
        if week == 0:
            values[MOVED] = moved(values[MOVED], movable())
        values[SCORE] = predictor.probabilities(values)
        time = now - timedelta(days=7 * week, hours=2)
        write_log(folder / "predictions", version.name, values, time=time, ids=ids)
        events = random.random(ROWS) < values[SCORE]
        moment = (
            {"recorded_at": (time + timedelta(days=3)).isoformat()} if week else None
        )
        if moment:
            rows = zip(ids, events.tolist(), strict=True)
            said += [
                outcome(0, int(value), record=name) | moment for name, value in rows
            ]
    write_outcomes(
        folder / "predictions",
        [{**each, "observed_at": each["recorded_at"]} for each in said],
    )
    return folder


@pytest.fixture(scope="module")
def page(told: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    done = run(told, "report", path)
    assert done.returncode == 3, done.stderr
    return path


def finding(
    name: str = MOVED, kind: str = "column", state: str = "ok", **known: Any
) -> Finding:
    figures = {
        "psi": 0.5,
        "psi_corrected": 0.4,
        "p": 0.0,
        "rows_needed": 120,
        "impact": 0.1,
    }
    return Finding(name=name, kind=kind, state=state, **figures | known)


def figured(*findings: Finding) -> Figures:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    rows = {"rows": 100, "rows_without_id": 0, "rows_logged": 100, "rows_unreadable": 0}
    span = {
        "since": now - timedelta(days=2),
        "until": now,
        "checked_at": now,
        "hidden": (),
    }
    return Figures(version="0.1.0-00000000", findings=findings, **span, **rows)


def weeks(*states: str) -> list[Week]:
    """Make weeks of these states; what they measured is the same."""
    band = Band(0.5, 0.4, 0.6)
    measures = Measures(
        log_loss=band, brier=band, roc_auc=band, event_rate=band, confusion=(1, 1, 1, 1)
    )
    week = Week("2026-W05", 9, 9, 9, 1.0, measures, measures, measures, "ok")
    return [
        dataclasses.replace(week, week=f"2026-W{5 + place:02}", state=state)
        for place, state in enumerate(states)
    ]


def reported(found: Found, made: Sequence[Week] = (), **known: Any) -> Report:
    """Make a report of these findings and weeks."""
    others = {
        "segments": [],
        "onsets": {},
        "production": [],
        "answers": {found.figures.until.date(): Counter()},
        "versions": Counter(),
        "record": CUSTOMER,
        "target": "left",
    }
    return Report(found=found, weeks=made, **others | known)


@pytest.mark.slow
def test_the_page_is_one_small_file_that_loads_nothing_and_runs_nothing(page: Path):
    check_loads_nothing(page.read_text(), most_bytes=300_000)


@pytest.mark.slow
def test_a_reader_who_cannot_see_it_is_told_what_it_shows(page: Path):
    outline = Outline(page.read_text())

    headings = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h[1-6]", tag)]
    assert outline.all("html")[0]["lang"] == "en"
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    assert len(outline.all("svg")) == 4 + 1 + min(
        5, len(CONTRACT.columns)
    )  # answers and weeks, the score, the worst columns
    assert all(
        each["role"] == "img" and len(each["aria-label"]) > 30
        for each in outline.all("svg")
    )
    assert {each["scope"] for each in outline.all("th")} == {"col", "row"}
    ids = [each["id"] for _, each in outline.tags if "id" in each]
    assert len(ids) == len(set(ids))
    assert {each["href"][1:] for _, each in outline.tags if "href" in each} <= set(ids)


def test_an_owner_reads_what_changed_in_the_words_of_the_contract(page: Path):
    said = Outline(page.read_text()).said

    lie = r"are above [\d,.-]+" if movable().kind in NUMBERS else "have .+"
    phrase = (
        re.escape(f"{MEANINGS[MOVED]} ( {MOVED} ) ")
        + rf"\d+% of {CONTRACT.noun.many} {lie}; in training it was [\d.]+%\. "
    )
    effect = (
        rf"That alone (raises|lowers) the predicted probability of {TARGET} by "
        rf"\d+\.\d points on average and puts about \d+ of {ROWS} "
        rf"{CONTRACT.noun.many} into another tier\. It began"
    )
    assert re.search(phrase + effect, said)
    assert "by ada@host" in said


def test_an_owner_reads_on_top_since_when_what_it_means_and_what_to_do(page: Path):
    text = page.read_text()
    top = Outline(text[: text.index("</header>")]).said

    today = datetime.now(UTC)
    days = [today - timedelta(days=1), today]  # the test may run at midnight
    since = "|".join(re.escape(day(each)) for each in days)
    whom = f"{ROWS} {CONTRACT.noun.many}"
    assert re.search(rf"began (about|before or on) ({since})\.", top)
    assert re.search(rf"alone puts about \d+ of {whom} into another tier\.", top)
    assert re.search(
        rf"whose outcome is known, the event \({TARGET}\) followed \d+ times?; "
        r"expected: \d+\.",
        top,
    )
    assert "What to do Look where the columns below come from" in top


def test_the_charts_mark_when_a_version_was_put_into_production(page: Path):
    outline = Outline(page.read_text())

    marked = [
        each["aria-label"]
        for each in outline.all("svg")
        if "versions put into production" in each["aria-label"]
    ]
    assert len(marked) == 4  # answers, log loss, event rate, coverage
    assert "a version is put into production, with its number" in outline.said


@pytest.mark.parametrize("change", ["answers", "outcomes", "promotion"])
@pytest.mark.slow
def test_a_report_of_a_moment_stays_the_same_whatever_comes_later(
    told: Path, run: Run, tmp_path: Path, change: str
):
    folder = Path(shutil.copytree(told, tmp_path / "own"))
    until = datetime.now(UTC)
    moment = [
        "--since",
        (until - timedelta(days=7)).isoformat(),
        "--until",
        until.isoformat(),
    ]
    run(folder, "report", *moment, "before.html")
    later = datetime.now(UTC) + timedelta(seconds=1)
    (version,) = (folder / "models").glob("*-*")

    if change == "answers":
        write_log(
            folder / "predictions",
            version.name,
            customers(ROWS, 9),
            time=later,
            ids=range(ROWS),
        )
        (log,) = list((folder / "predictions").glob(f"{later.date()}*.jsonl"))[:1]
        # and one line that a crash cut short
        log.write_text(log.read_text() + '{"time": "20')
    elif change == "outcomes":
        said = outcome(0, 1, record="c-1-1") | {"recorded_at": later.isoformat()}
        write_outcomes(folder / "predictions", [said], process="host-2")
    else:
        shutil.copytree(version, folder / "models" / "0.1.0-ffffffff")
        put(folder, "0.1.0-ffffffff")
    run(folder, "report", *moment, "after.html")

    assert (folder / "after.html").read_bytes() == (folder / "before.html").read_bytes()


def test_without_a_name_the_page_is_beside_the_configuration_and_is_replaced(
    told: Path, run: Run, tmp_path: Path
):
    folder = Path(shutil.copytree(told, tmp_path / "own"))
    path = folder / "reports/report.html"

    first = run(folder, "report")
    path.write_text("old")
    again = run(folder, "report", "--json")

    summary = json.loads(again.stdout)
    assert (first.returncode, again.returncode) == (3, 3), first.stderr
    assert first.stdout == (
        f"{summary['verdict']}: {summary['headline']}\npage: {path}\n"
    )
    assert summary["page"] == str(path)
    assert path.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("words", "is_left"),
    [([], True), (["--version", "newest"], False), (["--until", "1h"], False)],
)
@pytest.mark.slow
def test_the_service_is_told_what_a_report_of_now_found(
    told: Path, run: Run, tmp_path: Path, words: list[str], *, is_left: bool
):
    folder = Path(
        shutil.copytree(told, tmp_path / "own", ignore=shutil.ignore_patterns("*.json"))
    )
    shutil.copytree(told / "models", folder / "models", dirs_exist_ok=True)

    run(folder, "report", *words)

    left = {path.name for path in (folder / "predictions").glob("*.json")}
    assert left == ({"drift.json", "performance.json"} if is_left else set())


def test_a_report_from_before_there_was_a_version_is_refused(
    told: Path, run: Run, tmp_path: Path
):
    done = run(
        told,
        "report",
        tmp_path / "a.html",
        "--until",
        "2020-01-01",
        "--since",
        "2019-12-01",
    )

    assert (done.returncode, "there was no version yet" in done.stderr) == (3, True)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_page_that_is_there_is_kept_unless_told_otherwise(
    told: Path, run: Run, tmp_path: Path
):
    path = tmp_path / "report.html"
    path.write_text("mine")

    refused = run(told, "report", path)

    assert (refused.returncode, path.read_text()) == (2, "mine")
    assert "--overwrite" in refused.stderr
    assert run(told, "report", path, "--overwrite", "--json").returncode == 3
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_is_no_place_for_a_page(told: Path, run: Run, tmp_path: Path):
    folder = tmp_path / "page"
    folder.mkdir()

    done = run(told, "report", folder, "--overwrite")

    assert (
        done.returncode,
        f"{folder} exists already; name another" in done.stderr,
    ) == (2, True)
    assert list(tmp_path.rglob("*")) == [folder]


@pytest.mark.posix
def test_a_page_that_cannot_be_written_is_named_as_it_was_given(
    told: Path, run: Run, tmp_path: Path
):
    path = tmp_path / f"{'x' * 300}.html"  # no system takes so long a name

    done = run(told, "report", path)

    assert (done.returncode, f"too long: '{path}'" in done.stderr) == (1, True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("findings", "states", "expected"),
    [
        ([("column", "ok"), ("score", "ok")], ["ok", "waiting"], "healthy"),
        ([("column", "ok"), ("score", "ok")], [], "healthy"),
        ([("column", "drift"), ("score", "ok")], ["ok"], "watch"),
        ([("missing", "drift"), ("column", "ok")], [], "watch"),
        ([("score", "ok")], ["concept_drift", "ok"], "watch"),
        ([("score", "ok")], ["one_sided"], "watch"),
        ([("column", "broken"), ("score", "ok")], [], "act"),
        ([("score", "drift")], ["ok"], "act"),
        ([("score", "ok")], ["ok", "concept_drift", "waiting"], "act"),
        (
            [("column", "insufficient_data"), ("score", "ok")],
            ["too_few"],
            "not enough data",
        ),
    ],
)
@pytest.mark.slow
def test_each_state_has_its_words(
    told: Path, findings: list[tuple[str, str]], states: list[str], expected: str
):
    names = {"column": MOVED, "missing": f"{MOVED} missing", "score": SCORE}
    figures = figured(*(finding(names[kind], kind, state) for kind, state in findings))
    metadata = read_artifact(next((told / "models").glob("*-*"))).metadata
    reference: Reference = metadata.reference
    counts = {
        name: np.array(each.counts)[::-1] for name, each in reference.columns.items()
    }
    counts[SCORE] = np.array(reference.score.counts)[::-1]
    made = weeks(*states)
    found = Found(figures, metadata, Compared(reference, counts), {})
    page = render(reported(found, made))

    said = Outline(page).said

    assert verdict(figures, made) == expected
    assert f"<h1><span>{expected}</span>" in page
    doings = {
        "healthy": "Nothing. Look again",
        "not enough data": "120 customers can show every change that matters.",
    }
    assert doings.get(expected, "What to do") in said
    if ("column", "broken") in findings:
        assert "No value arrives that the model knows from training." in said
    answers, weeks_said = 9 * len(states), Noun.of("week").count(len(states))
    assert f"of {answers} answers in {weeks_said}" in said
    if "concept_drift" in states:
        week = f"2026-W{5 + states.index('concept_drift'):02}"
        assert f"They contradict the predictions in {week}." in said


def headline(
    *findings: Finding, states: Sequence[str] = (), rows: int = 100, **known: Any
) -> tuple[str, str]:
    """Summarise findings, and weeks of these states: the headline, and since when."""
    figures = figured(*findings).model_copy(update={"rows": rows})
    score = freeze(np.linspace(0, 1, 100))
    reference = Reference(columns={}, score=score)
    counts = {SCORE: np.array(score.counts)[::-1]}
    found = Found(figures, None, Compared(reference, counts), {})
    summary = summarise(reported(found, weeks(*states), **known))
    return summary.headline, summary.since


SCORED = finding(SCORE, "score")


@pytest.mark.parametrize(
    ("findings", "states", "rows", "said"),
    [
        ([SCORED], [], 1, "The 1 customer asked about is like those of training."),
        ([SCORED], [], 1200, "The 1,200 customers asked about are like those of "),
        (
            [finding("a", state="insufficient_data"), SCORED],
            [],
            1,
            "1 customer is too few to show every change that matters.",
        ),
        (
            [finding("a", state="insufficient_data")],
            [],
            0,
            "No customer was asked about, so nothing can be told.",
        ),
        (
            [finding("a", state="insufficient_data", rows_needed=None)],
            [],
            9,
            "The training table is too small to show every change that matters.",
        ),
        (
            [finding("a", state="broken"), finding("b"), SCORED],
            [],
            9,
            "1 of 2 columns brings no value that the model knows from training: a.",
        ),
        (
            [finding("a", state="drift"), finding("b", state="drift"), SCORED],
            [],
            9,
            "2 of 2 columns moved since training; the predicted probabilities did not",
        ),
        (
            [finding(SCORE, "score", "drift")],
            [],
            9,
            "The model answers differently from training: ",
        ),
        (
            [SCORED],
            ["concept_drift", "ok"],
            9,
            "Outcomes contradicted the predictions in 1 week, last in the week from ",
        ),
        (
            [SCORED],
            ["one_sided", "ok"],
            9,
            "All outcomes of the week from 26 January 2026 are the same, ",
        ),
    ],
)
def test_the_headline_is_the_most_urgent_in_right_numbers(
    findings: list[Finding], states: list[str], rows: int, said: str
):
    assert headline(*findings, states=states, rows=rows)[0].startswith(said)


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (
            ["ok", "concept_drift", "concept_drift"],
            "week from 2 February 2026 (2 weeks)",
        ),
        (["concept_drift", "waiting"], "week from 26 January 2026 or before (1 week)"),
        (["ok", "ok", "waiting"], "in all 2 weeks that can be judged, since the week "),
    ],
)
def test_the_top_says_since_which_week_outcomes_are_so(states: list[str], said: str):
    assert said in headline(SCORED, states=states)[1]


@pytest.mark.parametrize(
    ("onsets", "said"),
    [
        ({}, "When the change began is not known: "),
        (
            {"a": Onset(BEGAN, timedelta(days=1), was_well=True)},
            "The change of a began about 3 February 2026.",
        ),
        (
            {"a": Onset(BEGAN, timedelta(hours=1), was_well=False)},
            "The change of a began before or on 3 February 2026 04:05 UTC.",
        ),
    ],
)
def test_the_top_says_since_when_a_column_is_so_as_exactly_as_is_known(
    onsets: dict[str, Onset], said: str
):
    assert headline(finding("a", state="drift"), onsets=onsets)[1].startswith(said)


@pytest.mark.slow
def test_the_beginning_of_a_change_is_found_in_the_log(
    told: Path, run: Run, tmp_path: Path
):
    folder = Path(
        shutil.copytree(
            told, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )
    (version,) = (folder / "models").glob("*-*")
    predictor, now = load_predictor(version, PROJECT), datetime.now(UTC)
    for days in range(6):
        values = customers(ROWS, days)
        if days < 3:
            values[MOVED] = moved(values[MOVED], movable())
        values[SCORE] = predictor.probabilities(values)
        time = now - timedelta(days=days, hours=2)
        ids = [f"c-{days}-{row}" for row in range(ROWS)]
        write_log(folder / "predictions", version.name, values, time=time, ids=ids)

    summary = json.loads(run(folder, "report", "--json").stdout)

    began = [now - timedelta(days=3), datetime.now(UTC) - timedelta(days=3)]
    assert any(f"began about {day(each)}." in summary["since"] for each in began)


def test_a_version_put_into_production_is_marked_where_it_was():
    scale = Scale(date(2026, 1, 5), timedelta(weeks=1), bars=4)

    places = [scale.place(datetime(2026, 1, day, tzinfo=UTC)) for day in (5, 12, 31)]

    assert places == pytest.approx([-0.5, 0.5, 0.5 + 19 / 7])
    assert scale.left <= places[0] <= places[-1] <= scale.right


def test_a_reader_is_told_which_rows_privacy_left_out(told: Path):
    metadata = read_artifact(next((told / "models").glob("*-*"))).metadata
    figures = figured(finding()).model_copy(update={"left_out": {MOVED: 40}})
    counts = {MOVED: np.array(metadata.reference.columns[MOVED].counts)}
    found = Found(figures, metadata, Compared(metadata.reference, counts), {})

    said = Outline(render(reported(found))).said

    assert (
        f"monitoring.privacy hid {MOVED} in 40 of 100 customers, "
        "so it is judged without those." in " ".join(said.split())
    )


def test_a_name_cannot_become_markup_or_a_formula(told: Path):
    metadata = read_artifact(next((told / "models").glob("*-*"))).metadata
    evil = "<script>alert('$x$')</script>"
    hidden = "\u202e\x1b"
    column = metadata.identity.columns[0].model_copy(
        update={"name": "kind", "description": evil}
    )
    trained = freeze(np.array([evil, hidden] * 50, dtype=object))
    reference = Reference(columns={"kind": trained}, score=metadata.reference.score)
    identity = metadata.identity.model_copy(update={"columns": (column,)})
    figures = figured(finding("kind", state="drift"))
    counts = {"kind": np.array([90, 10, 0, 0, 0])}
    found = Found(
        figures,
        metadata.model_copy(update={"identity": identity}),
        Compared(reference, counts),
        {},
    )

    page = render(reported(found))

    assert "<script" not in page
    assert f"have the value {evil}; in training it was 50%" in html.unescape(page)
    assert "&lt;script&gt;alert('$x…" in page  # the name of a bar, cut short
    assert r">\u202e\x1b<" in page
    assert all(line.isprintable() for line in page.split("\n"))


@pytest.mark.slow
def test_who_decided_and_why_is_text_whatever_it_holds(
    told: Path, run: Run, tmp_path: Path
):
    folder = Path(shutil.copytree(told, tmp_path / "own"))
    evil = (
        "<script>alert(1)</script>\x1b[1A\u202e\x9b\u2028<img src=x onerror=alert(1)>"
    )
    path = max((folder / "models/events").iterdir())
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"who": evil, "reason": evil})
    )

    done = run(folder, "report", "report.html")

    page = (folder / "report.html").read_text()
    assert done.returncode == 3, done.stderr
    assert not {tag for tag, _ in Outline(page).tags} & {"script", "img"}
    assert (
        html.unescape(page).count(r"<script>alert(1)</script>\x1b[1A\u202e\x9b <img")
        == 3
    )
    assert all(line.isprintable() for line in page.split("\n"))


@pytest.mark.parametrize(
    ("values", "counts", "said"),
    [
        (
            [1.0, 2.0] * 50,
            [10, 90, 0, 0, 0],
            "10% of customers have the value 1; in training it was 50%",
        ),
        (
            ["a"] * 100,
            [50, 0, 50, 0],
            "50% of customers have the value a; in training it was 100%",
        ),
        (
            list(range(1000)),
            [0] * 9 + [100, 0],
            "100% of customers are above 899; in training it was 10%",
        ),
        (
            list(range(1000)),
            [5] * 10 + [50],
            "50% of customers have no value; in training it was 0%",
        ),
    ],
)
def test_the_share_that_changed_most_is_named(
    values: list[Any], counts: list[int], said: str
):
    kind = object if isinstance(values[0], str) else float
    reference = Reference(
        columns={"x": freeze(np.array(values, dtype=kind))},
        score=freeze(np.arange(9.0)),
    )
    compared = Compared(reference, {"x": np.array(counts)})

    assert describe(finding("x", state="drift"), compared, CUSTOMER) == said


def test_every_text_stands_out_from_its_ground_in_light_and_dark(page: Path):
    light, dark = page.read_text().split("prefers-color-scheme", 1)
    light = dict(VARIABLE.findall(light))

    for colours in (light, light | dict(VARIABLE.findall(dark))):
        for text, ground in PAIRS:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert set(light) == set(VARIABLE.findall(dark) and dict(VARIABLE.findall(dark)))


def contrast(*colours: str) -> float:
    """Compute the ratio of WCAG 2.2, 1 to 21."""
    channels = np.array(
        [
            [int(each[place : place + 2], 16) / 255 for place in (1, 3, 5)]
            for each in colours
        ]
    )
    linear = np.where(
        channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    )
    low, high = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.needs("chromium")
@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_whole_and_legible(
    page: Path, tmp_path: Path, scheme: Scheme, width: int
):
    measured = measure(page, tmp_path, scheme, width=width)
    pixels = photograph(page, tmp_path, scheme, width=width)[..., :3]

    assert measured["scrolled"] <= measured["width"] == width
    assert measured["clipped"] == []
    assert len(measured["contrasts"]) >= 5
    assert min(measured["contrasts"].values()) >= 4.5, json.dumps(measured["contrasts"])
    assert (np.median(pixels[:1000]) > 0.5) == (scheme == "light")
    assert len(np.unique((pixels[:3000] * 15).astype(int).reshape(-1, 3), axis=0)) > 20
