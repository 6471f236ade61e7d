"""A floor stands without the ones above it."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

SPEC = importlib.util.spec_from_file_location("floors", ROOT / "scripts/floors.py")
floors = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(floors)

CHECKS = [
    ["-m", "ruff", "check", "--fix"],
    ["-m", "ruff", "format"],
    ["-m", "ruff", "check"],
    ["-m", "ruff", "format", "--check"],
    ["-m", "mypy"],
    ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"],
    ["-m", "deptry", "."],
    ["-m", "pytest", "-q", "-x", "--ignore", "tests/template", "-m", "not slow"],
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n# floor: service\nb\n# end floor\nc\n", "a\nc\n"),
        ("a\n    # floor: service\n    b\n    # end floor\nc\n", "a\nc\n"),
        ("a\n<!-- floor: service -->\nb\n<!-- end floor -->\nc\n", "a\nc\n"),
        ("a\n| b | <!-- floor: service -->\nc\n", "a\nc\n"),
        ("a\n# floor: monitored\nb\n# end floor\nc\n", "a\n# floor: monitored\nb\n# end floor\nc\n"),
        ("a\n", "a\n"),
    ],
)
def test_the_marked_parts_of_absent_floors_go_and_nothing_else(text: str, expected: str):
    assert floors.cut(text, {"service"}) == expected


def test_every_begun_part_is_ended_in_every_file():
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()

    for name in tracked:
        if (ROOT / name).suffix in {".py", ".md", ".toml", ".yaml", ".yml"} or name == "Makefile":
            lines = [line.strip() for line in (ROOT / name).read_text().splitlines()]
            begun = sum(bool((found := floors.BEGIN.search(line)) and found.start() == 0) for line in lines)
            assert begun == sum(floors.END.match(line) is not None for line in lines), name


def test_every_file_of_a_floor_is_there():
    assert all((ROOT / name).exists() for names in floors.FILES.values() for name in names)


@pytest.mark.slow
@pytest.mark.posix
def test_the_first_floor_alone_passes_its_checks_and_tests(tmp_path: Path):
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    for name in tracked:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    floors.main("package", tmp_path)
    env = os.environ | {"PYTHONPATH": str(tmp_path / "src")}  # noqa: TID251 - the child inherits ours
    schema = subprocess.check_output([sys.executable, "-m", "churn_service.config"], cwd=tmp_path, env=env)
    (tmp_path / "config.schema.json").write_bytes(schema)

    for words in CHECKS:
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"

    assert not list((tmp_path / "src").rglob("*api*"))
    assert "serving:" not in (tmp_path / "config.yaml").read_text()
