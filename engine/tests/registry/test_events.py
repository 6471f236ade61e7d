"""The log of events: what it adds up to, who may write, what a crash leaves."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from own import PROJECT
from skewless.core.errors import (
    ArtifactNotFoundError,
    ConfigError,
    ConflictError,
    DamagedLogError,
)
from skewless.models.artifact import ONNX
from skewless.registry.events import LARGEST_EVENT, Check, Decided, Event, fold
from skewless.registry.registry import Registry
from skewless.testing import run_command

KILLS = 40

ROUNDS = 60

WRITERS = 8
TIME = "2026-01-01T00:00:00.000+00:00"
VERSIONS = [f"0.1.0-{number:08x}" for number in range(4)]


def decided(
    kind: str, version: str, alias: str | None = "production", who: str = "ada@host"
) -> Decided:
    return Decided(kind=kind, version=version, alias=alias, who=who)


def promoted(*versions: str) -> list[Event]:
    return [
        Event(number=number, time=TIME, **decided("promote", version).model_dump())
        for number, version in enumerate(versions, start=1)
    ]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def test_nothing_decided_means_nothing_is_anywhere(registry: Registry):
    assert registry.events() == []
    assert registry.state().newest is None
    with pytest.raises(ArtifactNotFoundError, match="`train`"):
        registry.resolve()
    with pytest.raises(ArtifactNotFoundError, match="promote VERSION --to staging"):
        registry.resolve("staging")


def test_names_stand_for_what_the_events_add_up_to(registry: Registry):
    registry.record(decided("register", VERSIONS[0], None), [])
    registry.record(decided("register", VERSIONS[1], None), registry.events())
    before = registry.resolve()
    registry.record(decided("promote", VERSIONS[0]), registry.events())
    registry.record(decided("promote", VERSIONS[1], "staging"), registry.events())
    registry.record(decided("reject", VERSIONS[2]), registry.events())

    assert (
        before
        == registry.resolve("newest")
        == registry.resolve("staging")
        == VERSIONS[1]
    )
    assert registry.resolve() == registry.resolve("production") == VERSIONS[0]
    assert registry.resolve(VERSIONS[3]) == VERSIONS[3]
    assert [event.number for event in registry.events()] == [1, 2, 3, 4, 5]


@given(st.lists(st.sampled_from([*VERSIONS, None]), max_size=30))
def test_a_rollback_takes_the_uppermost_away_and_never_brings_it_back(
    steps: Sequence[str | None],
):
    """None is a rollback; what holds the alias is what a stack would hold."""
    events: list[Event] = []
    stack: list[str] = []
    for step in steps:
        below = next(
            (
                place
                for place in range(len(stack) - 2, -1, -1)
                if stack[place] != stack[-1]
            ),
            None,
        )
        if step is None and below is None:
            continue
        if step is None:
            stack = stack[: below + 1]
        else:
            stack.append(step)
        kind, version = ("rollback", stack[-1]) if step is None else ("promote", step)
        events.append(
            Event(
                number=len(events) + 1, time=TIME, **decided(kind, version).model_dump()
            )
        )

        assert fold(events).holder("production") == stack[-1]
        assert list(fold(events).held["production"]) == stack


def test_who_comes_second_is_told_who_was_first_and_records_nothing(registry: Registry):
    seen = registry.events()
    registry.record(decided("promote", VERSIONS[0], who="ada@host"), seen)

    with pytest.raises(
        ConflictError, match=f"ada@host promoted {VERSIONS[0]} in production meanwhile"
    ):
        registry.record(decided("promote", VERSIONS[1]), seen)

    assert len(registry.events()) == 1


@pytest.mark.parametrize(
    "meanwhile", [("register", None), ("promote", "staging"), ("reject", "production")]
)
def test_what_does_not_touch_the_alias_is_no_conflict(
    registry: Registry, meanwhile: tuple[str, str | None]
):
    seen = registry.events()
    registry.record(decided(meanwhile[0], VERSIONS[0], meanwhile[1]), seen)

    event = registry.record(decided("promote", VERSIONS[1]), seen)

    assert (event.number, registry.resolve()) == (2, VERSIONS[1])


def race(folder: Path, rounds: int, place: int, barrier: object, won: object) -> None:
    registry = Registry(folder)
    for number in range(rounds):
        seen = registry.events()
        barrier.wait(60)
        try:
            registry.record(
                decided("promote", VERSIONS[place % 4], who=f"{number} {place}"), seen
            )
        except ConflictError:
            continue
        finally:
            barrier.wait(60)
        won.put(number)


@pytest.mark.slow
def test_of_eight_processes_exactly_one_wins_each_round(tmp_path: Path):
    spawn = multiprocessing.get_context("spawn")
    barrier, won = spawn.Barrier(WRITERS), spawn.Queue()
    writers = [
        spawn.Process(target=race, args=(tmp_path, ROUNDS, place, barrier, won))
        for place in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    winners = sorted(won.get(timeout=120) for _ in range(ROUNDS))
    for writer in writers:
        writer.join(60)

    events = Registry(tmp_path).events()
    assert winners == list(range(ROUNDS))
    assert [event.who.split()[0] for event in events] == [
        str(number) for number in range(ROUNDS)
    ]
    assert won.empty()


KILLED = """
import sys
from pathlib import Path
from skewless.registry.events import Decided
from skewless.registry.registry import Registry
registry = Registry(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    for alias in ("staging", "production"):
        decided = Decided(kind="promote", version="0.1.0-00000001", \
alias=alias, who="w")
        registry.record(decided, registry.events())
        print("recorded", flush=True)
"""


@pytest.mark.fault
@pytest.mark.posix
@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_every_event_whole_and_loses_none_it_told_of(
    tmp_path: Path,
):
    told = 0
    for attempt in range(KILLS):
        words = [sys.executable, "-c", KILLED, str(tmp_path)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout.readline() == "ready\n"
            for _ in range(attempt % 3):
                assert writer.stdout.readline() == "recorded\n"
                told += 1
            time.sleep(0.0005 * (attempt % 10))  # at another moment each time
            os.kill(writer.pid, signal.SIGKILL)
            told += writer.stdout.read().count("recorded\n")

        assert told <= len(Registry(tmp_path).events()) <= told + attempt + 1

    assert told > 0


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "00000002.json").unlink(), "event 2 is missing"),
        (
            lambda folder: (folder / "00000002.json").write_text("{"),
            "00000002.json: is no event",
        ),
        (
            lambda folder: shutil.copy(
                folder / "00000001.json", folder / "00000002.json"
            ),
            "holds event 1",
        ),
    ],
    ids=["missing", "torn", "another"],
)
def test_a_damaged_log_is_refused_and_names_the_event(
    registry: Registry, damage, said: str
):
    for version in VERSIONS[:3]:
        registry.record(decided("promote", version), registry.events())
    damage(registry.folder / "events")

    with pytest.raises(DamagedLogError, match=said):
        registry.state()


def as_json(event: Event, **fields: object) -> bytes:
    return json.dumps(event.model_dump(mode="json") | fields).encode()


# computed in the test, as each of pytest's workers has another now
AN_HOUR_AHEAD = "an hour ahead"


def in_minutes(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("yesterday", "is no event (time: must be a time with its offset"),
        ("", "is no event (time: must be a time with its offset"),
        ("2026-01-01", "is no event (time: must be a time with its offset"),
        ("2026-01-01T00:00:00", "is no event (time: must be a time with its offset"),
        (
            "0001-01-01T00:00:00+14:00",
            "is no event (time: must be a time with its offset",
        ),
        ("\x1b[31m" * 100, r"and is '\x1b[31m"),
        (1.5, "is no event (time: Input should be a valid string"),
        (AN_HOUR_AHEAD, "Set the clock of this machine if that is wrong"),
        (
            "9999-12-31T23:59:59+00:00",
            "was written at 9999-12-31T23:59:59+00:00, and now it is",
        ),
    ],
)
def test_an_event_of_no_known_moment_is_refused_and_named_until_it_is_restored(
    registry: Registry, time: object, said: str
):
    event = registry.record(decided("promote", VERSIONS[0]), [])
    path = registry.folder / "events" / "00000001.json"
    path.write_bytes(
        as_json(event, time=in_minutes(60) if time == AN_HOUR_AHEAD else time)
    )

    with pytest.raises(DamagedLogError) as refused:
        registry.state()
    path.write_bytes(as_json(event))

    assert "events/00000001.json: " in str(refused.value)
    assert said in str(refused.value)
    assert str(refused.value).isprintable()
    assert registry.events() == [event]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"version": ""}, "version: must be a version like 0.1.0-1a2b3c4d, and is ''"),
        ({"version": "."}, "version: must be a version"),
        ({"version": "../../etc"}, "version: must be a version"),
        ({"version": VERSIONS[0] + "\0x"}, "version: must be a version"),
        ({"version": VERSIONS[0] + "\n"}, "version: must be a version"),
        ({"version": "0.1.0-0000000g"}, "version: must be a version"),
        ({"version": "1" * 300 + ".1.0-00000000"}, "version: must be a version"),
        ({"before": ""}, "before: must be a version"),
        ({"before": "../../etc"}, "before: must be a version"),
        ({"alias": None}, "promote must name an alias (staging, production)"),
        ({"kind": "rollback", "alias": None}, "rollback must name an alias"),
        ({"kind": "reject", "alias": None}, "reject must name an alias"),
        ({"kind": "register"}, "register must name no alias, and names production"),
        ({"alias": "prod"}, "alias: Input should be 'staging' or 'production'"),
    ],
    ids=repr,
)
def test_a_decision_about_no_version_or_no_alias_is_no_event(
    registry: Registry, fields: dict[str, object], said: str
):
    event = registry.record(decided("promote", VERSIONS[0]), [])
    (registry.folder / "events" / "00000001.json").write_bytes(as_json(event, **fields))

    with pytest.raises(DamagedLogError) as refused:
        registry.state()
    with pytest.raises(ValueError, match="validation error"):
        Decided(**{**event.model_dump(), **fields})

    assert f"events/00000001.json: is no event ({said}" in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("before", "rollback", "said"),
    [
        ([], VERSIONS[0], "but no version held it"),
        ([VERSIONS[0]], VERSIONS[0], f"which did not hold it before {VERSIONS[0]}"),
        (
            [VERSIONS[0], VERSIONS[1]],
            VERSIONS[2],
            f"which did not hold it before {VERSIONS[1]}",
        ),
    ],
    ids=["of an alias nobody held", "to what holds it", "to what never held it"],
)
def test_a_rollback_that_does_not_fit_what_was_before_makes_the_log_a_damaged_one(
    registry: Registry, before: list[str], rollback: str, said: str
):
    registry.record(decided("promote", VERSIONS[2], "staging"), [])
    for version in before:
        registry.record(decided("promote", version), registry.events())
    registry.record(decided("rollback", rollback), registry.events())

    for ask in (registry.events, registry.state, registry.resolve):
        with pytest.raises(DamagedLogError) as refused:
            ask()
        place = f"events/{len(before) + 2:08}.json"
        assert f"{place}: takes production back to {rollback}, {said}. " in str(
            refused.value
        )
    assert registry.readable_events()[1] == [str(refused.value)]


def test_a_rollback_seems_not_to_fit_only_where_every_event_before_it_can_be_read(
    registry: Registry,
):
    for kind, version in (
        ("promote", VERSIONS[0]),
        ("promote", VERSIONS[1]),
        ("rollback", VERSIONS[0]),
    ):
        registry.record(decided(kind, version), registry.events())
    (registry.folder / "events" / "00000001.json").unlink()

    events, faults = registry.readable_events()

    assert [event.number for event in events] == [2, 3]
    assert len(faults) == 1
    assert "event 1 is missing" in faults[0]


def test_an_event_of_a_machine_whose_clock_is_a_little_ahead_is_read(
    registry: Registry,
):
    event = registry.record(decided("promote", VERSIONS[0]), [])
    path = registry.folder / "events" / "00000001.json"
    path.write_bytes(as_json(event, time=in_minutes(5)))

    assert [each.id for each in registry.events()] == [event.id]


def put_giant(path: Path) -> None:
    """Put a file of a gigabyte somewhere, of which nothing is on disk."""
    with path.open("wb") as file:
        file.truncate(2**30)


PUT_ELSEWHERE: dict[str, Callable[[Path], None]] = {
    "a folder": Path.mkdir,
    "a giant": put_giant,
    "a link": lambda path: path.symlink_to(path.with_name("00000001.json")),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a pipe": lambda path: os.mkfifo(path),  # noqa: PLW0108 - Windows has none to name
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.fault
@pytest.mark.posix
@pytest.mark.parametrize("put", PUT_ELSEWHERE.values(), ids=PUT_ELSEWHERE)
def test_what_is_no_plain_file_of_an_events_size_is_named_and_keeps_nobody_waiting(
    registry: Registry, put: Callable[[Path], None]
):
    for version in VERSIONS[:2]:
        registry.record(decided("promote", version), registry.events())
    path = registry.folder / "events" / "00000002.json"
    good = path.read_bytes()
    path.unlink()
    put(path)

    with pytest.raises(
        DamagedLogError,
        match=r"00000002\.json: is no event: it (must be a plain|holds 1,0)",
    ):
        registry.state()
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    path.write_bytes(good)

    assert registry.resolve() == VERSIONS[1]


def test_an_event_that_nobody_could_read_again_is_not_written(registry: Registry):
    asked = decided("promote", VERSIONS[0]).model_copy(
        update={"reason": "x" * LARGEST_EVENT}
    )

    with pytest.raises(ConfigError, match="Nothing was recorded"):
        registry.record(asked, [])

    assert registry.events() == []


def test_each_fault_of_the_log_is_named(registry: Registry):
    for _ in range(5):
        registry.record(decided("promote", VERSIONS[0]), registry.events())
    folder = registry.folder / "events"
    (folder / "00000002.json").unlink()
    (folder / "00000003.json").write_text("{")
    (folder / "00000004.json").unlink()
    (folder / "00000004.json").mkdir()

    events, faults = registry.readable_events()

    assert [event.number for event in events] == [1, 5]
    assert [
        "event 2" in faults[0],
        "00000003" in faults[1],
        "00000004" in faults[2],
    ] == [True] * 3


@pytest.mark.parametrize("number", [9_999, 99_999_999])
def test_a_file_that_only_looks_like_an_event_does_not_keep_anybody_busy(
    registry: Registry, number: int
):
    registry.record(decided("promote", VERSIONS[0]), [])
    (registry.folder / "events" / f"{number:08}.json").write_text("{}")

    with pytest.raises(DamagedLogError, match="events before"):
        registry.state()


def test_where_events_should_be_and_are_not_nothing_is_decided(registry: Registry):
    registry.folder.mkdir(exist_ok=True)
    (registry.folder / "events").write_text("")

    with pytest.raises(DamagedLogError, match="is no folder of events"):
        registry.record(decided("promote", VERSIONS[0]), [])


def test_who_is_told_that_the_event_exists_because_it_is_his_own_has_recorded_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    create = registry._create_event  # noqa: SLF001 - a store whose first answer is lost

    def answer_is_lost(name: str, data: bytes) -> None:
        create(name, data)
        raise FileExistsError

    monkeypatch.setattr(registry, "_create_event", answer_is_lost)

    # JSON knows no tuples
    check = Check(name="baseline", passed=True, said="so", facts={"cuts": (1, 2)})
    event = registry.record(
        decided("promote", VERSIONS[0]).model_copy(update={"evidence": (check,)}), []
    )

    assert [each.number for each in registry.events()] == [event.number]


def test_an_event_of_a_later_version_of_this_code_can_be_read(registry: Registry):
    event = registry.record(decided("promote", VERSIONS[0]), [])
    path = registry.folder / "events" / "00000001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"new": 1}))

    assert registry.events() == [event]


@pytest.mark.slow
def test_training_again_registers_again_only_if_something_came_between(
    trained: Path, tmp_path: Path, run
):
    own = Path(shutil.copytree(trained, tmp_path / "own"))
    config = (own / "config.yaml").read_text()
    for text in (config, config.replace("max_iter: 40", "max_iter: 41"), config):
        (own / "config.yaml").write_text(text)
        assert run(own, "train").returncode == 0

    events = Registry(own / "models").events()
    assert [event.kind for event in events] == ["register"] * 3
    assert events[0].version == events[2].version != events[1].version


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the trained project, whose version is in production.

    It took the place of a version that is gone.
    """
    own = Path(shutil.copytree(trained, tmp_path / "own"))
    registry = Registry(own / "models")
    for version in (VERSIONS[1], *registry.versions()):
        registry.record(decided("promote", version), registry.events())
    return own


def test_the_list_names_what_is_damaged_or_absent_and_goes_on(
    own: Path, version: Path, run
):
    shutil.copytree(version, own / "models" / VERSIONS[0])

    listed = [
        json.loads(line)
        for line in run(own, "registry", "list", "--json").stdout.splitlines()
    ]
    told = run(own, "registry", "list")

    assert [each["version"] for each in listed] == [
        version.name,
        VERSIONS[0],
        VERSIONS[1],
    ]
    assert (
        listed[0].items()
        >= {"aliases": ["newest", "production"], "fault": None}.items()
    )
    assert f"holds version {version.name}" in listed[1]["fault"]
    assert "absent. Restore the folder from a backup" in listed[2]["fault"]
    assert (told.returncode, told.stdout.count("DAMAGED")) == (0, 2)
    assert told.stdout.splitlines()[0].endswith("  newest production")


def test_verify_misses_a_version_that_production_can_be_rolled_back_to(
    own: Path, version: Path, run
):
    done = run(own, "registry", "verify")

    assert (done.returncode, version.name in done.stdout) == (3, True)
    assert f"{VERSIONS[1]}: the events need it and it is absent" in done.stderr


def test_verify_tells_a_version_that_this_code_no_longer_serves_from_a_damaged_one(
    trained: Path, version: Path, tmp_path: Path
):
    own = Path(shutil.copytree(trained, tmp_path / "own"))
    project = replace(PROJECT, features=lambda *_: {})

    changed = run_command(project, own, "registry", "verify")
    (own / "models" / version.name / ONNX).write_bytes(b"")
    damaged = run_command(project, own, "registry", "verify")

    assert (changed.returncode, changed.stderr) == (0, "")
    assert f"{version.name}  whole, but no longer served: " in changed.stdout
    assert "The commit that can serve it: " in changed.stdout
    assert (damaged.returncode, damaged.stdout) == (3, "")
    assert f"{version.name}/{ONNX}: its SHA-256 is not the one" in damaged.stderr


def test_verify_reads_the_events_and_the_versions_that_are_there_all_the_same(
    own: Path, version: Path, run
):
    (own / "models/events/00000002.json").unlink()

    done = run(own, "registry", "verify")

    assert (done.returncode, version.name in done.stdout) == (3, True)
    assert "event 2 is missing. Restore it from a backup" in done.stderr


@pytest.mark.parametrize(
    "fields",
    [
        {"version": ""},
        {"alias": None},
        {"kind": "rollback"},
        {"kind": "rollback", "alias": "staging"},
    ],
)
@pytest.mark.slow
def test_a_damaged_decision_is_never_passed_over_for_an_older_one(
    own: Path, version: Path, run, fields
):
    path = own / "models/events/00000003.json"
    assert Registry(own / "models").resolve() == version.name
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    for words in (
        ["registry", "verify"],
        ["registry", "list"],
        ["score", "data/table.csv", "out.csv"],
    ):
        done = run(own, *words)
        assert (done.returncode, "events/00000003.json: " in done.stderr) == (
            3,
            True,
        ), words

    assert not (own / "out.csv").exists()


def test_verify_does_not_miss_a_version_that_was_taken_back(
    own: Path, version: Path, run
):
    registry = Registry(own / "models")
    registry.record(decided("register", VERSIONS[2], None), registry.events())
    registry.record(decided("promote", VERSIONS[2]), registry.events())
    registry.record(decided("rollback", version.name), registry.events())
    registry.record(decided("register", version.name, None), registry.events())

    done = run(own, "registry", "verify")

    assert VERSIONS[2] not in done.stderr
    assert registry.state().needed == {VERSIONS[1], version.name}


def test_verify_of_a_folder_that_holds_nothing_has_checked_nothing_and_says_so(
    project: Path, run
):
    done = run(project, "registry", "verify")

    assert done.returncode == 3
    assert "no version and no event is here, so nothing was checked" in done.stderr


def test_events_that_cannot_be_listed_are_not_taken_for_none(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    registry.record(decided("promote", VERSIONS[0]), [])

    def deny(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", deny)

    with pytest.raises(
        DamagedLogError,
        match=r"no folder of events that can be read \(Permission denied\)",
    ):
        registry.state()
