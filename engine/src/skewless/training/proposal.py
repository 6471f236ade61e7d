"""The best row of a comparison → what config.yaml has to say for it, as a diff."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import yaml
from pydantic import BaseModel

from skewless.core.config_reference import bounds_in_words
from skewless.core.config_text import as_yaml, with_settings
from skewless.core.escaping import printable
from skewless.core.sections import choices
from skewless.core.workspace import Workspace
from skewless.training.comparison import BASELINE, Comparison, shared_keys

SECTION: Final = "model"


class Proposal(NamedTuple):
    """What to write into config.yaml, for a person to accept."""

    settings: Mapping[str, Any]
    """Key of the section `model` → its value."""
    removed: tuple[str, ...]
    """Keys of it to take out, which are another estimator's."""
    diff: str | None
    """Unified; None if config.yaml is laid out so that it cannot be written."""
    folder: str | None = None
    """Where the diff is applied; None: where the command ran."""

    def lines(self) -> Iterator[str]:
        """Write the diff, or say the changes."""
        if self.diff is not None:
            if self.folder is not None:
                yield f"to be applied in the folder {self.folder}"
                yield ""
            yield from self.diff.splitlines()
            return
        said = [f"{key}: {as_yaml(value)}" for key, value in self.settings.items()]
        yield f"in the section {SECTION} of config.yaml, write {', '.join(said)}"
        if self.removed:
            yield f"and take out {', '.join(self.removed)}"


def beats_baseline(found: Comparison) -> bool:
    """Tell whether the best is better than the baseline, by more than chance."""
    return found.named[BASELINE].behind.low > 0


def why_nothing(found: Comparison, chosen: str) -> str | None:
    """Say why no change of config.yaml is proposed; None if one is.

    Parameters
    ----------
    found
        The comparison.
    chosen
        The estimator of config.yaml, whether it was compared or not.
    """
    best = found.rows[0].name
    if not beats_baseline(found):
        return (
            "no estimator is better than the baseline by more than chance explains: "
            "no change is proposed"
        )
    if best == found.chosen:
        return "config.yaml says the best already: there is nothing to change"
    if found.chosen is not None:
        return None
    if chosen in found.left_out:
        return (
            f"{chosen}, which config.yaml chooses, was left out: no change is proposed"
        )
    return (
        f"{best} is best of what was compared, and config.yaml chooses {chosen}: no "
        "change is proposed. Name that, too, to compare both"
    )


def propose(
    found: Comparison,
    work: Workspace,
    *,
    text: str,
    name: str,
    folder: str | None = None,
) -> Proposal | None:
    """Propose the best estimator with its knobs.

    Parameters
    ----------
    found
        The comparison.
    work
        The project.
    text, name
        Of config.yaml: what it says, its line ends as they are, and its path for the
        diff.
    folder
        Where the diff has to be applied, if not where the command runs.

    Returns
    -------
    Proposal or None
        None if there is nothing to change, or no reason to; see `why_nothing`.
    """
    best = found.rows[0]
    chosen = work.config.model.estimator
    if best.trained is None or why_nothing(found, chosen) is not None:
        return None
    config = type(work.config)
    estimator = best.trained.estimator
    settings = {"estimator": estimator} | dict(best.trained.tuned)
    said = yaml.safe_load(text)[SECTION]
    removed: tuple[str, ...] = ()
    if chosen != estimator:
        kept = shared_keys(config) | set(settings)
        removed = tuple(key for key in said if key not in kept)
    comments = _comments(choices(config, SECTION)[estimator], best.trained.tuned)
    changes = {f"{SECTION}.{key}": value for key, value in settings.items()}
    taken_out = [f"{SECTION}.{key}" for key in removed]
    if "\r" in text:
        # What is printed has the line ends of the terminal, and would not apply.
        return Proposal(settings, removed, None)
    try:
        changed = with_settings(text, changes, comments=comments, removed=taken_out)
    except LookupError:
        return Proposal(settings, removed, None)
    return Proposal(settings, removed, _diff(text, changed, name), folder)


def _comments(section: type[BaseModel], knobs: Iterable[str]) -> dict[str, str]:
    """Take the comment of each knob from its field: what it is, and its range."""
    schema = section.model_json_schema()["properties"]
    comments = {}
    for name in knobs:
        said = schema[name].get("description") or name
        # Comments in config.yaml begin with a small letter.
        said = said[0].lower() + said[1:]
        bounds = bounds_in_words(schema[name])
        comments[name] = f"{said}; {bounds}" if bounds else said
    return comments


def _diff(before: str, after: str, name: str) -> str | None:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        fromfile=f"a/{name}",
        tofile=f"b/{name}",
    )
    ended = [
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in lines
    ]
    diff = "".join(ended)
    # What is not shown as it is could not be applied, or is a secret.
    is_plain = all(printable(line) == line for line in diff.splitlines())
    return diff if is_plain else None
