"""The Dockerfile says what the code reads, and its images are small and work.

Built again, they are the same.
"""

import faulthandler
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from fnmatch import fnmatch
from pathlib import Path

import engines
import image
import pytest
from filelock import FileLock

from conftest import NOBODY, ROOT
from git_that_fails import DUBIOUS, say
from own import PROJECT
from running import free_port, serving
from skewless.core.checkout import SEALED
from skewless.core.config_file import load_config
from skewless.core.settings import Settings

DOCKERFILE = (ROOT / "Dockerfile").read_text()
TAGS = ("tested", "tested-again")
SERVE, JOBS = (f"{name}:{TAGS[0]}" for name in image.IMAGES.values())
LOCKS = (
    "requirements.lock",
    "requirements-jobs.lock",
    "requirements-uv.lock",
    "requirements-dev.lock",
)


def health_check() -> list[str]:
    (words,) = re.findall(
        r"^HEALTHCHECK.*\\\n +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE
    )
    return [sys.executable, *json.loads(words)[1:]]


def test_every_variable_that_the_image_sets_is_read():
    named = set(re.findall(r"CHURN_(\w+)=", DOCKERFILE))

    assert {name.lower() for name in named} <= Settings.model_fields.keys()
    assert named >= {"HOST", "PORT", "IMAGE_TAG"}


def test_what_is_written_to_is_the_users_in_the_image():
    made = {
        word
        for line in re.findall(r"install --directory (.*)", DOCKERFILE)
        for word in line.split()
    }
    config = load_config(ROOT / "config.yaml", PROJECT)

    assert made >= {
        config.registry.cache,
        f"--owner={engines.USER}",
        f"--group={engines.USER}",
    }
    assert f"USER {engines.USER}:{engines.USER}" in DOCKERFILE
    assert str(config.monitoring.prediction_log) in made


def test_what_is_copied_into_the_image_is_let_through_to_it():
    copied = set(re.findall(r"^COPY (?!--from)(?!\.)(\S+)", DOCKERFILE, re.MULTILINE))
    let_through = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line[:1] == "!"
    ]

    assert copied
    assert all((ROOT / name).exists() for name in copied)
    assert all(
        any(fnmatch(name, one) or name.startswith(f"{one}/") for one in let_through)
        for name in copied
    )


def test_the_locks_of_the_images_name_versions_that_the_tests_ran_with():
    dev, serve, jobs = (
        set(
            re.findall(
                r"(?m)^[a-z0-9-]+==[^ ]+",
                (ROOT / f"requirements{name}.lock").read_text(),
            )
        )
        for name in ("-dev", "", "-jobs")
    )

    assert serve < jobs < dev


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout that an image might be built of."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", *NOBODY, *words], cwd=folder, check=True)
    monkeypatch.setattr(image, "ROOT", folder)
    return folder


def test_an_image_is_of_a_commit_only_if_git_says_that_nothing_differs_from_it(
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
):
    commit = subprocess.check_output(
        ["git", "rev-parse", "HEAD"], cwd=checkout, text=True
    ).strip()
    subprocess.run(
        ["git", "config", "status.showUntrackedFiles", "no"], cwd=checkout, check=True
    )
    clean = image.revision()
    (checkout / "new.py").touch()
    changed = image.revision()
    say(monkeypatch, tmp_path / "bin", DUBIOUS)

    assert (clean, changed, image.revision()) == (
        commit,
        f"{commit}-changed",
        "unknown",
    )
    assert "detected dubious ownership" in capfd.readouterr().err


def test_what_an_image_trains_knows_the_revision_by_the_file_that_is_read():
    assert f"""RUN printf '%s\\n' "$REVISION" > {SEALED} """ in DOCKERFILE


def test_an_image_whose_archive_lacks_a_layer_is_not_weighed_as_a_light_one(
    tmp_path: Path,
):
    with tarfile.open(tmp_path / "image.tar", "w") as archive:
        folder = tarfile.TarInfo("blobs")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)

    with (
        tarfile.open(tmp_path / "image.tar") as archive,
        pytest.raises(engines.Refused, match="weighed"),
    ):
        image._read(archive, "blobs")  # noqa: SLF001 - what every layer is read by


@pytest.mark.posix
@pytest.mark.slow
def test_the_health_check_knows_a_service_that_answers_from_none(trained: Path):
    def healthy(port: str) -> bool:
        return not subprocess.run(
            health_check(), env={"CHURN_PORT": port}, capture_output=True, check=False
        ).returncode

    with serving(trained) as (url, _):
        answered = healthy(url.rpartition(":")[2])
    refused = healthy(str(free_port()))

    assert (answered, refused) == (True, False)


