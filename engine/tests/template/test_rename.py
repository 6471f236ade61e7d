"""Another name changes names, and nothing else."""

import contextlib
import doctest
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import git_status
import nouns
import pytest
import rename
from nouns import EVENT, RECORD, Nouns

from conftest import NOBODY, ROOT, Done
from git_that_fails import DUBIOUS, say
from made import (
    bring_mypy_cache,
    commit,
    contents,
    copy_project,
    environment_of,
)

PRESENT = rename.present_words(ROOT).names.command
SHORTEST, LONGEST = "ab-c", "propensity-to-leave-data"
SAME_PREFIX = "churn-model"
PYPROJECT = b'[project]\nname = "churn-service"\n'


def renamed(folder: Path, name: str, *words: str) -> Done:
    out, code, err = io.StringIO(), 0, ""
    with contextlib.redirect_stdout(out):
        try:
            rename.main([name, "--folder", str(folder), *words])
        except SystemExit as ended:
            code, err = 1, str(ended.code)
    return Done(code, out.getvalue(), err)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the whole project."""
    return copy_project(tmp_path / "project")


@pytest.fixture
def committed(project: Path) -> Path:
    """Return a copy of the whole project that is committed."""
    commit(project)
    return project


def words_of(name: str) -> rename.Words:
    return rename.Words(rename.Names.of(name), Nouns(RECORD, EVENT))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a project of three files, committed."""
    (tmp_path / "src/churn_service").mkdir(parents=True)
    (tmp_path / "src/churn_service/api.py").write_text("import churn_service\n")
    (tmp_path / "pyproject.toml").write_bytes(PYPROJECT)
    (tmp_path / "README.md").write_text(
        "churn-service predicts churn; CHURN_PORT says where\n"
    )
    commit(tmp_path)
    return tmp_path


def test_the_docstrings_examples_hold():
    assert [
        doctest.testmod(module).failed for module in (git_status, nouns, rename)
    ] == [0, 0, 0]


@pytest.mark.parametrize("name", [LONGEST, SHORTEST, SAME_PREFIX])
@pytest.mark.slow
def test_there_and_back_is_the_same_byte_for_byte_and_twice_is_once(
    project: Path, name: str
):
    before = contents(project)

    assert renamed(project, name, "--uncommitted").returncode == 0
    once = contents(project)
    assert renamed(project, name, "--uncommitted").stdout == "0 names in 0 files\n"
    assert contents(project) == once
    assert renamed(project, PRESENT, "--uncommitted").returncode == 0

    assert once != before
    assert contents(project) == before


def test_no_file_speaks_of_the_old_name_but_those_that_must(project: Path):
    renamed(project, "lapse-model", "--uncommitted")

    old = rename.Names.of(PRESENT)
    named = {
        Path(name)
        for name, content in contents(project).items()
        if any(word.encode() in content + name.encode() for word in old)
    }
    assert [name for name in named if not rename.is_kept(name)] == []


def test_the_engine_keeps_its_words(project: Path):
    before = contents(project / "engine/src")

    renamed(project, "lapse-model", "--uncommitted")

    assert contents(project / "engine/src") == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("record", "event"), [("loan", "default"), ("subscription", "cancellation")]
)
def test_other_nouns_stand_wherever_the_project_says_them_and_its_tests_pass(
    committed: Path, record: str, event: str
):
    words = [f"--record={record}", f"--event={event}"]
    done = renamed(committed, "credit-risk", *words)
    for tidy in (["check", "--fix-only", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *tidy], cwd=committed, check=True)

    spoken = re.compile(
        r"customer|(?<![\w/.=-])churn(?![\w-]|\.\w)|churn_p", re.IGNORECASE
    )
    found = {
        name: set(spoken.findall(content.decode().replace("data/customers", "")))
        for name, content in contents(committed).items()
        if name.startswith(("src", "tests", "notebooks", "examples"))
        and b"\0" not in content
    }
    assert done.returncode == 0, done.stderr
    assert {name: words for name, words in found.items() if words} == {}
    bring_mypy_cache(committed)
    checks = [["ruff", "check"], ["mypy"]]
    if record == "loan":  # long words can break a line, and no test
        checks.append(["pytest", "-q"])
    for check in checks:
        said = subprocess.run(
            [sys.executable, "-m", *check],
            cwd=committed,
            env=environment_of(committed),
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.slow
def test_what_only_makes_projects_goes(committed: Path):
    assert renamed(committed, "lapse-model").returncode == 0

    assert [
        name
        for name in ("engine/tests", ".ci", "copier.yml")
        if (committed / name).exists()
    ] == []
    assert (committed / "engine/src").is_dir()


def test_a_name_of_one_word_is_taken_and_changed_for_another_of_one_word_only(
    small: Path,
):
    assert renamed(small, "lapses", "--uncommitted").returncode == 0
    assert (small / "src/lapses/api.py").read_text() == "import lapses\n"

    assert (
        "only to another of one word"
        in renamed(small, "lapse-model", "--uncommitted").stderr
    )
    assert renamed(small, "chargers", "--uncommitted").returncode == 0
    assert (
        small / "README.md"
    ).read_text() == "chargers predicts churn; CHARGERS_PORT says where\n"


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("--record=Loan", "a noun of three to twelve small letters"),
        ("--record=class", "Python has that word for itself"),
        ("--event=pays back", "a noun of three to twelve small letters"),
        ("--record=request", "the project uses that name already"),
        ("--record=list", "the project uses that name already"),
    ],
)
def test_a_noun_that_would_not_do_is_refused_with_the_reason(
    small: Path, word: str, why: str
):
    (small / "src/churn_service/api.py").write_text("request = lists = 1\n")
    before = contents(small)

    done = renamed(small, "lapse-model", word, "--uncommitted")

    assert (done.returncode, why in done.stderr) == (1, True), done.stderr
    assert contents(small) == before


