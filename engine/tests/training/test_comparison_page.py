"""The page says in words what the differences show, and draws them."""

import html
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from browser import Scheme, measure, photograph
from conftest import ROOT
from own import PROJECT
from skewless.core.bootstrap import Interval
from skewless.core.metrics import SCORES, CalibrationBin
from skewless.testing import make_project, run_command
from skewless.training.comparison import Comparison, Costs, Curves, Row, Trained
from skewless.training.comparison_page import judge, render_comparison, rivals
from skewless.training.proposal import Proposal

SAME = Interval(0.0, 0.0, 0.0)
UNSURE = Interval(0.01, -0.01, 0.03)
WORSE = Interval(0.02, 0.01, 0.03)
BETTER = Interval(-0.02, -0.03, -0.01)
TENTH = CalibrationBin(predicted=0.3, observed=0.4, rows=10)
EVIL = "<script>alert('$x$')</script>\u202e\x1b"


def row(name: str, behind: Interval, *, costs: Costs | None = None) -> Row:
    """Make the row of an estimator; of what it is compared with if it costs nothing."""
    scores = dict.fromkeys(SCORES, Interval(0.7, 0.6, 0.8))
    trained = None if costs is None else Trained(name, {}, {}, costs)
    curves = Curves((0.0, 0.5, 1.0), (0.0, 0.8, 1.0), (TENTH, TENTH))
    return Row(name, scores, scores, behind, curves, trained)


def compared(
    *others: Interval, baseline: Interval = WORSE, chosen: str | None = "a"
) -> Comparison:
    """Make a comparison that `a` has won; the others are b, c and so on."""
    costs = Costs(0.5, 12.0, 2048)
    estimators = [
        row(name, behind, costs=costs)
        for name, behind in zip("abcd", (SAME, *others), strict=False)
    ]
    rows = (*estimators, row("baseline", baseline))
    return Comparison(rows, left_out={}, untuned={}, chosen=chosen, data_sha256="")


@pytest.mark.parametrize(
    ("found", "tone", "word", "sentence"),
    [
        (
            compared(WORSE, WORSE),
            "good",
            "one is best",
            "a is better than every other estimator, by more than chance explains.",
        ),
        (
            compared(UNSURE, UNSURE, WORSE),
            "good",
            "several are as good",
            (
                "a comes first; chance explains the distance to b and c. "
                "The rest is worse."
            ),
        ),
        (
            compared(UNSURE),
            "good",
            "several are as good",
            "a comes first; chance explains the distance to b.",
        ),
        (
            compared(),
            "good",
            "better than the baseline",
            "a beats it by more than chance explains.",
        ),
        (
            compared(WORSE, baseline=UNSURE),
            "bad",
            "no better than the baseline",
            (
                "a comes first among the estimators, and chance explains its distance "
                "to the baseline."
            ),
        ),
        (
            compared(WORSE, baseline=BETTER),
            "bad",
            "no better than the baseline",
            "a comes first among the estimators, and is worse than the baseline.",
        ),
    ],
)
def test_what_is_said_follows_from_the_paired_differences(
    found: Comparison, tone: str, word: str, sentence: str
):
    verdict = judge(found, has_proposal=False)

    assert (verdict.tone, verdict.word, verdict.sentence) == (tone, word, sentence)
    assert word in render_comparison(found, None, trials=0)


@pytest.mark.parametrize(
    ("found", "to_do"),
    [
        (compared(WORSE, chosen="a"), "Nothing: config.yaml has a."),
        (compared(UNSURE, chosen="b"), "Nothing has to change: config.yaml has b"),
        (compared(WORSE, chosen="b"), "config.yaml has b, which is worse"),
        (compared(WORSE, chosen=None), "estimator of config.yaml was not compared"),
        (compared(baseline=UNSURE), "Look at the table and the features first"),
    ],
)
def test_what_to_do_depends_on_what_config_yaml_has(found: Comparison, to_do: str):
    assert to_do in judge(found, has_proposal=False).to_do[0]


