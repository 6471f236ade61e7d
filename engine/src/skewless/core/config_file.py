"""config.yaml → the project's frozen configuration."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from skewless.core.errors import ConfigError
from skewless.core.project import Project
from skewless.core.sections import AnyConfig, choices
from skewless.core.settings import Settings, variable_name
from skewless.core.url import Url
from skewless.core.yaml_document import read_document

MOST_SHOWN: Final = 200  # characters of a wrong value that an error repeats
HINTS: Final = {
    "int": "; write a whole number like 1000",
    "float": "; write a number like 1000, 0.5 or 1e-3",
    "bool": "; write true or false",
}


def load_config(path: Path, project: Project[Any, Any]) -> AnyConfig:
    """Read and check config.yaml.

    Raises
    ------
    ConfigError
        The file cannot be read, or a key, type or value is wrong; every fault is named
        with its full path, the value found and what is allowed.
    """
    document = read_document(path, variable=variable_name(project.prefix, "config"))
    try:
        return project.config.model_validate_json(
            json.dumps(document), context=project.contract
        )
    except ValidationError as error:
        raise ConfigError(
            *(f"{path}: {line}" for line in _faults(error, project.config))
        ) from None


def at_host(config: AnyConfig, settings: Settings) -> AnyConfig:
    """Put in what the environment says instead."""
    if settings.registry_url is None:
        return config
    registry = config.registry.model_copy(update={"path": settings.registry_url})
    return config.model_copy(update={"registry": registry})


def _faults(error: ValidationError, model: type[AnyConfig]) -> list[str]:
    return [_fault(fault, model) for fault in error.errors()]


def _fault(fault: Any, model: type[AnyConfig]) -> str:
    """Say what is wrong with a key, and what is allowed."""
    loc = key_of(fault["loc"], model)
    key = ".".join(map(str, loc)) or "the file"
    match fault["type"]:
        case "missing":
            return f"{key}: missing; add it (config.schema.json describes it)"
        case "extra_forbidden":
            return f"{key}: {_unknown(fault, loc, model)}"
        case "union_tag_not_found" | "union_tag_invalid":
            return _no_choice(fault, str(loc[0]), model)
        case "url":
            return f"{key}: found {str(Url(fault['input']))!r}; {fault['msg']}"
        case _:
            return f"{key}: found {_cut(fault['input'])}; {fault['msg']}{_hint(fault)}"


def key_of(loc: tuple[int | str, ...], model: type[AnyConfig]) -> tuple[int | str, ...]:
    """Return a key's place as config.yaml has it.

    pydantic's place names the choice, too, where a section may be one of several.
    """
    chooses = loc and loc[0] in model.model_fields
    if chooses and len(loc) > 1 and loc[1] in choices(model, str(loc[0])):
        return (loc[0], *loc[2:])
    return loc


def _allowed(loc: tuple[int | str, ...], model: type[AnyConfig]) -> str:
    """List the keys that are known where an unknown one stands."""
    section: Any = model
    for key in loc[:-1]:
        fields = getattr(section, "model_fields", {})
        options = choices(section, str(key)) if key in fields else {}
        if options:
            section = options
        elif isinstance(section, dict):
            section = section[str(key)]
        else:
            section = fields[str(key)].annotation if key in fields else None
    return ", ".join(getattr(section, "model_fields", {}))


def _unknown(fault: Any, loc: Sequence[int | str], model: type[AnyConfig]) -> str:
    """Say whose key it is that is unknown here, or which are known."""
    name = str(loc[-1])
    options = choices(model, str(loc[0])) if len(loc) > 1 else {}
    owners = [word for word, each in options.items() if name in each.model_fields]
    allowed = _allowed(fault["loc"], model)
    if owners:
        return (
            f"a key of {', '.join(owners)}, and not of what is chosen here; "
            f"allowed are {allowed}"
        )
    return f"unknown key, found {_cut(fault['input'])}; allowed are {allowed}"


def _no_choice(fault: Any, section: str, model: type[AnyConfig]) -> str:
    """Say which words a section's choice takes."""
    key = f"{section}.{model.model_fields[section].discriminator}"
    words = ", ".join(choices(model, section))
    if fault["type"] == "union_tag_not_found":
        return f"{key}: missing; it is one of {words}"
    return f"{key}: found {_cut(fault['ctx']['tag'])}; it is one of {words}"


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _hint(fault: Any) -> str:
    """Say how to write what stayed text.

    YAML 1.1 would make a number or truth value of it.
    """
    if not isinstance(fault["input"], str):
        return ""
    wanted = fault["type"].partition("_")[0]  # `int_type` → `int`
    return HINTS.get(wanted, "")
