"""Train again if there is a reason, and leave a record of it.

The new version knows what came since; it goes into staging or production.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel

from skewless.core.atomic import replace_file
from skewless.core.errors import (
    ConfigError,
    GateError,
    RefusedError,
    SkewlessError,
    TableError,
)
from skewless.core.provenance import who
from skewless.core.workspace import Workspace
from skewless.lifecycle.promotion import Promotion
from skewless.models.signing import read_public_key, read_signing_key
from skewless.monitoring.learned import Growth, grow
from skewless.monitoring.place import open_log
from skewless.monitoring.triggers import FOLDER, REASON, STAMP, Verdict, judge
from skewless.registry.events import Check
from skewless.registry.remote import open_registry
from skewless.tables.faults import check_table
from skewless.tables.table import read_table, write_table
from skewless.training.pipeline import train_version

Result = Literal[
    "nothing to do",
    "held back",
    "busy",
    "would train",
    "staging",
    "production",
    "refused",
    "failed",
]


class Record(BaseModel, frozen=True):
    """What was found and done.

    The record is kept if a version was trained, or was to be.
    """

    time: datetime
    who: str
    result: Result
    said: str = ""
    verdict: Verdict | None = None
    table: str | None = None
    growth: Growth | None = None
    trained: str | None = None
    """The version that came out."""
    evidence: tuple[Check, ...] = ()
    """For production, also if it did not go there."""
    file: str | None = None
    """Where this is kept."""
    exit_code: int = 0


class Retraining:
    """What retrains one project.

    Parameters
    ----------
    work
        The project, its configuration, folder and environment: keys, the image's tag.
    say
        Called with a line before each step that takes time, and with the lines of an
        error.
    """

    def __init__(self, work: Workspace, *, say: Callable[..., None]) -> None:
        self._work = work
        self._config = work.config
        self._say = say
        self._log = open_log(work)
        self._folder = self._log.folder / FOLDER
        self._public_key = read_public_key(work.settings)

    def plan(self, now: datetime) -> Record:
        """Say what would be done, and write nothing.

        Raises
        ------
        SkewlessError
            It cannot be known; see `judge`.
        """
        found = self._found(now)
        if found["result"] == "would train":
            found["growth"] = self._grown(now)[1]
        return Record(**found)

    def run(self, now: datetime) -> Record:
        """Train and promote if there is a reason, and nothing against it.

        Nothing is done while somebody else is about it.

        Returns
        -------
        Record
            An error after the decision to train is in it, and on disk.

        Raises
        ------
        SkewlessError
            It cannot be known whether to train; see `judge`.
        """
        with self._alone(now) as other:
            if other is not None:
                said = f"{other} is about it; nothing was done"
                return Record(time=now, who=who(), result="busy", said=said)
            found = self._found(now)
            if found["result"] == "would train":
                return self._keep(found)
            return Record(**found)

    def _found(self, now: datetime) -> dict[str, Any]:
        self._say("looking for drift, outcomes and age")
        registry = open_registry(
            self._config.registry, self._work.root, public_key=self._public_key
        )
        verdict = judge(self._work, registry, now=now)
        result: Result = "nothing to do"
        if verdict.triggered:
            result = "held back" if verdict.held_back else "would train"
        return {"time": now, "who": who(), "result": result, "verdict": verdict}

    @contextmanager
    def _alone(self, now: datetime) -> Iterator[str | None]:
        """Give None while nobody else is about it, else who is."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(self._folder / ".lock")
        holder = self._folder / ".running"
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            yield holder.read_text() if holder.exists() else "another process"
            return
        with held:
            told = f"{who()}, since {now:%Y-%m-%d %H:%M:%S} UTC,"
            replace_file(holder, told.encode())
            yield None
            holder.unlink()

    def _keep(self, found: dict[str, Any]) -> Record:
        """Act, and leave a record whatever comes of it."""
        path = self._folder / f"{found['time']:{STAMP}}.json"
        found |= {
            "result": "failed",
            "said": "it did not come to its end",
            "file": str(path),
        }
        try:
            self._act(found)
        except (SkewlessError, OSError) as error:
            self._say(*str(error).split("\n"))
            # The rest may name records.
            found["said"] = str(error).partition("\n")[0].rstrip(":")
            found["exit_code"] = getattr(error, "exit_code", SkewlessError.exit_code)
            is_refusal = found["exit_code"] == RefusedError.exit_code
            found["result"] = "refused" if is_refusal else "failed"
            if isinstance(error, TableError) and error.faults is not None:
                rules = error.faults[["column", "rule"]].drop_duplicates().to_numpy()
                found["said"] += ": " + "; ".join(
                    f"{column} must be {rule}" for column, rule in rules
                )
            if isinstance(error, GateError):
                found["evidence"] = error.event.evidence
        finally:
            kept = {None, self._config.data.path}
            if found.get("trained") is None and found.get("table") not in kept:
                # Nothing was made of it.
                (self._work.root / found["table"]).unlink(missing_ok=True)
            written = Record(**found).model_dump_json(indent=2)
            replace_file(path, f"{written}\n".encode())
        return Record(**found)

    def _act(self, found: dict[str, Any]) -> None:
        """Train on what is known by now, and promote.

        What came of each step is written into `found`.
        """
        verdict = found["verdict"]
        target = self._config.retrain.promote
        found["table"], found["growth"] = self._write_table(found["time"])
        data = self._config.data.model_copy(update={"path": found["table"]})
        work = replace(
            self._work, config=self._config.model_copy(update={"data": data})
        )
        key = read_signing_key(work.settings)
        version = train_version(work, say=self._say, key=key).metadata.version
        if version == verdict.version:
            msg = (
                f"training came out as {version} again: "
                f"{found['table']} holds nothing that it did not know"
            )
            raise RefusedError(msg)
        found["trained"] = version
        promotion = Promotion(work)
        reason = REASON + "; ".join(
            f"{each.name}: {each.said}" for each in verdict.triggered
        )
        promotion.promote(version, "staging", reason=reason, force=False)
        self._say("comparing with production")
        if target == "production":
            event = promotion.promote(version, target, reason=reason, force=False)
            found["evidence"] = event.evidence if event else ()
        else:
            found["evidence"] = tuple(promotion.evidence(version))
        found |= {"result": target, "said": f"{version} is in {target}"}

    def _write_table(self, now: datetime) -> tuple[str, Growth]:
        """Write the table beside data.path, if it is another."""
        table, growth = self._grown(now)
        path = Path(self._config.data.path)
        if growth.added or growth.replaced:
            path = path.with_name(f"{path.stem}.{FOLDER}-{now:{STAMP}}.parquet")
            write_table(table, self._work.root / path, self._work.contract)
        return str(path), growth

    def _grown(self, now: datetime) -> tuple[Any, Growth]:
        self._say(f"reading {self._config.data.path} and the log")
        data = self._config.data
        if data.group is not None:
            msg = (
                f"data.group: what was logged has no {data.group}, so nobody knows on "
                "which side of the holdout it belongs. Add to the table by hand and "
                "train, or leave data.group out"
            )
            raise ConfigError(msg)
        contract = self._work.contract
        table = read_table(self._work.root / data.path, contract, data.format)
        return grow(check_table(table, contract), self._log, self._work, now=now)
