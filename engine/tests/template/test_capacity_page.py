"""The page on capacity says what its own formula says, of the figures that it names."""

import re
from pathlib import Path

from conftest import ROOT
from pages import Clone, read_page

PAGE = (ROOT / "docs/service/capacity.md").read_text()


def test_the_table_of_needs_is_what_the_block_prints(tmp_path: Path):
    Clone(tmp_path).follow(read_page("service/capacity.md"))


def test_the_block_counts_with_the_figures_of_the_table():
    (numbers,) = re.findall(r"(?m)^ANSWERS, LINE, PARQUET, TABLE, DRIFT = (.*)$", PAGE)
    answers, *sizes, drift = numbers.replace("_", "").split(", ")

    assert f"| {int(answers):,} | `make load`" in PAGE
    assert f"| {', '.join(sizes)} bytes |" in PAGE
    assert f"| {drift} s, 0.8 GB | `python engine/benchmarks/drift.py" in PAGE