@pytest.mark.parametrize("name", [SHORTEST, LONGEST])
@pytest.mark.slow
def test_no_name_changes_the_layout_of_the_code(committed: Path, name: str):
    renamed(committed, name)

    for words in (["check", "--no-cache"], ["format", "--no-cache", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words],
            cwd=committed,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (
            f"leave room in these lines for a name like {name}\n{done.stdout}"
        )


@pytest.mark.slow
def test_a_renamed_project_works_and_reads_the_renamed_variables(project: Path):
    renamed(project, "lapse-model", "--uncommitted")
    variables = {"LAPSE_CONFIG": "nowhere.yaml"}

    done = subprocess.run(
        [sys.executable, "-m", "lapse_model", "registry", "list"],
        cwd=project,
        env=environment_of(project) | variables,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, "nowhere.yaml: cannot be read" in done.stderr) == (
        2,
        True,
    ), done.stderr
    assert "LAPSE_CONFIG" in done.stderr


def test_workflows_name_no_project():
    for path in (ROOT / ".github").rglob("*.yml"):
        assert not any(word in path.read_text() for word in rename.Names.of(PRESENT)), (
            path
        )


def test_a_dry_run_tells_and_changes_nothing(small: Path):
    before = contents(small)

    done = renamed(small, "lapse-model", "--dry-run")

    assert contents(small) == before
    assert done.stdout.splitlines() == [
        "README.md: 2",
        "pyproject.toml: 1",
        "src/churn_service/api.py: 2 -> src/lapse_model/api.py",
        "5 names in 3 files",
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Lapse-model", "words of small letters"),
        ("lapse_model", "words of small letters"),
        ("lapse--model", "words of small letters"),
        ("9-lives", "words of small letters"),
        ("json", "a package that the project installs"),
        ("subscribers-model", "words of small letters"),  # eleven letters in the first
        ("propensity-to-leave-dataset", "at most 24"),
        ("prometheus-client", "a package that the project installs"),
        ("is-word", "README.md has is-word, is_word or IS_ in it already"),
    ],
)
def test_a_name_that_would_not_do_is_refused_with_the_reason(
    small: Path, name: str, why: str
):
    (small / "requirements.lock").write_text("a==1\nprometheus-client==1 \\\n")
    (small / "README.md").write_text("this is_word is a word\n")
    before = contents(small)

    done = renamed(small, name, "--uncommitted")

    assert (done.returncode, why in done.stderr) == (1, True), done.stderr
    assert contents(small) == before


