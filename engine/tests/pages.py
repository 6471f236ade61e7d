"""Do what a page of the documentation says, in a copy of the project.

A block's language may be followed by the file that it is for. A new file is written,
and a further block for it goes on with it; in a source, definitions of the same name
are replaced; in YAML, sections.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import yaml

from conftest import ROOT

BLOCK = re.compile(r"(?ms)^```(\w+)(?: (\S+))?\n(.*?)^```$")
COPIED = (
    "src",
    "engine/src",
    "engine/pyproject.toml",
    ".gitignore",
    "config.yaml",
    "docs/configuration.md",
    "pyproject.toml",
    "requirements-dev.lock",
    "Makefile",
    "make",
    "tests/conftest.py",
)
KNOWN_VALUES = "tests/test_features.py"
STAYS = "the rest of this section stays"
ELSEWHERE = "http://127.0.0.1:8000"


SOMEBODY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


class Block(NamedTuple):
    """What stands between two fences."""

    language: str
    place: str | None
    text: str


def read_page(name: str) -> list[Block]:
    """List the blocks of a page under docs/."""
    page = (ROOT / "docs" / name).read_text()
    return [
        Block(language, place or None, text)
        for language, place, text in BLOCK.findall(page)
    ]


class Clone:
    """A copy of the project that pages may change."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._begun = folder, set[str]()
        self._url: str | None = None
        self.said = list[str]()
        # The environment's own programs see the copy's sources before the project's.
        self._sources = f"{folder / 'src'}:{folder / 'engine/src'}"
        self._env = os.environ | {  # noqa: TID251 - the child inherits ours
            "PYTHONPATH": self._sources,
            "COLUMNS": "200",
            **SOMEBODY,
        }

    def fill(self) -> "Clone":
        """Copy what a clone has."""
        for name in (*COPIED, KNOWN_VALUES):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, self.folder / name)
        for words in (
            ["init", "-q"],
            ["add", "--all"],
            ["commit", "-q", "-m", "Clone"],
        ):
            self.run("git", *words)
        return self

    def copy(self, folder: Path) -> "Clone":
        """Go on elsewhere."""
        shutil.copytree(self.folder, folder)
        return Clone(folder)

    def follow(self, blocks: list[Block]) -> None:
        """Do what the blocks say, one by one; servers live until the last is done."""
        with ExitStack() as servers:
            for block in blocks:
                if block.language == "console":
                    self._type(block.text, servers)
                elif block.place is None:
                    self._run_python(block)
                else:
                    self._write(block)

    def run(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run a program of the environment in the copy.

        It must end with one of the codes.
        """
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        said = done.stdout + done.stderr
        assert done.returncode in codes, f"{words} ended with {done.returncode}\n{said}"
        self.said.append(said)
        return said

    def _run_python(self, block: Block) -> None:
        """Run a script as it stands.

        What it prints is compared with its last comment, if that says so.
        """
        text = block.text.replace(ELSEWHERE, self._url or ELSEWHERE)
        said = self.run(sys.executable, "-W", "error", "-c", text)
        for shown in re.findall(r"(?m)^print\(.*  # (.*)$", block.text):
            expect(shown, said)

    def _type(self, text: str, servers: ExitStack) -> None:
        """Type each command, and compare what it says with what is shown."""
        for command, shown in commands(text):
            line, _, ending = command.partition("  # exit ")
            code, *may_be_done = ending.split(" while ")
            if line == "churn-service serve":
                from running import serving

                python = ["env", f"PYTHONPATH={self._sources}", sys.executable]
                server = [*python, "-m", "churn_service", "serve"]
                self._url, _ = servers.enter_context(
                    serving(self.folder, command=server)
                )
                continue
            said = self.run(
                "bash",
                "-c",
                self._in_environment(line),
                codes=(int(code or 0), *[0 for _ in may_be_done]),
            )
            for each in shown:
                expect(each, said)

    def _in_environment(self, line: str) -> str:
        # Neither -o nor PYTHON=false lets make install anything.
        made = (
            f"make -o .venv/.installed PYTHON=false BIN={Path(sys.executable).parent} "
        )
        line = re.sub(r"^make ", made, line)
        module = f"{sys.executable} -m churn_service "
        line = re.sub(r"(?<![\w-])churn-service (?=[a-z])", module, line)
        return re.sub(r"^python ", f"{sys.executable} ", line).replace(
            ELSEWHERE, self._url or ELSEWHERE
        )

    def _write(self, block: Block) -> None:
        path = self.folder / block.place
        if block.language == "diff":
            path.write_text(apply(block.text, path.read_text()))
        elif not path.exists() or block.place in self._begun:
            self._begun.add(block.place)
            path.write_text((path.read_text() if path.exists() else "") + block.text)
        elif path.suffix == ".yaml":
            path.write_text(with_sections(path.read_text(), block.text))
        else:
            path.write_text(with_definitions(path.read_text(), block.text))


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Split what a terminal shows into commands and what they say."""
    for part in re.split(r"(?m)^\$ ", text)[1:]:
        command, *shown = part.replace("\\\n", "").splitlines()
        yield command, [line for line in shown if line.strip(" …")]


def expect(shown: str, said: str) -> None:
    """Find a line in what was said; … stands for anything."""
    pattern = ".*".join(re.escape(part.strip()) for part in shown.split("…"))
    assert re.search(pattern.replace(r"\ ", r"\s+"), said), (
        f"{shown!r} is not in\n{said}"
    )


def apply(diff: str, text: str) -> str:
    """Change a text as a diff without line numbers says.

    What a part removes must be there exactly once.
    """
    for part in re.split(r"(?m)^@@\n", diff):
        lines = part.splitlines(keepends=True)
        before, after = (
            "".join(line[1:] for line in lines if line[0] in kept)
            for kept in (" -", " +")
        )
        assert text.count(before) == 1, f"found {text.count(before)} times:\n{before}"
        text = text.replace(before, after)
    return text


def with_sections(text: str, new: str) -> str:
    """Replace sections of a configuration; one whose rest stays is added to."""
    document = yaml.safe_load(text)
    stay = {line.partition(":")[0] for line in new.splitlines() if STAYS in line}
    for name, section in yaml.safe_load(new).items():
        document[name] = document.get(name, {}) | section if name in stay else section
    return yaml.safe_dump(document, sort_keys=False)


def with_definitions(text: str, new: str) -> str:
    """Replace definitions of a source by those of the same name.

    New imports go first, the rest last.
    """
    lines, source = text.splitlines(), new.splitlines()
    old = {name_of(node): span(node) for node in ast.parse(text).body}
    replaced, imports, added = {}, [], []
    for node in ast.parse(new).body:
        own = source[slice(*span(node))]
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports += own
        elif (name := name_of(node)) in old:
            replaced[old[name]] = own
        else:
            added += ["", "", *own]
    for (begin, end), own in sorted(replaced.items(), reverse=True):
        lines[begin:end] = own
    top = ast.parse(text).body[0].end_lineno  # of the docstring
    return "\n".join([*lines[:top], *imports, *lines[top:], *added]) + "\n"


def span(node: ast.stmt) -> tuple[int, int]:
    """Tell where a statement stands, decorators included, as indices of lines."""
    return min(
        each.lineno for each in [node, *getattr(node, "decorator_list", [])]
    ) - 1, node.end_lineno


def name_of(node: ast.stmt) -> str | None:
    """Name what a statement defines."""
    target = (
        node.targets[0]
        if isinstance(node, ast.Assign)
        else getattr(node, "target", node)
    )
    return getattr(target, "name", None) or getattr(target, "id", None)