def test_the_baseline_is_drawn_beside_the_best_only_where_nothing_else_is():
    assert [each.name for each in rivals(compared(WORSE))] == ["b"]
    assert [each.name for each in rivals(compared())] == ["baseline"]


def test_a_proposed_change_is_on_the_page_as_it_is():
    diff = (
        "--- a/config.yaml\n+++ b/config.yaml\n@@ -1 +1 @@\n-  a: 1    # <x>\n+  a: 2\n"
    )
    proposal = Proposal({"estimator": "a"}, (), diff)

    page = render_comparison(compared(), proposal, trials=3)

    assert html.unescape(page.split("<pre>")[1].split("</pre>")[0]) == diff
    assert "&lt;x&gt;" in page
    assert "searched in 3 trials each" in page


def test_a_name_cannot_become_markup_or_a_formula():
    found = compared(WORSE)
    rows = (*found.rows[:1], replace(found.rows[1], name=EVIL), *found.rows[2:])
    left_out = {"x": EVIL}

    page = render_comparison(
        replace(found, rows=rows, left_out=left_out), None, trials=0
    )

    assert "<script" not in page
    assert "<script>alert('$x$')</script>\\u202e\\x1b" in html.unescape(page)
    assert all(line.isprintable() for line in page.split("\n"))


def test_an_estimator_without_an_onnx_form_is_named_and_drawn_where_it_can_be():
    found = compared(WORSE)
    costs = Costs(0.5, None, None)
    rows = (*found.rows[:1], row("b", WORSE, costs=costs), *found.rows[2:])

    page = render_comparison(replace(found, rows=rows), None, trials=0)

    assert "b: no ONNX form" in page


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project in which a comparison wrote its page; do not change it."""
    folder = make_project(ROOT, tmp_path_factory.mktemp("page"), model={"max_iter": 20})
    run_command(PROJECT, folder, "sample")
    words = ("compare", "logistic_regression", "hist_gradient_boosting")
    done = run_command(PROJECT, folder, *words, "--html", "page.html", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["rows"]) == 4
    return folder


@pytest.mark.slow
def test_the_page_is_one_small_file_that_loads_nothing_and_tells_what_it_draws(
    written: Path,
):
    page = (written / "page.html").read_text()

    assert len(page.encode()) < 300_000
    assert not re.search("https?:", page)
    assert not re.search("<(script|link|img|iframe|object|embed|base)", page)
    assert page.count("<h1") == 1
    pictures = re.findall("<svg[^>]*>", page)
    assert len(pictures) == 1 + len(SCORES) + 2 + 3
    assert all(re.search('role="img" aria-label="[^"]{20}', each) for each in pictures)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.slow
def test_a_page_that_is_there_is_kept_unless_told_otherwise(
    written: Path, tmp_path: Path
):
    own = Path(shutil.copytree(written, tmp_path / "own"))
    (own / "page.html").write_text("mine")
    words = ("compare", "logistic_regression", "--html", "page.html")

    refused = run_command(PROJECT, own, *words)
    kept = (own / "page.html").read_text()
    done = run_command(PROJECT, own, *words, "--overwrite")

    assert (refused.returncode, kept) == (2, "mine")
    assert "page.html exists already" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert (own / "page.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.slow
@pytest.mark.needs("chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_fits_and_can_be_read_in_light_and_dark(
    written: Path, tmp_path: Path, scheme: Scheme, width: int
):
    page = written / "page.html"

    seen = measure(page, tmp_path, scheme, width=width)
    pixels = photograph(page, tmp_path, scheme, width=width)

    assert seen["scrolled"] <= seen["width"]
    assert seen["clipped"] == []
    assert min(seen["contrasts"].values()) >= 4.5
    assert (pixels[-1, 0, :3].mean() > 0.5) == (scheme == "light")
