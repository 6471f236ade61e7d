"""A version → staging or production, on evidence; and back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from churn_service.baseline import baseline_probability
from churn_service.errors import ArtifactError, GateError, IncompatibleArtifactError, TableError
from churn_service.events import Alias, Decided, Event, fold
from churn_service.faults import check_table
from churn_service.gate import Check, check_beats, check_contract, log_losses
from churn_service.metadata import Metadata

# floor: monitored
from churn_service.monitoring.replay import replay

# end floor
from churn_service.predict import Predictor, load_predictor
from churn_service.provenance import git_commit, who
from churn_service.remote import open_registry
from churn_service.schema import ID, TARGET
from churn_service.sections import Config
from churn_service.signing import PublicKey
from churn_service.split import is_holdout
from churn_service.table import read_table

OTHER_SPLIT: Final = (
    "the two were split by another holdout_fraction or holdout_salt, so each saw customers that the other "
    "holds out; train the candidate with production's"
)


class Version(NamedTuple):
    """A version that this code can serve."""

    metadata: Metadata
    predictor: Predictor


class Promotion:
    """What is decided about the versions of one project.

    Parameters
    ----------
    config, root
        The configuration, and the folder that its relative paths start from.
    image_tag
        Of the image that this runs in, for the record.
    public_key
        Whose signature a version must have, if any.
    """

    def __init__(
        self, config: Config, root: Path, image_tag: str | None = None, *, public_key: PublicKey | None = None
    ) -> None:
        self._config, self._root, self._image_tag = config, root, image_tag
        self._registry = open_registry(config.registry, root, public_key=public_key)

    def promote(self, name: str, alias: Alias, *, reason: str | None, force: bool) -> Event | None:
        """Put a version on top of those that held an alias, if the evidence allows or `force` overrules it.

        Returns
        -------
        Event or None
            What was recorded; nothing if the version holds the alias already.

        Raises
        ------
        ArtifactError
            The version is absent, damaged, or nothing that this code can serve.
        GateError
            Evidence is missing or speaks against it; that was recorded.
        ConflictError
            The alias changed hands meanwhile; nothing was recorded.
        """
        seen = self._registry.events()
        candidate = self._load(self._registry.resolve(name))
        version, present = candidate.metadata.version, fold(seen).holder(alias)
        if version == present and not force:
            return None
        checks = self._evidence(candidate, present) if alias == "production" else []
        refused = [check for check in checks if not check.passed]
        decided = self._decided(version, alias, reason=reason, evidence=checks)
        if refused and not force:
            self._registry.record(decided.model_copy(update={"kind": "reject"}), seen)
            lines = "\n".join(check.line for check in checks)
            msg = f"{version} stays out of production:\n{lines}\nTo overrule this: --force --reason '…'"
            raise GateError(msg)
        return self._registry.record(decided, seen)

    def rollback(self, alias: Alias, *, reason: str | None) -> Event:
        """Go back to the version that held an alias before.

        Raises
        ------
        GateError
            There is none.
        ArtifactError
            It is damaged, or this code cannot serve it; the commit and the image that can are named.
        ConflictError
            The alias changed hands meanwhile; nothing was recorded.
        """
        seen = self._registry.events()
        held = fold(seen).held[alias]
        before = next((version for version in reversed(held[:-1]) if version != held[-1]), None)
        if before is None:
            msg = f"there is nothing to go back to in {alias}; `churn-service registry history` shows all"
            raise GateError(msg)
        try:
            self._load(before)
        except IncompatibleArtifactError as error:
            images = [event.image_tag for event in seen if event.version == before and event.image_tag]
            image = f". The image that can: {images[-1]}" if images else ""
            msg = f"{error}{image}"
            raise IncompatibleArtifactError(msg, error.commit) from error
        decided = self._decided(before, alias, reason=reason)
        return self._registry.record(decided.model_copy(update={"kind": "rollback"}), seen)

    def _load(self, version: str) -> Version:
        metadata = self._registry.metadata(version)
        folder, key = self._registry.folder / version, self._registry.public_key
        return Version(metadata, load_predictor(folder, public_key=key))

    def _decided(
        self, version: str, alias: Alias, *, reason: str | None, evidence: Sequence[Check] = ()
    ) -> Decided:
        return Decided(
            kind="promote",
            version=version,
            alias=alias,
            who=who(),
            reason=reason,
            evidence=tuple(check.model_dump(mode="json") for check in evidence),
            git_commit=git_commit(self._root),
            image_tag=self._image_tag,
        )

    def _evidence(self, candidate: Version, present: str | None) -> list[Check]:
        try:
            production = self._load(present) if present else None
        except ArtifactError as error:  # else nobody could overrule it, with production damaged
            lost = Check(name="production", passed=None, said=f"cannot be compared with: {error}")
            return [lost, *self._on_holdout(candidate, None)]
        checks = self._on_holdout(candidate, production)
        if production is not None:
            new, old = (each.metadata.identity.columns for each in (candidate, production))
            checks.insert(0, check_contract(new, old))
            # floor: monitored
            monitoring, gate = self._config.monitoring, self._config.gate
            log = None if monitoring.prediction_log is None else self._root / monitoring.prediction_log
            privacy = monitoring.privacy
            checks.append(replay(log, candidate.predictor, production.predictor, privacy=privacy, gate=gate))
            # end floor
        return checks

    def _on_holdout(self, candidate: Version, production: Version | None) -> list[Check]:
        split = candidate.metadata.holdout
        if production is not None and _split(candidate.metadata) != _split(production.metadata):
            return [Check(name="holdout", passed=False, said=OTHER_SPLIT)]
        path = self._root / self._config.data.path
        if not path.exists():
            said = f"{self._config.data.path} is not here, so nothing can be compared"
            return [Check(name="holdout", passed=None, said=said)]
        try:
            table = check_table(read_table(path))
        except TableError as error:
            fault = str(error).partition("\n")[0]  # the rest names customers, and events are for ever
            said = f"nothing can be compared with {self._config.data.path}: {fault}"
            return [Check(name="holdout", passed=None, said=said)]
        holdout = table[is_holdout(table[ID], fraction=split.fraction, salt=split.salt)]
        if holdout.empty:
            return [Check(name="holdout", passed=None, said="the table holds no customer that was held out")]
        outcomes = holdout[TARGET].to_numpy()
        losses = log_losses(candidate.predictor.probabilities(holdout), outcomes)
        rule = baseline_probability(holdout, self._config.features, self._config.baseline)
        checks = [check_beats("baseline", losses, log_losses(rule, outcomes), margin=0.0)]
        if production is not None:
            others = log_losses(production.predictor.probabilities(holdout), outcomes)
            checks.append(check_beats("production", losses, others, margin=self._config.gate.margin))
        return checks


def _split(metadata: Metadata) -> tuple[float, str]:
    return metadata.holdout.fraction, metadata.holdout.salt