@pytest.mark.slow
def test_the_build_is_told_where_packages_are_but_no_folder_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (bundle := tmp_path / "ca.pem").write_text("a certificate")
    for name, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "https://user:word@index.example/simple",
        "PIP_EXTRA_INDEX_URL": "file:///srv/wheels https://more.example/simple",
        "PIP_CERT": str(bundle),
    }.items():
        monkeypatch.setenv(name, value)

    secrets = image.pip_secrets(tmp_path)

    assert secrets["ca.pem"] == bundle
    lines = secrets["pip.conf"].read_text().splitlines()
    assert "index-url = https://user:word@index.example/simple" in lines
    assert "extra-index-url = https://more.example/simple" in lines
    assert "cert = /run/secrets/ca.pem" in lines
    assert "file:" not in "".join(lines)


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> list[Path]:
    """Return two checkouts of this project, by people of different umasks.

    They have the same version in them.
    """
    made = []
    for number, mode in enumerate((0o600, 0o664)):
        folder = tmp_path_factory.mktemp("checkout")
        for name in ("Dockerfile", ".dockerignore", "config.yaml", *LOCKS):
            shutil.copyfile(ROOT / name, folder / name)
        for name in ("src", "engine/src", "scripts", "deploy/image"):
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copytree(trained / "models", folder / "models")
        for path in folder.rglob("*"):
            os.utime(path, (number, number))
            path.chmod(mode | 0o111 if path.is_dir() else mode)
        made.append(folder)
    return made


def run_script(folder: Path, words: str, **variables: str) -> str:
    known = (
        os.environ  # noqa: TID251 - Docker's own settings are there
        | {"IMAGE_STORE": str(engines.STORE), "SOURCE_DATE_EPOCH": "1700000000"}
        | variables
    )
    command = [sys.executable, *shlex.split(words)]
    done = subprocess.run(
        command, cwd=folder, env=known, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def engine(
    checkouts: list[Path], tmp_path_factory: pytest.TempPathFactory, testrun_uid: str
) -> engines.Engine:
    """Return the engine that has built both images, once for all who test.

    The first image was built twice.
    """
    try:
        found = engines.pick_engine(None)
    except engines.Refused as why:
        pytest.skip(str(why))  # without Docker, buildah needs root
    faulthandler.cancel_dump_traceback_later()  # the first time a base is made, too
    shared = tmp_path_factory.getbasetemp().parent / f"images-{testrun_uid}"
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            run_script(checkouts[0], "scripts/image.py build", TAG=TAGS[0])
            run_script(checkouts[1], "scripts/image.py build serve", TAG=TAGS[1])
            shared.touch()
    return found


built = pytest.mark.needs("buildah", "mmdebstrap", "runc")


@built
@pytest.mark.slow
def test_the_image_that_serves_is_small_and_holds_nothing_to_train_or_install_with(
    engine: engines.Engine,
):
    held = image.contents(engine, SERVE)
    sizes = image.measure(engine, SERVE)

    assert held["imports"] == []
    assert held["installers"] == []
    assert {
        name: size for name, size in sizes.items() if size > image.LIMITS[name]
    } == {}
    assert {"pandas", "sklearn", "scipy", "matplotlib"} <= set(
        image.contents(engine, JOBS)["imports"]
    )


@built
@pytest.mark.slow
def test_an_image_says_what_it_is_and_runs_as_nobody_in_particular(
    engine: engines.Engine,
):
    for name, words in ((SERVE, ["serve"]), (JOBS, ["--help"])):
        said = engine.config(name)
        labels = {
            key.removeprefix("org.opencontainers.image."): value
            for key, value in said["Labels"].items()
        }

        assert said["User"] == "10001:10001"
        assert (said["Entrypoint"], said["Cmd"]) == (
            ["python", "-m", "churn_service"],
            words,
        )
        assert {"title", "description", "licenses", "revision"} <= labels.keys()
        assert f"CHURN_IMAGE_TAG={labels['revision']}" in said["Env"]
        assert image.contents(engine, name)["user"] == engines.USER
    assert engine.config(SERVE)["Healthcheck"]["Test"][0] == "CMD"


@built
@pytest.mark.slow
def test_the_same_files_give_the_same_image_whoever_checked_them_out(
    engine: engines.Engine,
):
    if isinstance(engine, engines.Docker):
        pytest.skip("Docker's store keeps times")  # only what is pushed has others

    one, other = (
        image.layers(engine, f"{image.IMAGES['serve']}:{tag}") for tag in TAGS
    )

    assert one == other


@built
@pytest.mark.slow
def test_a_clone_without_versions_makes_an_image_that_asks_for_a_registry(
    engine: engines.Engine, checkouts: list[Path], tmp_path: Path
):
    faulthandler.cancel_dump_traceback_later()
    without = Path(shutil.copytree(checkouts[1], tmp_path / "clone"))
    shutil.rmtree(without / "models")
    run_script(without, "scripts/image.py build serve", TAG="tested-empty")

    name = f"{image.IMAGES['serve']}:tested-empty"
    run = engines.Run([], env={"CHURN_API_KEYS": f"crm:{'0' * 64}:predict"})
    with engine.start(
        name, run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as started:
        said, _ = started.communicate(timeout=60)

    assert (started.returncode, b"models" in said) == (3, True), said


@built
@pytest.mark.slow
def test_both_images_work_confined(engine: engines.Engine, checkouts: list[Path]):
    # a dozen containers, one after the other
    faulthandler.cancel_dump_traceback_later()
    said = run_script(
        checkouts[0],
        "scripts/smoke.py",
        TAG=TAGS[0],
        IMAGE_ENGINE=type(engine).__name__.lower(),
    )

    assert said.endswith("both images work\n")
    assert "The versions in the image answer" in said
