"""Make a version again by its record and the present table, code and lock.

The same version comes out, or what differs is said.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ValidationError

from skewless.core.config_file import key_of
from skewless.core.errors import ConfigError, ReproductionError, TableError
from skewless.core.sections import AnyConfig
from skewless.core.workspace import Workspace
from skewless.models.metadata import Metadata
from skewless.registry.remote import open_registry
from skewless.training.pipeline import make_version

Differences = dict[str, dict[str, dict[str, Any]]]

# No part of an identity.
NOTES: Final = frozenset({"config", "code", "libraries", "python", "platform"})


@dataclass(frozen=True)
class Reproduction:
    """What rebuilding a version came to."""

    version: str
    rebuilt: str
    """The version that came out."""
    differences: Differences
    """Group → fact → recorded and found; a group without a difference is empty."""

    @property
    def identical(self) -> bool:
        """Tell whether all that decides an answer came out again; notes may differ."""
        return self.rebuilt == self.version and not self._decisive

    @property
    def _decisive(self) -> list[str]:
        return [
            group
            for group, facts in self.differences.items()
            if facts and group not in NOTES
        ]

    def lines(self) -> Iterator[str]:
        """Say of each group that it is the same, or what was recorded and found."""
        for group, facts in self.differences.items():
            if not facts:
                yield f"{group:11}same"
            for name, fact in facts.items():
                note = "note: " if group in NOTES else ""
                recorded = _shown(fact["recorded"])
                found = _shown(fact["found"])
                yield f"{group:11}{note}{name}: recorded {recorded}, found {found}"

    def refuse_another(self) -> None:
        """Do nothing if the version came out again.

        Raises
        ------
        ReproductionError
            It did not.
        """
        if self.identical:
            return
        msg = (
            f"{self.version} came out as {self.rebuilt}; "
            f"what differs: {', '.join(self._decisive)}. "
            "Put back the table, the lock, the commit and the environment that it "
            "records, and try again"
        )
        different = {group for group, facts in self.differences.items() if facts}
        if different <= {"model", "code"}:
            msg += (
                ". If the code is the same, the estimator gives another model each "
                "time: give it a seed, random_state for most"
            )
        raise ReproductionError(msg)


def reproduce(
    name: str, work: Workspace, *, say: Callable[[str], None]
) -> Reproduction:
    """Train a version again by the configuration that it records; nothing is written.

    Parameters
    ----------
    name
        A version or an alias.
    work
        The present config.yaml: where the table and the registry are. What the version
        records replaces the rest of what training reads.
    say
        Called with a line before each step that takes time.

    Raises
    ------
    ArtifactError
        The version is absent or damaged, or the model cannot be exported faithfully.
    ReproductionError
        The version records no configuration, or one that this code does not take.
    TableError
        The table is absent or breaks the contract; the message names the data that is
        needed.
    """
    config = work.config
    registry = open_registry(config.registry, work.root)
    recorded = registry.load(name).metadata
    rebuilt_by = _recorded_config(recorded, work)
    try:
        found, _ = make_version(replace(work, config=rebuilt_by), say=say)
    except TableError as error:
        needed = (
            f"{recorded.version} was trained on {_rows(recorded):,} rows "
            f"with the data hash {recorded.identity.data_sha256}"
        )
        msg = f"{needed}; put that table at {config.data.path}"
        raise TableError(*error.args, msg, faults=error.faults) from error
    except ConfigError as error:
        raise _unfit(recorded, str(error)) from error
    differences = _differences(_facts(recorded, rebuilt_by), _facts(found, config))
    return Reproduction(recorded.version, found.version, differences)


def _recorded_config(recorded: Metadata, work: Workspace) -> AnyConfig:
    """Replace what training reads by what the version records.

    The path of the table stays.
    """
    if not recorded.training:
        msg = (
            f"{recorded.version} was trained before versions recorded the model "
            "section of config.yaml, so it cannot be rebuilt. "
            "Raise model.version and train: the new version can"
        )
        raise ReproductionError(msg)
    present = work.config
    document = present.model_dump(mode="json")
    split = recorded.holdout
    identity = recorded.identity
    document["data"] |= {
        "holdout_fraction": split.fraction,
        "holdout_salt": split.salt,
        "group": split.group,
    }
    decision = identity.decision
    document |= {
        "features": identity.features,
        "decision": decision.model_dump(mode="json")
        | {"allow_low_tier_positive": decision.threshold < decision.medium_risk},
    }
    runtime = "scikit-learn" if identity.onnx_sha256 is None else "onnx"
    document["serving"]["runtime"] = runtime
    try:
        rebuilt = present.model_validate_json(
            json.dumps(document | recorded.training), context=work.contract
        )
    except ValidationError as error:
        keys = [key_of(fault["loc"], type(present)) for fault in error.errors()]
        wrong = ", ".join(".".join(map(str, key)) for key in keys)
        raise _unfit(recorded, wrong) from error
    # JSON holds no password of its URL.
    return rebuilt.model_copy(update={"registry": present.registry})


def _unfit(recorded: Metadata, reason: str) -> ReproductionError:
    return ReproductionError(
        f"{recorded.version} cannot be rebuilt by this code, which does not take the "
        f"configuration that it records ({reason}). "
        f"The commit that can: {recorded.commit}"
    )


def _rows(metadata: Metadata) -> int:
    return int(metadata.provenance["training_rows"]) + metadata.holdout.rows


def _facts(metadata: Metadata, config: AnyConfig) -> dict[str, dict[str, Any]]:
    """Lay out what is compared, by group.

    That is the whole identity, the configuration and where it was trained.
    """
    identity = metadata.identity
    origin = metadata.provenance
    columns = {
        column.name: column.model_dump(mode="json") for column in identity.columns
    }
    settings = dict[str, Any]()
    for section, keys in config.model_dump(mode="json").items():
        settings |= {f"{section}.{key}": value for key, value in keys.items()}
    return {
        "data": {
            "sha256": identity.data_sha256,
            "rows": _rows(metadata),
            "held out": metadata.holdout.ids_sha256,
        },
        "config": settings,
        "lock": {"sha256": identity.lock_sha256},
        "engine": {"sha256": identity.engine_sha256},
        "schema": {"columns": list(columns), **columns},
        "features": {
            "names": list(identity.feature_names),
            "section": identity.features,
        },
        "decision": identity.decision.model_dump(mode="json"),
        "code": _code(metadata),
        "libraries": origin["libraries"],
        "python": {"version": origin["python"]},
        "platform": {"name": origin["platform"]},
        "model": {
            "onnx_sha256": identity.onnx_sha256,
            "joblib_sha256": identity.joblib_sha256,
        },
    }


def _code(metadata: Metadata) -> dict[str, Any]:
    """Tell of the code that trained a version.

    Code that is recorded nowhere is of its own moment, so no two of it count as the
    same.
    """
    checkout = metadata.checkout
    moment = metadata.trained_at
    if checkout.state == "unknown":
        return {
            "git_commit": checkout.commit,
            "uncommitted_changes": f"{checkout} when trained {moment}",
        }
    uncommitted = "none" if checkout.state == "clean" else f"those of {moment}"
    return {"git_commit": checkout.commit, "uncommitted_changes": uncommitted}


def _differences(
    recorded: dict[str, dict[str, Any]], found: dict[str, dict[str, Any]]
) -> Differences:
    differences = {}
    for group, facts in recorded.items():
        others = found[group]
        differences[group] = {
            name: {"recorded": facts.get(name), "found": others.get(name)}
            for name in facts | others
            if facts.get(name) != others.get(name)
        }
    return differences


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