def test_a_name_with_the_same_first_word_leaves_the_variables(small: Path):
    (small / "model.md").write_text("churn-models\n")
    done = renamed(small, SAME_PREFIX, "--uncommitted")

    assert done.stdout.splitlines()[0] == "README.md: 1"
    assert (
        small / "README.md"
    ).read_text() == "churn-model predicts churn; CHURN_PORT says where\n"
    (small / "model.md").write_text("churn-service\n")
    assert (
        "model.md has churn-service or churn_service in it already"
        in renamed(small, PRESENT, "--uncommitted").stderr
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lapse-model"], "next: make format check test, then commit\n"),
        (
            ["--record=loan"],
            (
                "next: make format check test, then commit; "
                "remove data/customers.csv, the simulator makes the table anew\n"
            ),
        ),
        (["lapse-model", "--dry-run"], ""),
        (["lapse-model", "--copied"], ""),
        ([PRESENT], ""),
    ],
)
def test_the_command_says_what_to_do_next_where_it_changed_something(
    small: Path, words: list[str], said: str
):
    (small / "data").mkdir()
    (small / "data/customers.csv").touch()
    (small / "README.md").write_text("churn-service and its customers\n")
    (small / "pyproject.toml").write_bytes(
        PYPROJECT + b'[tool.nouns]\nrecord = "customer"\nevent = "churn"\n'
    )

    done = subprocess.run(
        [sys.executable, rename.__file__, *words, "--uncommitted", "--folder", small],
        capture_output=True,
        text=True,
        check=True,
    )

    _, _, after = done.stdout.partition(" files\n")
    assert after == said


def test_uncommitted_changes_are_refused_unless_told(small: Path):
    (small / "README.md").write_text("churn-service\n")

    assert "commit first" in renamed(small, "lapse-model").stderr
    assert renamed(small, "lapse-model", "--uncommitted").returncode == 0
    assert (small / "README.md").read_text() == "lapse-model\n"


def test_a_project_that_the_repository_around_it_ignores_is_not_renamed_unless_told(
    small: Path,
):
    inside = small / "inside"
    shutil.copytree(small, inside, ignore=shutil.ignore_patterns(".git"))
    (small / ".gitignore").write_text("inside/\n")
    for words in (["add", "--all"], ["commit", "-q", "-m", "Ignore it"]):
        subprocess.run(["git", *NOBODY, *words], cwd=small, check=True)
    before = contents(inside)

    done = renamed(inside, "lapse-model")

    assert "git has no file of this folder" in done.stderr
    assert contents(inside) == before


@pytest.mark.posix
def test_where_git_cannot_tell_what_is_the_projects_nothing_is_renamed_whatever_is_told(
    small: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
):
    before = contents(small)
    say(monkeypatch, tmp_path_factory.mktemp("programs") / "bin", DUBIOUS)

    for words in ((), ("--uncommitted",)):
        done = renamed(small, "lapse-model", *words)
        assert (done.returncode, "detected dubious ownership" in done.stderr) == (
            1,
            True,
        )

    assert contents(small) == before


@pytest.mark.parametrize("hidden", ["no", "normal"])
def test_a_new_file_is_no_way_back_however_git_is_configured(small: Path, hidden: str):
    subprocess.run(
        ["git", "config", "status.showUntrackedFiles", hidden], cwd=small, check=True
    )
    (small / "new.md").write_text("churn-service\n")

    assert "commit first" in renamed(small, "lapse-model").stderr
    assert (small / "new.md").read_text() == "churn-service\n"


@pytest.mark.parametrize("ignored", [".DS_Store\n", "src/lapse_model/\n"])
def test_a_folder_that_is_taken_is_refused(small: Path, ignored: str):
    (small / ".gitignore").write_text(ignored)
    (small / "src/lapse_model").mkdir()
    (small / "src/lapse_model/api.py").write_text("mine\n")
    commit(small)

    done = renamed(small, "lapse-model")

    assert (
        done.returncode,
        "lapse_model" in done.stderr,
        "already" in done.stderr,
    ) == (1, True, True)
    assert (small / "pyproject.toml").read_bytes() == PYPROJECT


def test_line_ends_bytes_modes_and_links_stay_what_they_are(small: Path):
    (small / "dos.txt").write_bytes(b"churn-service\r\nCHURN_HOST\r\n")
    (small / "latin.txt").write_bytes(b"\xe9 churn_service")
    (small / "picture.png").write_bytes(b"\x89PNG\x00churn-service")
    (small / "run.sh").write_text('printf "\\nchurn-service"\n')
    (small / "run.sh").chmod(0o755)
    (small / "link").symlink_to("src/churn_service/api.py")

    assert renamed(small, "lapse-model", "--uncommitted").returncode == 0

    assert (small / "dos.txt").read_bytes() == b"lapse-model\r\nLAPSE_HOST\r\n"
    assert (small / "latin.txt").read_bytes() == b"\xe9 lapse_model"
    assert (small / "picture.png").read_bytes() == b"\x89PNG\x00churn-service"
    assert (
        (small / "run.sh").read_text(),
        (small / "run.sh").stat().st_mode & 0o777,
    ) == (
        'printf "\\nlapse-model"\n',
        0o755,
    )
    assert (small / "link").read_text() == "import lapse_model\n"


