"""A version → staging or production, on evidence; and back."""

from collections.abc import Sequence
from typing import Any

from skewless.core.checkout import read_checkout
from skewless.core.errors import (
    ArtifactError,
    GateError,
    IncompatibleArtifactError,
    StoreError,
)
from skewless.core.provenance import who
from skewless.core.workspace import Workspace
from skewless.lifecycle.evidence import Version, gather
from skewless.models.predict import open_predictor
from skewless.models.signing import read_public_key
from skewless.registry.events import Alias, Check, Decided, Event, fold
from skewless.registry.remote import open_registry


class Promotion:
    """What is decided about the versions of one project.

    Parameters
    ----------
    work
        The project, its configuration and environment: whose signature a version must
        have, if any, and for the record the image that this runs in.
    """

    def __init__(self, work: Workspace) -> None:
        self._work = work
        key = read_public_key(work.settings)
        self._registry = open_registry(work.config.registry, work.root, public_key=key)

    def promote(
        self, name: str, alias: Alias, *, reason: str | None, force: bool
    ) -> Event | None:
        """Put a version on top of those that held an alias, if the evidence allows it.

        `force` overrules the evidence.

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
        seen = self._seen()
        candidate = self._load(self._registry.resolve(name))
        version = candidate.metadata.version
        present = fold(seen).holder(alias)
        if version == present and not force:
            return None
        checks = self._evidence(candidate, present) if alias == "production" else []
        refused = not all(check.passed for check in checks)
        decided = Decided(
            kind="promote",
            version=version,
            before=present,
            reason=reason,
            evidence=tuple(checks),
            forced=refused,
            **self._by(alias),
        )
        if refused and not force:
            rejected = decided.model_copy(update={"kind": "reject", "forced": False})
            lines = [
                f"{version} stays out of production:",
                *(check.line for check in checks),
                "To overrule this: --force --reason '…'",
            ]
            raise GateError(*lines, event=self._registry.record(rejected, seen))
        return self._registry.record(decided, seen)

    def evidence(self, name: str) -> list[Check]:
        """Gather what `promote` would ask for before production, and decide nothing.

        Raises
        ------
        ArtifactError
            The version is absent, damaged, or nothing that this code can serve.
        """
        candidate = self._load(self._registry.resolve(name))
        return self._evidence(candidate, fold(self._seen()).holder("production"))

    def rollback(self, alias: Alias, *, reason: str | None) -> Event:
        """Go back to the last previous holder of an alias that this code can serve.

        Returns
        -------
        Event
            What was recorded; its evidence names what was passed over, and why.

        Raises
        ------
        GateError
            There is none; for each that this code cannot serve, the commit and the
            image that can are named.
        ConflictError
            The alias changed hands meanwhile; nothing was recorded.
        """
        seen = self._seen()
        held = fold(seen).held[alias]
        passed_over = list[Check]()
        others = [version for version in reversed(held) if version != held[-1]]
        for version in dict.fromkeys(others):  # each once, the latest first
            refused = self._refused(version, seen)
            if refused is None:
                back = Decided(
                    kind="rollback",
                    version=version,
                    before=held[-1],
                    reason=reason,
                    evidence=tuple(passed_over),
                    **self._by(alias),
                )
                return self._registry.record(back, seen)
            passed_over.append(refused)
        lines = [
            f"there is nothing to go back to in {alias}",
            *(check.said for check in passed_over),
            "`registry history` shows all, `registry promote` takes any",
        ]
        raise GateError(*lines)

    def _seen(self) -> list[Event]:
        """Read what was decided so far, which must be all of it."""
        seen = self._registry.events()
        if self._registry.stale is not None:
            msg = f"{self._registry.stale} Nothing was recorded"
            raise StoreError(msg)
        return seen

    def _refused(self, version: str, seen: Sequence[Event]) -> Check | None:
        """Say why a version cannot be gone back to, and who can serve it."""
        try:
            self._load(version)
        except StoreError:
            raise  # nobody knows whether it could be served
        except ArtifactError as error:
            images = [
                event.image_tag
                for event in seen
                if event.version == version and event.image_tag
            ]
            said = str(error)
            if images and isinstance(error, IncompatibleArtifactError):
                said += f". The image that can: {images[-1]}"
            return Check(name=version, passed=False, said=said)
        return None

    def _load(self, version: str) -> Version:
        artifact = self._registry.load(version)
        work = self._work
        predictor = open_predictor(artifact, work.project, work.config.serving)
        return Version(artifact.metadata, predictor)

    def _by(self, alias: Alias) -> dict[str, Any]:
        """Say what is decided about, by whom and where."""
        checkout = read_checkout(self._work.root)
        return {
            "alias": alias,
            "who": who(),
            "checkout": checkout,
            "image_tag": self._work.settings.image_tag,
        }

    def _evidence(self, candidate: Version, present: str | None) -> list[Check]:
        try:
            production = self._load(present) if present else None
        except StoreError:
            raise
        except ArtifactError as error:
            # Else nobody could overrule it, with production damaged.
            lost = Check(
                name="production", passed=None, said=f"cannot be compared with: {error}"
            )
            return [lost, *gather(candidate, None, self._work)]
        return gather(candidate, production, self._work)
