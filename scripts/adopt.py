"""Adapt the project to another table, read from a CSV or Parquet file.

Example: make adopt TABLE=data/telco.csv TARGET=Churn ID=customerID POSITIVE=Yes

Without make: python scripts/adopt.py data/telco.csv --target Churn --id customerID
    --positive Yes

Reads the whole table, decides what its columns are, and writes a contract, features and
settings: the files that know the table, which are schema.py, features.py, config.py,
their known-value test, config.yaml and its schema. In a clone it removes what only
makes projects, which copier.yml lists. It says what it decided, what it left out and
what to look at. Nothing is written unless the changed project reads every row of the
table. A file with changes that are not committed is not written over, nor is any file
where git cannot tell, unless --uncommitted allows it. Ends with 0 done, 1 failed,
2 usage, 3 the table is unfit, and why.
"""

import argparse
import sys
import tempfile
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Final

from skewless.adopt.asked import Asked
from skewless.adopt.config_yaml import path_from, render_config_yaml
from skewless.adopt.decisions import Decisions, make_decisions
from skewless.adopt.reading import open_foreign
from skewless.adopt.rendering import (
    render_config,
    render_features,
    render_known_values,
    render_schema,
)
from skewless.adopt.staging import changes, formatted, stage, try_out, write_all
from skewless.adopt.telling import next_steps, summary
from skewless.cli.terminal import say
from skewless.core.errors import AskedError, SkewlessError

from churn_service.project import project
import rename
from git_status import Refused, tracked, uncommitted
from nouns import Nouns, complaint_of_nouns

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = "src/churn_service"
RECORDS: Final = "customers"  # what `add_features` calls the columns of the record
SCHEMA: Final = f"{PACKAGE}/schema.py"
FEATURES: Final = f"{PACKAGE}/features.py"
KNOBS: Final = f"{PACKAGE}/config.py"
KNOWN_VALUES: Final = "tests/test_features.py"
CONFIG: Final = "config.yaml"
CONFIG_SCHEMA: Final = "config.schema.json"
FILES: Final = (SCHEMA, FEATURES, KNOBS, KNOWN_VALUES, CONFIG, CONFIG_SCHEMA)


def main(words: list[str] | None = None) -> int:
    """Adopt a table; return the exit code."""
    asked = _parser().parse_args(words)
    prefix = "churn-service-adopt-"
    try:
        with tempfile.TemporaryDirectory(prefix=prefix) as scratch:
            _adopt(asked, Path(scratch))
    except SkewlessError as error:
        say(*f"error: {error}".split("\n"), err=True)
        return error.exit_code
    except (OSError, LookupError, UnicodeError) as error:
        say(f"error: {error}", err=True)
        return SkewlessError.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    head, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=head,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "table", type=Path, help="a .csv or .parquet file, one row per customer"
    )
    parser.add_argument(
        "--target", required=True, help="header of the column to predict"
    )
    parser.add_argument(
        "--id",
        help=(
            "header of the column that names a row; none: no column does "
            "(default: found by its name)"
        ),
    )
    parser.add_argument(
        "--positive", help="the target's word to predict, where it is not plain"
    )
    parser.add_argument("--record", help="what a row is, such as loan; see rename.py")
    parser.add_argument(
        "--event", help="what is predicted, such as default; see rename.py"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="write nothing, show what would change"
    )
    parser.add_argument(
        "--uncommitted", action="store_true", help="even if git could not take you back"
    )
    return parser


def _adopt(asked: argparse.Namespace, scratch: Path) -> None:
    if not asked.dry_run and not asked.uncommitted:
        refuse_uncommitted(ROOT, FILES)
    table = asked.table.resolve()
    foreign = open_foreign(table, scratch)
    decided = make_decisions(
        foreign,
        Asked(asked.target, asked.id, asked.positive),
        project,
        say=partial(say, err=True),
    )
    files = _rendered(decided)
    say("trying the changed project on the whole table", err=True)
    staged = stage(ROOT, files, scratch, package=PACKAGE)
    _check_nouns(asked, staged)
    files[CONFIG_SCHEMA] = try_out(staged, table, project.place)
    if asked.dry_run:
        say(*changes(ROOT, files).splitlines())
        steps = ["nothing was written; leave out --dry-run (DRY_RUN) to write it"]
    else:
        known = in_git(ROOT, FILES)
        removed = rename.template_only(ROOT) if known else []
        write_all(ROOT, files)
        rename.remove(ROOT, removed)
        _rename_nouns(asked)
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        steps = list(next_steps(FILES, removed, makefile, in_git=known))
    say(*summary(decided, path_from(ROOT, table)), *steps)


def refuse_uncommitted(root: Path, names: Collection[str]) -> None:
    """Refuse to write over changes that are not committed.

    Raises
    ------
    SkewlessError
        Names the files with changes, or why git cannot tell whether there are any.
    """
    try:
        changed = [name for name in uncommitted(root, names) if name in names]
    except Refused as why:
        msg = (
            "nobody can tell whether changes would be lost in "
            f"{', '.join(names)} ({why}); commit first, so that git can take you back, "
            "or say --uncommitted (FORCE=1 behind make)"
        )
        raise SkewlessError(msg) from why
    if changed:
        msg = (
            f"uncommitted changes would be lost in {', '.join(changed)}; "
            "commit or stash them first, take them back with git restore, "
            "or say --uncommitted (FORCE=1 behind make)"
        )
        raise SkewlessError(msg)


def in_git(root: Path, names: Collection[str]) -> bool:
    """Tell whether git has the files, so that it can bring them back.

    If git does not answer, it is no.
    """
    try:
        return set(tracked(root)).issuperset(names)
    except Refused:
        return False


def _check_nouns(asked: argparse.Namespace, staged: Path) -> None:
    """Refuse nouns that the changed project could not have."""
    present = rename.present_words(ROOT).nouns
    wanted = Nouns(asked.record or present.record, asked.event or present.event)
    wrong = complaint_of_nouns(wanted, present, staged)
    if wanted != present and wrong:
        raise AskedError(wrong)


def _rename_nouns(asked: argparse.Namespace) -> None:
    """Give the project the nouns that were asked for, as `make rename` does."""
    nouns = []
    if asked.record:
        nouns.append(f"--record={asked.record}")
    if asked.event:
        nouns.append(f"--event={asked.event}")
    if nouns:
        rename.main([*nouns, "--uncommitted", f"--folder={ROOT}"])


def _rendered(decided: Decisions) -> dict[str, str]:
    old = {name: (ROOT / name).read_text(encoding="utf-8") for name in FILES}
    rendered = {
        SCHEMA: render_schema(decided, old[SCHEMA]),
        FEATURES: render_features(decided, old[FEATURES], records=RECORDS),
        KNOBS: render_config(old[KNOBS]),
        KNOWN_VALUES: render_known_values(decided, old[KNOWN_VALUES]),
    }
    files = {name: formatted(source, name, ROOT) for name, source in rendered.items()}
    return files | {CONFIG: render_config_yaml(decided, old[CONFIG], ROOT)}


if __name__ == "__main__":
    sys.exit(main())
