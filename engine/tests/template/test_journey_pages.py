"""The pages that take a notebook into production are done as they stand.

They are done in a copy of the project.
"""

import contextlib
import io
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from conftest import ROOT
from pages import Block, Clone, read_page

FIRST = read_page("from-your-notebook.md")
NOTEBOOK = [block.text for block in FIRST if block.place == "notebook.py"]


def served(block: object) -> bool:
    return "churn-service serve" in block.text


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a copy of the project with the notebook moved in; do not change it."""
    clone = Clone(tmp_path_factory.mktemp("moved") / "clone").fill()
    clone.follow([block for block in FIRST if not served(block)])
    return clone


@pytest.fixture
def clone(moved: Clone, tmp_path: Path) -> Clone:
    """Return a copy that a page may go on with."""
    return moved.copy(tmp_path / "clone")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (made,) = (block.text for block in FIRST if block.place == "subscribers.py")
    exec(made, {})  # noqa: S102 - the page's own words
    return tmp_path / "subscribers.csv"


def run_notebook(cells: int) -> dict:
    """Run the first cells of the notebook, and return what it knows then."""
    known: dict = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec("".join(NOTEBOOK[:cells]), known)  # noqa: S102 - the page's own words
    return known


def test_the_notebook_loses_north_america(table: Path):
    assert "\nNA," not in table.read_text()
    assert ",NA," in table.read_text()

    assert set(run_notebook(1)["df"]["region"].dropna()) == {"EU", "APAC"}


def test_the_notebooks_features_depend_on_other_rows_and_on_rows_held_out(table: Path):
    before = run_notebook(2)["X"]
    rows = pd.read_csv(table, keep_default_na=False, na_values=[""])
    missing, other = (
        rows["support_calls"].isna().idxmax(),
        rows["support_calls"].notna().idxmax(),
    )
    rows.loc[other, "support_calls"] += 1_000
    rows.to_csv(table, index=False)

    after = run_notebook(2)["X"]

    assert after["support_calls"][missing] != before["support_calls"][missing]


@pytest.mark.usefixtures("table")
@pytest.mark.slow
def test_the_notebook_splits_otherwise_in_every_run():
    first, second = run_notebook(3), run_notebook(3)

    assert set(first["X_test"].index) != set(second["X_test"].index)


@pytest.mark.usefixtures("table")
def test_the_notebooks_model_cannot_be_asked_about_one_customer():
    known = run_notebook(3)
    one = known["df"].iloc[[0]].drop(columns=["subscriber", "left"])

    with pytest.raises(ValueError, match="feature names"):
        known["model"].predict_proba(pd.get_dummies(one))


TRAINED_ON = """
from pathlib import Path

import pandas as pd

from skewless.core.config_file import load_config
from skewless.models.predict import open_predictor
from churn_service.project import project
from skewless.registry.registry import Registry
from skewless.tables.split import is_holdout

