"""Every fault of config.yaml and of the environment is named.

The message has its path, what was found and what is allowed.
"""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import ROOT
from own import PROJECT
from skewless.core.config_file import load_config
from skewless.core.config_reference import config_schema
from skewless.core.errors import ConfigError
from skewless.core.settings import Settings, load_settings
from skewless.core.yaml_document import Loader


def edited(project: Path, key: str, value: Any) -> Path:
    """Set a key, given by its full path, to a value; None removes it."""
    path = project / "config.yaml"
    document = yaml.safe_load(path.read_text())
    *sections, last = key.split(".")
    section = document
    for name in sections:
        section = section[name]
    section[last] = value
    if value is None:
        del section[last]
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (
            "decision.threshold",
            1.5,
            r"decision\.threshold: found 1.5; .* less than or equal to 1",
        ),
        (
            "decision.threshold",
            "high",
            r"decision\.threshold: found 'high'; .* valid number",
        ),
        (
            "decision.threshold",
            math.nan,
            r"decision\.threshold: found .*nan.*; .* finite number",
        ),
        ("decision.threshold", None, r"decision\.threshold: missing"),
        (
            "decision.treshold",
            0.5,
            r"decision\.treshold: unknown key, found 0.5; allowed are threshold, ",
        ),
        ("decision", None, r"decision: missing"),
        (
            "decision.threshold",
            0.3,
            r"decision: found .* the tier is LOW, .* allow_low_tier_positive: true",
        ),
        (
            "model.estimator",
            "svm",
            r"model\.estimator: found 'svm'; it is one of hist_gradient_boosting, ",
        ),
        ("model.estimator", None, r"model\.estimator: missing; it is one of hist_"),
        (
            "model.max_depth",
            3,
            r"model\.max_depth: a key of xgboost, and not of .*, max_leaf_nodes, ",
        ),
        (
            "model.num_leaves",
            3,
            r"model\.num_leaves: a key of lightgbm, and not of what is chosen here",
        ),
        ("model.depth", 3, r"model\.depth: unknown key, found 3; allowed are version"),
        ("data.sample.rows", 3000.5, r"data\.sample\.rows: found 3000.5; .* integer"),
        (
            "data.sample.rows",
            "3000",
            r"data\.sample\.rows: found '3000'; .* valid integer",
        ),
        ("data.sample.rows", True, r"data\.sample\.rows: found True; .* valid integer"),
        ("model.version", "v1", r"model\.version: found 'v1'; .* pattern"),
        (
            "model.calibration",
            "platt",
            r"model\.calibration: found 'platt'; .*'isotonic'",
        ),
        (
            "decision.medium_risk",
            1.0,
            r"decision: .*medium_risk 1.0 must be at most high_risk",
        ),
        ("model.random_state", 2**33, r"model\.random_state: found 8589934592"),
        ("data.holdout_salt", "é" * 64, r"data\.holdout_salt: found 'éé"),
        ("baseline.cuts", [2.0, 1.0], r"baseline: .*cuts must increase"),
        ("baseline.probabilities", [0.5], r"baseline: .* cuts need \d+ probabilities"),
    ],
)
@pytest.mark.slow
def test_a_wrong_value_is_refused_by_its_full_path(
    project: Path, key: str, value: Any, told: str
):
    path = edited(project, key, value)

    with pytest.raises(ConfigError, match=told):
        load_config(path, PROJECT)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model:\n  max_iter: 1\n  max_iter: 2\n", "the key 'max_iter' stands twice"),
        ("- 1\n", r"the file: found \[1\]"),
        ("", "the file: found None"),
        ("2020-01-01: 1\n", "the file: missing|unknown key"),
        ("data: !!binary aGk=\n", "not valid YAML"),
        ("data: &x [*x]\n", "not valid YAML"),
        ("[" * 5000, "values are nested deeper than 20"),
        ("data: " + "[" * 400 + "]" * 400, "values are nested deeper than 20"),
        ("1: 1\n'1': 2\n", "the key 1 must be text"),
        ("[a]: 1\n", "must be text"),
        ("data: !!timestamp 2026-01-01\n", "the tag .*timestamp' is not taken"),
        ("data: !!python/object:os.system {}\n", "is not taken"),
        ("x: &x {a: 1}\ny: {<<: *x}\n", "y: unknown key"),
        ("data: " + "9" * 5000, "not valid YAML"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(
    tmp_path: Path, text: str, told: str
):
    path = tmp_path / "config.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=told):
        load_config(path, PROJECT)


def test_all_faults_are_told_at_once(project: Path):
    edited(project, "decision.threshold", 2)
    path = edited(project, "model.random_state", "x")

    with pytest.raises(ConfigError) as refused:
        load_config(path, PROJECT)

    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize("levels", [7, 60])
def test_a_few_lines_of_aliases_that_mean_millions_of_values_are_refused_at_once(
    tmp_path: Path, levels: int
):
    path = tmp_path / "config.yaml"
    aliases = (
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)
    )
    path.write_text("\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x, x]", *aliases]))

    with pytest.raises(
        ConfigError,
        match="more than 10,000 keys and values, with each alias written out",
    ):
        load_config(path, PROJECT)


