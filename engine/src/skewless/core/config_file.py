"""config.yaml → the project's frozen configuration."""

import json
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from skewless.core.errors import ConfigError
from skewless.core.project import Project
from skewless.core.sections import AnyConfig
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
    lines = []
    for fault in error.errors():
        key = ".".join(map(str, fault["loc"])) or "the file"
        match fault["type"]:
            case "missing":
                lines.append(
                    f"{key}: missing; add it (config.schema.json describes it)"
                )
            case "extra_forbidden":
                allowed = _siblings(model, fault["loc"])
                lines.append(
                    f"{key}: unknown key, found {_cut(fault['input'])}; "
                    f"allowed are {allowed}"
                )
            case "url":
                lines.append(
                    f"{key}: found {str(Url(fault['input']))!r}; {fault['msg']}"
                )
            case _:
                lines.append(
                    f"{key}: found {_cut(fault['input'])}; {fault['msg']}{_hint(fault)}"
                )
    return lines


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


def _siblings(model: Any, loc: tuple[int | str, ...]) -> str:
    for key in loc[:-1]:
        model = model.model_fields[str(key)].annotation
    return ", ".join(model.model_fields)
