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
from outline import check_loads_nothing
from own import PROJECT
from skewless.cli import compare_commands
from skewless.core.bootstrap import Interval
from skewless.core.errors import TrackingError
from skewless.core.metrics import SCORES, CalibrationBin
from skewless.testing import make_project, run_command
from skewless.training import comparison, tracking
from skewless.training.comparison import Candidate, Comparison, Costs, Curves, Row
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
    trained = None if costs is None else Candidate(name, {}, {}, costs)
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
    return Comparison(
        rows,
        left_out={},
        untuned={},
        chosen=chosen,
        data_sha256="",
        runtime="scikit-learn",
    )


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


def test_the_page_is_one_small_file_that_loads_nothing_and_runs_nothing():
    page = render_comparison(compared(WORSE), None, trials=0)

    check_loads_nothing(page, most_bytes=300_000)


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


def test_the_time_to_answer_is_said_to_be_that_of_what_would_be_served():
    page = render_comparison(compared(WORSE), None, trials=0)

    assert "a single row by scikit-learn" in page
    assert "ONNX" not in page


def test_the_legend_names_what_is_drawn_and_nothing_else():
    own = compared(WORSE)
    simulated = replace(own, rows=(*own.rows, row("best possible", BETTER)))

    assert "baseline, best possible" in render_comparison(simulated, None, trials=0)
    assert "best possible" not in render_comparison(own, None, trials=0)


def test_one_trial_is_one_and_intervals_are_explained_as_what_they_are():
    page = render_comparison(compared(), None, trials=1)

    assert "searched in 1 trial each" in page
    assert "about 95 of their intervals would hold the true score" in page


@pytest.mark.parametrize("name", ["taken", "taken/page.html", "taken/below/page.html"])
def test_a_page_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    folder = make_project(ROOT, tmp_path)
    (folder / "taken").write_text("a file, and no folder")
    monkeypatch.setattr(comparison, "read_training_data", None)

    done = run_command(PROJECT, folder, "compare", "--html", name)

    assert done.returncode == 2
    assert "name another" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.yaml",
        "requirements-dev.lock",
        "taken",
    ]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no folder takes no file here")
def test_a_folder_that_takes_no_file_is_named_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = make_project(ROOT, tmp_path)
    monkeypatch.setattr(comparison, "read_training_data", None)

    done = run_command(PROJECT, folder, "compare", "--html", "/proc/x.html")

    assert done.returncode == 2
    assert done.stderr.startswith("error: --html /proc/x.html: no file can be written")


def test_a_page_cannot_be_printed(tmp_path: Path):
    done = run_command(PROJECT, make_project(ROOT, tmp_path), "compare", "--html", "-")

    assert done.returncode == 2
    assert "name a file, for example compared.html" in done.stderr


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Comparison:
    """Compare nothing: the command gets this comparison."""
    found = compared(WORSE, chosen="b")
    monkeypatch.setattr(comparison, "compare", lambda *_, **__: found)
    return found


def test_what_was_compared_is_printed_though_the_page_fails(
    tmp_path: Path, quick: Comparison, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compare_commands, "replace_file", fail)

    done = run_command(
        PROJECT, make_project(ROOT, tmp_path), "compare", "--html", "page.html"
    )

    assert done.returncode == 1
    assert f"log loss more than {quick.rows[0].name}" in done.stdout
    assert "No space left on device). The comparison is above" in done.stderr


@pytest.mark.usefixtures("quick")
def test_the_page_is_written_though_mlflow_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        msg = "no server"
        raise TrackingError(msg)

    monkeypatch.setattr(tracking, "refuse_without_mlflow", lambda _: True)
    monkeypatch.setattr(tracking, "log_comparison", fail)
    folder = make_project(ROOT, tmp_path)

    done = run_command(PROJECT, folder, "compare", "--html", "page.html")

    assert done.returncode == TrackingError.exit_code
    assert "error: no server" in done.stderr
    assert (folder / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_who_interrupts_is_told_that_nothing_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, "compare", interrupted)
    folder = make_project(ROOT, tmp_path)

    done = run_command(PROJECT, folder, "compare", "--html", "page.html")

    assert done.returncode == 130
    assert done.stderr == (
        "interrupted: what was compared is lost, nothing was written\n"
    )
    assert not (folder / "page.html").exists()


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