def test_an_alias_that_stands_for_little_is_taken(project: Path):
    path = project / "config.yaml"
    text = path.read_text()
    path.write_text(
        text.replace("random_state: 42", "random_state: &seed 42", 1).replace(
            "random_state: 42", "random_state: *seed"
        )
    )

    assert (
        load_config(path, PROJECT).data.sample.random_state
        == load_config(path, PROJECT).model.random_state
        == 42
    )


@pytest.mark.slow
def test_many_keys_are_refused_at_once(tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text("".join(f"k{number}: 1\n" for number in range(60_000)))

    with pytest.raises(ConfigError, match="more than 10,000 keys"):
        load_config(path, PROJECT)


def test_a_file_that_is_too_large_for_a_configuration_is_not_read(tmp_path: Path):
    path = tmp_path / "config.yaml"
    with path.open("wb") as file:
        # takes no room on the disk, and would take all memory
        file.truncate(100 * 2**30)

    with pytest.raises(ConfigError, match=r"larger than 1,048,576 bytes.*CHURN_CONFIG"):
        load_config(path, PROJECT)


def with_plain(project: Path, key: str, written: str) -> Path:
    """Set a key to what a person may type, letter for letter."""
    path = edited(project, key, "placeholder")
    path.write_text(path.read_text().replace("placeholder", written))
    return path


@pytest.mark.parametrize(
    "written",
    ["1:30", "190:20:30", "017", "0o17", "0x1F", "0b11", "1_000", "1e3", "1.0", "ten"],
)
def test_only_a_decimal_number_is_a_number_of_rows(project: Path, written: str):
    with pytest.raises(
        ConfigError,
        match=r"data\.sample\.rows: found .*; Input should be a valid integer",
    ):
        load_config(with_plain(project, "data.sample.rows", written), PROJECT)


@pytest.mark.parametrize("written", ["on", "off", "yes", "No", "y", "N", "1", "'true'"])
def test_only_true_and_false_are_truth_values(project: Path, written: str):
    with pytest.raises(
        ConfigError,
        match=r"data\.format\.row_ids: found .*; Input should be a valid boolean",
    ):
        load_config(with_plain(project, "data.format.row_ids", written), PROJECT)


@pytest.mark.parametrize(
    "written", ["on", "no", "1:30", "2026-01-01", "017", "0x1F", "1_000", "<<", "="]
)
def test_what_a_person_typed_as_text_stays_as_it_was_typed(project: Path, written: str):
    assert (
        load_config(
            with_plain(project, "data.holdout_salt", written), PROJECT
        ).data.holdout_salt
        == written
    )


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e-3", 0.001), ("1", 1.0), (".5", 0.5), ("5.0e-1", 0.5), ("+0.25", 0.25)],
)
def test_a_number_may_be_written_as_people_write_it(
    project: Path, written: str, value: float
):
    assert (
        load_config(
            with_plain(project, "model.learning_rate", written), PROJECT
        ).model.learning_rate
        == value
    )


def test_an_error_says_how_to_write_what_stayed_text(project: Path):
    with pytest.raises(
        ConfigError,
        match=r"found '1:30'; .* valid integer; write a whole number like 1000",
    ):
        load_config(with_plain(project, "data.sample.rows", "1:30"), PROJECT)


@pytest.mark.parametrize("bad", [r"a\0b", r"\ud800"])
@pytest.mark.parametrize(
    "key", ["data.path", "registry.path", "data.holdout_salt", "baseline.column"]
)
def test_a_text_that_no_path_can_hold_is_named_with_its_key(
    project: Path, key: str, bad: str
):
    with pytest.raises(
        ConfigError, match=rf"{key}: found .*must not hold NUL"
    ) as refused:
        load_config(with_plain(project, key, f'"{bad}"'), PROJECT)

    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("key", [r"x\0", r"\ud800", r"\e[31m"])
def test_a_key_that_is_no_text_is_named_by_its_code(project: Path, key: str):
    path = project / "config.yaml"
    path.write_text(path.read_text() + f'\n"{key}": 1\n')

    with pytest.raises(
        ConfigError, match="the key holds a control character"
    ) as refused:
        load_config(path, PROJECT)

    assert str(refused.value).isprintable()


class Dumper(yaml.SafeDumper):
    """Quotes text that the project's reader would take for something else."""

    yaml_implicit_resolvers = Loader.yaml_implicit_resolvers