df = pd.read_csv("subscribers.csv", keep_default_na=False, na_values=[""])
data = load_config(Path("config.yaml"), project).data
held_out = is_holdout(df["subscriber"], fraction=data.holdout_fraction, \
salt=data.holdout_salt)
df["calls_per_month"] = df["support_calls"] / df["months"]
df["is_new"] = df["months"] <= 6
X = pd.get_dummies(df.drop(columns=["subscriber", "left"]))
X_train, y_train = X[~held_out], df["left"][~held_out]
"""
DIFFERENCE = """
ours = open_predictor(Registry(Path("models")).load("newest"), project)\
.probabilities(df)
print(abs(model.predict_proba(X)[:, 1] - ours).max())
"""


@pytest.mark.slow
@pytest.mark.posix
def test_the_version_answers_like_the_notebook_without_its_faults(moved: Clone):
    fitted = re.findall(
        r"(?m)^(?:from sklearn.ensemble|model = ).*\n", "".join(NOTEBOOK)
    )

    compared = "".join([TRAINED_ON, *fitted, DIFFERENCE])

    assert float(moved.run(sys.executable, "-W", "error", "-c", compared)) < 1e-5


@pytest.mark.slow
@pytest.mark.posix
def test_a_schema_file_is_written_of_the_new_features(moved: Clone):
    assert "new_months" in (moved.folder / "config.schema.json").read_text()


@pytest.mark.slow
@pytest.mark.posix
def test_a_version_is_reproduced_as_the_page_says(clone: Clone):
    clone.follow(read_page("reproducing.md"))


@pytest.mark.slow
@pytest.mark.posix
def test_features_are_added_changed_and_removed_as_the_page_does(clone: Clone):
    clone.follow(read_page("change-the-features.md"))


@pytest.mark.slow
@pytest.mark.posix
def test_what_needs_other_rows_comes_as_a_field(clone: Clone):
    clone.follow(read_page("features-of-other-rows.md"))


IMPORTS = """
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
"""


def is_tuning(block: Block) -> bool:
    """Tell whether a block of the page of estimators is about better knobs."""
    return "--tune" in block.text and block.language == "console"


def is_shown(block: Block) -> bool:
    """Tell whether a block is not one to follow: tuning, or a part of config.py."""
    return is_tuning(block) or (block.language == "python" and block.place is None)


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.needs("optuna")
def test_an_estimator_is_tuned_as_the_page_says(clone: Clone):
    blocks = read_page("another-estimator.md")
    (tuning,) = filter(is_tuning, blocks)
    declared = next(block.text for block in blocks if "Search(0.01" in block.text)

    clone.follow([tuning])

    model = yaml.safe_load((clone.folder / "config.yaml").read_text())["model"]
    assert 0.01 <= model["learning_rate"] <= 0.3
    assert model["learning_rate"] != 0.1
    assert declared in (ROOT / "src/churn_service/config.py").read_text()


@pytest.mark.slow
@pytest.mark.posix
def test_a_pipeline_answers_like_the_notebooks(clone: Clone):
    blocks = [each for each in read_page("another-estimator.md") if not is_shown(each)]
    trains = ["churn-service train" in block.text for block in blocks]
    first_train = trains.index(True)
    (cell,) = (block.text for block in blocks if block.place == "notebook.py")
    clone.follow(blocks[: first_train + 1])
    compared = f"{IMPORTS}{TRAINED_ON}{cell}{DIFFERENCE}"

    assert float(clone.run(sys.executable, "-W", "error", "-c", compared)) < 1e-5


LOADED = """
from pathlib import Path

from skewless.core.errors import IncompatibleArtifactError
from skewless.models.predict import open_predictor
from churn_service.project import project
from skewless.registry.registry import Registry

version = Registry(Path("models")).load("newest")
print("model.onnx" in version.files)
try:
    open_predictor(version, project)
except IncompatibleArtifactError:
    print(True)
"""


ASKED = """\
$ churn-service registry promote newest --to production --force --reason 'as the page'
$ churn-service serve
$ churn-service example > one.json
$ curl -s http://127.0.0.1:8000/predict -H 'Content-Type: application/json' -d @one.json
{"churn_probability":0…,"model_version":"0.4.0-…
"""


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.needs("curl")
def test_what_onnx_cannot_express_is_refused_and_then_served_as_the_page_says(
    clone: Clone,
):
    asked = [Block("console", None, ASKED)]
    estimators = [
        each for each in read_page("another-estimator.md") if not is_shown(each)
    ]
    pages = estimators + read_page("without-onnx.md")
    clone.follow(pages + asked)

    words = ("score", "subscribers.csv", "out.csv")
    scored = clone.run(sys.executable, "-m", "churn_service", *words)
    loaded = Clone(clone.folder).run(sys.executable, "-W", "error", "-c", LOADED)
    assert "4000 of 4000" in scored.replace(",", "")
    assert loaded.split() == ["False", "True"]
