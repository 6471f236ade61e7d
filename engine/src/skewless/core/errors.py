"""The exceptions of the project, as a tree; each class says when to catch it.

::

    SkewlessError
    ├── AskedError
    ├── ConfigError
    │   └── NotInstalledError
    ├── PredictionError
    ├── ConflictError
    ├── OutputError
    ├── NotReadyError
    ├── BatchTooLargeError
    ├── DeadlineError
    ├── LogStoreError
    ├── TrackingError
    └── RefusedError
        ├── TableError
        ├── DamagedLogError
        ├── GateError
        ├── ReproductionError
        └── ArtifactError
            ├── ArtifactNotFoundError
            ├── StoreError
            ├── VersionExistsError
            ├── TamperedArtifactError
            ├── SignatureError
            ├── UnsafeModelError
            ├── IncompatibleArtifactError
            └── ParityError

Every message says what happened, what was found, what is allowed and what to do.
`exit_code` is what a command ends with: 1 failed, 2 usage or configuration, 3 the
answer is no.
"""

from typing import Any, ClassVar

from skewless.core.escaping import printable


class SkewlessError(Exception):
    """Catch this for anything the project itself reports.

    Parameters
    ----------
    *lines
        The message, line by line. A line may hold text from outside as it is: see
        `printable`.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)

    def __str__(self) -> str:
        return "\n".join(map(printable, self.args))


class AskedError(SkewlessError):
    """A command's words do not fit the table.

    They name what the table does not have, or leave open what only a person knows.
    """

    exit_code: ClassVar[int] = 2


class ConfigError(SkewlessError):
    """config.yaml or the environment holds a wrong key, type or value."""

    exit_code: ClassVar[int] = 2


class NotInstalledError(ConfigError):
    """A package of an extra that is asked for is not installed."""


class PredictionError(SkewlessError):
    """A loaded model answered something that is no probability."""


class ConflictError(SkewlessError):
    """Somebody else decided about it first; look again before you repeat it."""


class OutputError(SkewlessError):
    """Standard output is closed or fails, so nobody can read what a command says."""


class NotReadyError(SkewlessError):
    """A prediction was asked for before a model was loaded."""


class BatchTooLargeError(SkewlessError):
    """A request holds more records than the service takes at once."""


class DeadlineError(SkewlessError):
    """A prediction took longer than the service lets a caller wait."""


class LogStoreError(SkewlessError):
    """The prediction log's database cannot be asked, or a file of it cannot be read."""


class TrackingError(SkewlessError):
    """MLflow did not take what was to be logged; what was made here is unharmed."""


class RefusedError(SkewlessError):
    """The work could be done but must not be: the input or the model does not pass."""

    exit_code: ClassVar[int] = 3


class TableError(RefusedError):
    """A table breaks the contract.

    `faults` lists every broken cell (a DataFrame), if there are any.
    """

    def __init__(self, *lines: str, faults: Any = None) -> None:
        super().__init__(*lines)
        self.faults = faults


class DamagedLogError(RefusedError):
    """The registry's log of events lacks one, or holds one that nobody wrote."""


class GateError(RefusedError):
    """A version may not be promoted, or no earlier version can be served.

    `event` is what was recorded, if anything.
    """

    def __init__(self, *lines: str, event: Any = None) -> None:
        super().__init__(*lines)
        self.event = event


class ReproductionError(RefusedError):
    """A version cannot be rebuilt from what it records, or came out otherwise."""


class ArtifactError(RefusedError):
    """A model version cannot be used; catch this around any loading of a model."""


class ArtifactNotFoundError(ArtifactError):
    """No version of that name, or none at all yet."""


class StoreError(ArtifactError):
    """The registry's object store cannot be asked, and the mirror has no answer."""

    exit_code: ClassVar[int] = 1


class VersionExistsError(ArtifactError):
    """A version of that name was written before; it is never written again."""


class TamperedArtifactError(ArtifactError):
    """A file of the version is missing, extra, or not the bytes that were written."""


class SignatureError(ArtifactError):
    """The version is not signed by the key asked for, whatever its hashes say."""


class UnsafeModelError(ArtifactError):
    """The model file asks for what no model may do, or is a pickle nobody allowed."""


class IncompatibleArtifactError(ArtifactError):
    """The version is whole, but this code cannot reproduce its answers.

    The code of `commit` can.
    """

    def __init__(self, message: str, commit: str) -> None:
        super().__init__(message)
        self.commit = commit


class ParityError(ArtifactError):
    """The exported model does not answer like the model that was trained."""
