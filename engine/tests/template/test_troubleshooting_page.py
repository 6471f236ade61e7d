"""The troubleshooting page quotes what is printed, and names commands that exist."""

import ast
import re
from pathlib import Path

import pytest
import typer.main

from conftest import MAKEFILES, ROOT
from skewless.cli.cli import app

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
SENTENCE = re.compile(r"(?<!`)(`{1,2})(?!`)(.+?)(?<!`)\1(?!`)")
FOREIGN = {  # what a shell, Python or the system prints
    "make: command not found",
    "ModuleNotFoundError: churn_service",
    "[Errno 13] Permission denied",
}
SHORTEST = 3  # words of a message; what is shorter is a name
MAKEFILE = "".join(path.read_text() for path in MAKEFILES)


def text(node: ast.expr) -> str:
    """Return a literal's text with … for what is put in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(
        part.value if isinstance(part, ast.Constant) else "…" for part in node.values
    )


def printed() -> list[str]:
    """Return every literal of the sources, and the Makefile."""
    trees = [
        ast.parse(path.read_text())
        for path in [*ROOT.glob("src/**/*.py"), *ROOT.glob("engine/src/**/*.py")]
    ]
    literals = (ast.JoinedStr, ast.Constant)
    return [MAKEFILE] + [
        text(node)
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, literals)
    ]


LITERALS = printed()


def quoted() -> list[str]:
    """Return what the first column says that the program prints."""
    cells = [
        line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| ")
    ]
    said = [found[2].strip() for cell in cells for found in SENTENCE.finditer(cell)]
    return [
        each for each in said if len(each.split()) >= SHORTEST and each not in FOREIGN
    ]


def is_printed(message: str) -> bool:
    parts = (re.escape(part.strip()) for part in message.split("…"))
    pattern = re.compile(".*".join(parts), re.DOTALL)
    return any(pattern.search(literal) for literal in LITERALS)


@pytest.mark.slow
def test_what_is_quoted_is_printed():
    messages = quoted()

    assert len(messages) > 10
    assert [message for message in messages if not is_printed(message)] == []
    assert not is_printed("a message that … ever printed")


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# the changelog is about what was
PRESENT = [page for page in PAGES if page.name != "CHANGELOG.md"]
COMMAND = re.compile(r"churn-service ((?:[a-z-]+ ?)+)([^`\n]*)")


def anchors(page: Path) -> set[str]:
    """Name the headings of a page as GitHub links to them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.exists(), target
        assert not anchor or anchor in anchors(other), target


@pytest.mark.parametrize("page", PRESENT, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.slow
def test_every_command_that_a_page_names_is_there_with_its_options(page: Path):
    for words, rest in COMMAND.findall(page.read_text()):
        command = typer.main.get_command(app)
        for word in words.split():
            if not hasattr(command, "commands"):
                break  # the rest is what it is told
            assert word in command.commands, f"churn-service {words}"
            command = command.commands[word]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {
            word.partition("=")[0] for word in re.findall(r"--[a-z-]+", rest)
        } <= known | {"--help"}, rest
