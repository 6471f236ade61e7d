"""The command line: what a person types, reads, and what a script gets back."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from churn_service.schema import Customer
from conftest import TABLE
from fields import field
from own import CONTRACT, ID, PROJECT, TARGET
from skewless.core.config_file import load_config
from skewless.core.escaping import code, in_markdown
from skewless.tables.table import read_table, write_table

COMMANDS = [
    ["sample"],
    ["train"],
    ["evaluate"],
    ["example"],
    ["score"],
    ["doctor"],
    ["registry", "list"],
    ["registry", "history"],
    ["registry", "show"],
    ["registry", "verify"],
    ["registry", "sign"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.slow
def test_every_command_has_help_with_an_example(words: list[str], project: Path, run):
    done = run(project, *words, "--help")

    assert done.returncode == 0
    assert "Example: " in done.stdout


def test_the_example_is_a_valid_record(project: Path, run):
    done = run(project, "example")

    assert (
        Customer.model_validate_json(done.stdout).model_dump(mode="json")
        == CONTRACT.example()
    )


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_sample_writes_the_wanted_rows_by_suffix_and_replaces_nothing_unasked(
    project: Path, name: str, run
):
    first = run(project, "sample", name, "--rows", 123)
    again = run(project, "sample", name)

    assert first.returncode == 0, first.stderr
    assert len(read_table(project / name, CONTRACT)) == 123
    assert (again.returncode, "--overwrite" in again.stderr) == (2, True)


def test_sample_refuses_a_file_of_another_kind(project: Path, run):
    done = run(project, "sample", "t.xlsx")

    assert (done.returncode, "allowed are .csv and .parquet" in done.stderr) == (
        3,
        True,
    )
    assert not (project / "t.xlsx").exists()


def test_training_without_a_table_says_how_to_get_one(project: Path, run):
    done = run(project, "train")

    assert (done.returncode, "`sample` simulates one" in done.stderr) == (3, True)
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_training_on_a_bad_table_names_every_fault_and_writes_them_where_asked(
    trained: Path, tmp_path: Path, run
):
    bad = Path(shutil.copytree(trained, tmp_path / "bad"))
    table = read_table(bad / "data/table.csv", CONTRACT).reset_index(drop=True)
    table.loc[3, TARGET] = 2
    table.loc[4, ID] = table.loc[5, ID]
    write_table(table, bad / "data/table.csv", CONTRACT)

    done = run(bad, "train", "--faults", "faults.csv")

    faults = pd.read_csv(bad / "faults.csv")
    assert done.returncode == 3
    assert f"{TARGET}: must be" in done.stderr
    assert f"{ID}: must be unique; cells: 1, rows 6" in done.stderr
    assert set(faults["row"]) == {4, 6}
    assert len(list((bad / "models").glob("*-*"))) == 1


@pytest.mark.slow
def test_the_list_of_faults_replaces_no_file_and_its_name_is_checked_before_the_work(
    trained: Path, tmp_path: Path, run
):
    own = Path(shutil.copytree(trained, tmp_path / "own"))
    before = (own / "data/table.csv").read_bytes()

    onto_the_table = run(own, "train", "--faults", "data/table.csv")
    of_another_kind = run(own, "train", "--faults", "faults.txt")

    assert (onto_the_table.returncode, of_another_kind.returncode) == (2, 3)
    assert (own / "data/table.csv").read_bytes() == before


def test_a_column_without_any_value_is_refused_by_name(
    trained: Path, tmp_path: Path, run
):
    nullable = field("integer", "number", "boolean", nullable=True)
    own = Path(shutil.copytree(trained, tmp_path / "own"))
    table = read_table(own / "data/table.csv", CONTRACT)
    write_table(table.assign(**{nullable.name: None}), own / "data/table.csv", CONTRACT)

    done = run(own, "train")

    assert (done.returncode, nullable.name in done.stderr) == (3, True)
    assert "Traceback" not in done.stderr


def test_too_few_customers_to_train_on_are_refused_with_what_to_do(project: Path, run):
    run(project, "sample")
    few = read_table(project / TABLE, CONTRACT).groupby(TARGET).head(4)
    write_table(few, project / TABLE, CONTRACT)

    done = run(project, "train")

    assert (done.returncode, "holdout_fraction" in done.stderr) == (3, True)


@pytest.mark.slow
def test_a_model_that_knows_nothing_of_real_customers_says_so(
    trained: Path, version: Path, run
):
    assert "this model knows nothing of your data" in run(trained, "train").stdout
    assert "**The table is the simulator's.**" in (version / "card.md").read_text()


def test_sample_if_absent_leaves_a_table_alone(trained: Path, run):
    before = (trained / "data/table.csv").read_bytes()

    done = run(trained, "sample", "--if-absent")

    assert (done.returncode, done.stdout) == (0, "")
    assert (trained / "data/table.csv").read_bytes() == before


def test_an_error_of_the_system_is_told_without_a_trace(project: Path, run):
    done = run(project, "sample", "/dev/null/t.csv")

    assert done.returncode == 1
    assert done.stderr.startswith("error: ")


@pytest.mark.slow
def test_results_are_json_where_asked(trained: Path, run):
    trained_again = json.loads(run(trained, "train", "--json").stdout)
    evaluated = json.loads(run(trained, "evaluate", "--json").stdout)
    listed = [
        json.loads(line)
        for line in run(trained, "registry", "list", "--json").stdout.splitlines()
    ]
    shown = json.loads(run(trained, "registry", "show", "--json").stdout)

    assert (
        trained_again["version"]
        == evaluated["version"]
        == listed[0]["version"]
        == shown["version"]
    )
    assert set(evaluated["metrics"]) == {"model", "baseline", "best possible"}
    assert evaluated["metrics"] == shown["metrics"]


def test_the_model_is_shown_beside_the_baseline_and_the_best_possible(
    trained: Path, run
):
    done = run(trained, "evaluate")

    assert done.returncode == 0
    for heading in ("model", "baseline", "best possible", "roc auc", "brier"):
        assert heading in done.stdout


def test_the_card_documents_every_field_metric_and_source(
    trained: Path, version: Path, run
):
    card = run(trained, "registry", "show").stdout

    assert card.startswith((version / "card.md").read_text().strip())
    assert f"register {version.name} by " in card
    for column in CONTRACT.columns:
        cells = (
            code(column.name, cell=True),
            in_markdown(column.rule),
            in_markdown(column.description),
        )
        assert f"| {' | '.join(cells)} |" in card
    for part in (
        "Intended use",
        "Limits",
        "baseline",
        "roc.svg",
        "calibration.svg",
        "SHA-256",
        "git commit",
    ):
        assert part in card
    assert "Undefined" not in card


@pytest.mark.parametrize("name", ["roc.svg", "calibration.svg"])
def test_the_cards_pictures_are_small_self_contained_svg(version: Path, name: str):
    picture = (version / name).read_text()

    assert picture.lstrip().startswith("<?xml")
    assert len(picture) < 60_000
    assert "<script" not in picture
    assert 'xlink:href="http' not in picture


def test_verify_finds_every_damaged_version(trained: Path, tmp_path: Path, run):
    damaged = Path(shutil.copytree(trained, tmp_path / "damaged"))
    (folder,) = (damaged / "models").glob("*-*")
    other = Path(shutil.copytree(folder, folder.with_name("0.1.0-00000000")))
    (folder / "model.joblib").write_bytes(b"")

    good, bad = run(trained, "registry", "verify"), run(damaged, "registry", "verify")

    assert (good.returncode, folder.name in good.stdout) == (0, True)
    assert bad.returncode == 3
    assert f"{folder.name}/model.joblib" in bad.stderr
    assert f"{other.name}: holds version {folder.name}" in bad.stderr


@pytest.mark.parametrize(
    "words",
    [["evaluate"], ["score", "data/table.csv", "out.csv"], ["registry", "show"]],
)
def test_without_a_version_a_command_says_how_to_make_one(
    project: Path, words: list[str], run
):
    run(project, "sample")

    done = run(project, *words)

    assert (done.returncode, "`train`" in done.stderr) == (3, True)


@pytest.mark.parametrize("name", ["0.1.0-00000000", "../../etc", "Newest"])
def test_an_unknown_version_is_refused(trained: Path, name: str, run):
    done = run(trained, "evaluate", "--version", name)

    assert (done.returncode, "registry list" in done.stderr) == (3, True)


def test_a_wrong_configuration_ends_with_two_and_no_trace(project: Path, run):
    (project / "config.yaml").write_text("data: 1\n")

    done = run(project, "train")

    assert (done.returncode, "data: found 1" in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr


def test_relative_paths_start_from_the_configurations_folder(
    trained: Path, tmp_path: Path, run
):
    done = run(tmp_path, "registry", "list", "--config", trained / "config.yaml")

    assert done.returncode == 0
    assert load_config(trained / "config.yaml", PROJECT).model.version in done.stdout


def test_no_made_up_table_takes_the_place_of_ones_own(project: Path, run):
    done = run(project, "sample", "--if-absent")
    own = run(project, "sample", "data/customers.csv", "--if-absent")

    assert (done.returncode, "it is no table of the simulator's" in done.stderr) == (
        3,
        True,
    )
    assert not (project / TABLE).exists()
    assert (own.returncode, (project / "data/customers.csv").exists()) == (0, True)