@settings(deadline=None)
@given(
    salt=st.text(
        st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64
    )
    | st.sampled_from(
        [
            "1e3",
            "1:30",
            "no",
            "null",
            "~",
            "017",
            "=",
            "<<",
            "2026-01-01",
            ".nan",
            "0x1F",
        ]
    ),
    rate=st.floats(0, 1, exclude_min=True),
    rows=st.integers(1, 100_000_000),
    missing=st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]))),
)
@pytest.mark.slow
def test_a_configuration_written_and_read_again_is_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    salt: str,
    rate: float,
    rows: int,
    missing: list[str],
):
    document = load_config(ROOT / "config.yaml", PROJECT).model_dump(mode="json")
    document["data"]["holdout_salt"] = salt
    document["data"]["sample"]["rows"] = rows
    document["data"]["format"]["missing"] = missing
    document["model"]["learning_rate"] = rate
    path = tmp_path_factory.mktemp("written") / "config.yaml"
    path.write_text(
        yaml.dump(document, Dumper=Dumper, allow_unicode=True), encoding="utf-8"
    )

    assert load_config(path, PROJECT).model_dump(mode="json") == document


@pytest.mark.posix
@pytest.mark.parametrize(
    "name", ["CONFIG", "REGISTRY_URL", "SIGNING_KEY", "PUBLIC_KEY"]
)
def test_a_variable_that_is_no_utf_8_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv(f"CHURN_{name}", "hidden\udcff")

    with pytest.raises(ConfigError, match=f"CHURN_{name}: .*text in UTF-8") as refused:
        load_settings(PROJECT.prefix)

    assert ("hidden" in str(refused.value)) == (not name.endswith("KEY"))


def test_a_nul_in_a_dotenv_file_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / ".env").write_bytes(b"CHURN_REGISTRY_URL=a\0b\n")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(
        ConfigError, match=r"CHURN_REGISTRY_URL: .*without the character NUL"
    ):
        load_settings(PROJECT.prefix)


@pytest.mark.parametrize("name", ["a\0b", "a\udcffb"])
def test_a_name_that_no_file_can_have_is_told_so_that_a_terminal_can_show_it(name: str):
    with pytest.raises(ConfigError, match="cannot be read") as refused:
        load_config(Path(name), PROJECT)

    assert str(refused.value).isprintable()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_configuration_that_cannot_be_read_is_refused(
    tmp_path: Path, content: bytes | None
):
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"cannot be read .*CHURN_CONFIG"):
        load_config(path, PROJECT)


def test_a_configuration_cannot_be_changed_once_loaded(project: Path):
    config = load_config(project / "config.yaml", PROJECT)

    with pytest.raises(ValueError, match="frozen"):
        config.model.random_state = 1


def test_the_committed_schema_is_the_codes():
    assert (ROOT / "config.schema.json").read_text() == config_schema(PROJECT), (
        "run `make schema`"
    )


def test_every_number_in_the_configuration_says_its_unit_or_range():
    lines = (ROOT / "config.yaml").read_text().splitlines()

    bare = [
        line for line in lines if re.search(r": *[\[0-9]", line) and "#" not in line
    ]

    assert bare == []


def test_text_that_looks_like_a_date_stays_text(project: Path):
    path = edited(project, "data.holdout_salt", "S")
    path.write_text(
        path.read_text().replace("holdout_salt: S", "holdout_salt: 2026-1-1")
    )

    assert load_config(path, PROJECT).data.holdout_salt == "2026-1-1"


def test_a_dotenv_file_that_is_no_text_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match="must be UTF-8"):
        load_settings(PROJECT.prefix)


def test_the_environment_names_the_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("CHURN_CONFIG", str(tmp_path / "other.yaml"))

    assert load_settings(PROJECT.prefix).config == tmp_path / "other.yaml"


def test_a_dotenv_file_is_read_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / ".env").write_text("CHURN_CONFIG=from-file.yaml\n")
    monkeypatch.chdir(tmp_path)

    from_file = load_settings(PROJECT.prefix).config
    monkeypatch.setenv("CHURN_CONFIG", "from-environment.yaml")

    assert (str(from_file), str(load_settings(PROJECT.prefix).config)) == (
        "from-file.yaml",
        "from-environment.yaml",
    )


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_url_of_the_environment_is_not_set(
    monkeypatch: pytest.MonkeyPatch, empty: str
):
    names = [name for name in Settings.model_fields if name.endswith("_url")]
    for name in names:
        monkeypatch.setenv(f"CHURN_{name.upper()}", empty)

    assert {getattr(load_settings(PROJECT.prefix), name) for name in names} == {None}
    assert names


def test_a_malformed_url_of_the_environment_is_one_fault_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("CHURN_REGISTRY_URL", "postgresql://u:SE@CRET@127.0.0.1:1/db")

    with pytest.raises(
        ConfigError, match=r"^CHURN_REGISTRY_URL: found .*percent-encode"
    ) as refused:
        load_settings(PROJECT.prefix)

    assert len(str(refused.value).splitlines()) == 1
    assert "CRET" not in str(refused.value)
