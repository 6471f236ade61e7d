"""Every test file's promises are written down, once.

So none is lost when files move.
"""

import re

import pytest

from conftest import ROOT

SECTIONS = re.split(r"(?m)^### ", (ROOT / "engine/docs/promises.md").read_text())[1:]
TESTS = {
    name: text
    for name, _, text in (each.partition("\n") for each in SECTIONS)
    if "/test_" in name
}


def test_each_test_file_is_listed_and_each_that_is_listed_is_there():
    there = [*ROOT.glob("tests/test_*.py"), *ROOT.glob("engine/tests/*/test_*.py")]

    assert sorted(TESTS) == sorted(path.relative_to(ROOT).as_posix() for path in there)


@pytest.mark.parametrize("name", TESTS)
def test_each_file_has_a_promise(name: str):
    assert re.search(r"(?m)^- \S", TESTS[name])