def test_a_failure_halfway_puts_everything_back(
    small: Path, monkeypatch: pytest.MonkeyPatch
):
    before, write, written = contents(small), rename.write, []

    def failing(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) == 3:
            raise OSError
        write(path, content)

    monkeypatch.setattr(rename, "write", failing)
    changes = rename.rename(
        small,
        words_of("lapse-model"),
        list(git_status.list_files(small)),
        variables=set(),
    )

    with pytest.raises(OSError, match=r"^$"):
        rename.apply(changes)

    assert contents(small) == before


def test_what_git_ignores_is_left_alone_also_in_a_folder_of_a_larger_repository(
    small: Path,
):
    (small / ".gitignore").write_text(".env\n")
    (small / ".env").write_text("CHURN_PORT=1\n")
    commit(small)
    part = Path(
        shutil.copytree(
            small, small / "part", ignore=shutil.ignore_patterns(".git", "part")
        )
    )
    commit(small)

    assert renamed(part, "lapse-model").returncode == 0
    assert renamed(small, "other-model", "--uncommitted").returncode == 0

    for folder, package in ((part, "lapse_model"), (small, "other_model")):
        assert (folder / ".env").read_text() == "CHURN_PORT=1\n"
        assert [path.name for path in (folder / "src").iterdir()] == [package]


@pytest.mark.slow
def test_what_the_table_calls_its_own_stays_where_the_file_knows_the_table(
    project: Path,
):
    table = (
        'HEADERS: Final[dict[str, str]] = {"flag": "CHURN_FLAG", '
        '"of": "churn_service"}\n'
    )
    values = (
        'SCORES = ("CHURN_RISK_SCORE", "churn-service", "CHURN_PORT")  '
        "# as in the table\n"
    )
    data = 'notes: {CHURN_PROOF: keep, churn_service: "churn-service"}'
    words = {
        "src/churn_service/schema.py": table,
        "src/churn_service/features.py": values,
        "tests/test_features.py": values,
        "config.yaml": f"{data}  # what churn-service does, by CHURN_PORT\n",
        "docs/mine.md": "CHURN_PROOF and CHURN_PORT_OF_CALL; "
        "`CHURN_…`, CHURN_PORT, CHURN_{name}\n",
    }
    for name, text in words.items():
        with (project / name).open("a") as file:
            file.write(text)
    before = contents(project)

    assert renamed(project, "lapse-model", "--uncommitted").returncode == 0

    assert (project / "src/lapse_model/schema.py").read_text().endswith(table)
    features = (project / "src/lapse_model/features.py").read_text()
    assert (
        features.endswith(values),
        "from lapse_model.config import" in features,
    ) == (True, True)
    known = (project / "tests/test_features.py").read_text()
    assert (known.endswith(values), "from lapse_model.features import" in known) == (
        True,
        True,
    )
    config = (project / "config.yaml").read_text()
    assert config.endswith(f"{data}  # what lapse-model does, by LAPSE_PORT\n")
    page = (project / "docs/mine.md").read_text()
    assert (
        page
        == "CHURN_PROOF and CHURN_PORT_OF_CALL; `LAPSE_…`, LAPSE_PORT, LAPSE_{name}\n"
    )
    renamed(project, PRESENT, "--uncommitted")
    assert contents(project) == before


def test_the_pages_own_commands_are_accepted(project: Path):
    page = (project / "docs/template.md").read_text()
    names = re.findall(r"make rename NAME=(\S+)", page) + re.findall(
        r"generate\.py \. (\S+)", page
    )
    assert names

    for name in {re.sub(r"`.*", "", name) for name in names}:
        done = renamed(project, name, "--dry-run")
        assert done.returncode == 0, done.stderr


@pytest.mark.posix
@pytest.mark.slow
def test_make_hands_the_name_over_as_it_is_and_not_to_the_shell(project: Path):
    for name in (
        "`touch made-by-shell`",
        "$(touch made-by-shell)",
        '"; touch made-by-shell; "',
        "--folder",
    ):
        word = name.replace("$", "$$")
        command = [
            "make",
            "rename",
            f"NAME={word}",
            f"PYTHON={sys.executable}",
            "DRY_RUN=1",
        ]
        done = subprocess.run(
            command, cwd=project, capture_output=True, text=True, check=False
        )
        assert f"refused: {name}: it must be" in done.stderr

    assert not (project / "made-by-shell").exists()
