"""Values of config.yaml are set and taken out; its comments and other keys stay."""

import pytest
import yaml

from conftest import ROOT
from own import PROJECT
from skewless.core.config_text import with_settings
from skewless.core.sections import choices

TEXT = (ROOT / "config.yaml").read_text(encoding="utf-8")


def test_the_settings_keep_their_comments_and_the_other_keys():
    changed = with_settings(
        TEXT,
        {"data.path": "data/ä b.csv", "features": {}, "baseline.cuts": [1, 2.5]},
        comments={},
    )

    assert "# the training table, CSV or Parquet" in changed
    before, after = yaml.safe_load(TEXT), yaml.safe_load(changed)
    assert after["data"]["path"] == "data/ä b.csv"
    assert after["features"] == {}
    assert after["baseline"] == before["baseline"] | {"cuts": [1, 2.5]}
    assert {name for name in before if before[name] != after[name]} == {
        "data",
        "features",
        "baseline",
    }


@pytest.mark.parametrize("estimator", choices(PROJECT.config, "model"))
def test_the_comment_of_the_estimator_stays_true_whichever_is_chosen(estimator: str):
    changed = with_settings(TEXT, {"model.estimator": estimator}, comments={})

    (line,) = [each for each in changed.splitlines() if "  estimator: " in each]
    assert line.startswith(f"  estimator: {estimator} ")
    assert estimator in changed.partition("# one of ")[2].partition(";")[0]


def test_a_comment_of_several_lines_stays_where_its_value_changes():
    text = "model:\n  a: 1  # this,\n        # and that\n  b: 2\n"

    changed = with_settings(text, {"model.a": 5}, comments={})

    assert changed == text.replace("a: 1", "a: 5")


def test_a_new_key_has_its_comment_in_the_column_of_those_beside_it():
    text = "model:\n  a: 1             # this\n  bc: 'x # y'      # that\n\nother: {}\n"

    changed = with_settings(
        text,
        {"model.rate": 0.00005, "model.longer_than_that": 1},
        comments={"rate": "how fast", "longer_than_that": "how long"},
    )

    assert changed.splitlines()[3:6] == [
        "  rate: 0.00005    # how fast",
        "  longer_than_that: 1  # how long",
        "",
    ]


def test_keys_are_taken_out_and_one_that_is_absent_is_passed_over():
    text = "model:\n  a: 1  # this\n  b:\n    - 2\n  c: 3\nother: {}\n"

    changed = with_settings(
        text, {"model.d": 4}, comments={}, removed=("model.b", "model.x")
    )

    assert changed == "model:\n  a: 1  # this\n  c: 3\n  d: 4\nother: {}\n"


@pytest.mark.parametrize(
    "text", ["data: {path: a.csv}\n", "data:\n  path: a.csv\n  more:\n  - 1\n  - 2\n"]
)
def test_a_configuration_that_is_laid_out_otherwise_is_refused_and_no_crash(text: str):
    with pytest.raises(LookupError, match="lay it out as the template does"):
        with_settings(text, {"data.path": "b.csv", "data.more": "x"}, comments={})
