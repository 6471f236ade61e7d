"""config.yaml → frozen `Config`; environment → `Settings`. Nothing else reads either.

Run ``python -m churn_service.config`` to print the JSON schema that config.yaml is checked with.
"""

import difflib  # floor: service
import json
import os  # floor: service
import sys
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    Literal,  # floor: service
    get_args,
)

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from churn_service.errors import ConfigError, OutputError
from churn_service.sections import Config
from churn_service.standard_output import standard_output
from churn_service.url import Url
from churn_service.yaml_document import check_value, read_document

MOST_SHOWN: Final = 200  # characters of a wrong value that an error repeats
HINTS: Final = {
    "int": "; write a whole number like 1000",
    "float": "; write a number like 1000, 0.5 or 1e-3",
    "bool": "; write true or false",
}


class Settings(BaseSettings):
    """What differs by host, from `CHURN_…` variables or, in development, a `.env` file."""

    model_config = SettingsConfigDict(env_prefix="CHURN_", env_file=".env", extra="ignore", frozen=True)

    config: Annotated[Path, Field(description="The configuration file")] = Path("config.yaml")
    registry_url: Annotated[Url | None, Field(description="Instead of registry.path")] = None
    signing_key: Annotated[SecretStr | None, Field(description="Signs versions; PEM, or its path")] = None
    public_key: Annotated[SecretStr | None, Field(description="Of who must have signed; the same")] = None
    # floor: service
    host: Annotated[str, Field(description="Address to listen on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535, description="Port to listen on")] = 8000
    version: Annotated[
        str | None, Field(description="The model version to serve; default: what is in production")
    ] = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    api_keys: Annotated[SecretStr, Field(description="id:sha256:scope, separated by commas")] = SecretStr("")
    allow_anonymous: Annotated[bool, Field(description="Answer callers from anywhere without a key")] = False
    redis_url: Annotated[Url | None, Field(description="Where processes share rate limits")] = None
    image_tag: Annotated[str | None, Field(description="Image that this runs in; events name it")] = None
    start_version: Annotated[
        str | None, Field(description="For workers: what answers while nothing is in production")
    ] = None
    metrics_dir: Annotated[Path | None, Field(description="Where workers share their metrics")] = None
    # end floor
    # floor: monitored
    hash_key: Annotated[
        SecretStr | None, Field(min_length=16, description="Key of the columns that the log hashes")
    ] = None
    log_url: Annotated[
        Url | None, Field(description="PostgreSQL that keeps the prediction log, before its folder")
    ] = None
    # end floor

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        is_unset = not value.strip() and Url in _types(str(info.field_name))  # usual in files of variables
        return None if is_unset else check_value(value)


def load_settings() -> Settings:
    """Read the environment.

    Raises
    ------
    ConfigError
        A `CHURN_…` variable holds a wrong value.
    """
    try:
        return Settings()
    except UnicodeDecodeError as error:
        msg = f".env: must be UTF-8 text ({error})"
        raise ConfigError(msg) from error
    except ValidationError as error:
        lines = [
            f"CHURN_{name}: ".upper() + _shown(name, found["input"]) + found["msg"]
            for found in error.errors()
            for name in map(str, found["loc"][:1])
        ]
        raise ConfigError(*lines) from None


def _shown(name: str, value: Any) -> str:
    types = _types(name)
    if SecretStr in types:
        return ""
    return f"found {str(Url(value))!r}; " if Url in types else f"found {value!r}; "


def _types(name: str) -> tuple[Any, ...]:
    """Return the types of a setting."""
    annotation = Settings.model_fields[name].annotation
    return get_args(annotation) or (annotation,)


def load_config(path: Path) -> Config:
    """Read and check config.yaml.

    Raises
    ------
    ConfigError
        The file cannot be read, or a key, type or value is wrong; every fault is named with its full path,
        the value found and what is allowed.
    """
    document = read_document(path)
    try:
        return Config.model_validate_json(json.dumps(document))
    except ValidationError as error:
        raise ConfigError(*(f"{path}: {line}" for line in _faults(error))) from None


def at_host(config: Config, settings: Settings) -> Config:
    """Put in what the environment says instead."""
    if settings.registry_url is None:
        return config
    registry = config.registry.model_copy(update={"path": settings.registry_url})
    return config.model_copy(update={"registry": registry})


def _faults(error: ValidationError) -> list[str]:
    lines = []
    for fault in error.errors():
        key = ".".join(map(str, fault["loc"])) or "the file"
        match fault["type"]:
            case "missing":
                lines.append(f"{key}: missing; add it (config.schema.json describes it)")
            case "extra_forbidden":
                lines.append(
                    f"{key}: unknown key, found {_cut(fault['input'])}; allowed are {_siblings(fault['loc'])}"
                )
            case "url":
                lines.append(f"{key}: found {str(Url(fault['input']))!r}; {fault['msg']}")
            case _:
                lines.append(f"{key}: found {_cut(fault['input'])}; {fault['msg']}{_hint(fault)}")
    return lines


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _hint(fault: Any) -> str:
    """Say how to write what stayed text, where YAML 1.1 would make a number or truth value of it."""
    is_text = isinstance(fault["input"], str)
    return HINTS.get(fault["type"].partition("_")[0], "") if is_text else ""


def _siblings(loc: tuple[int | str, ...]) -> str:
    model: Any = Config
    for key in loc[:-1]:
        model = model.model_fields[str(key)].annotation
    return ", ".join(model.model_fields)


# floor: service
def misspelt() -> dict[str, str]:
    """Find variables that nothing reads and whose names are nearly a setting's."""
    known = [f"CHURN_{name}".upper() for name in Settings.model_fields]
    near = {
        name: difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.85)
        for name in os.environ  # noqa: TID251 - this module is the one that may
        if name.upper() not in known
    }
    return {name: meant for name, found in sorted(near.items()) for meant in found}


def hand_down(settings: Settings) -> None:
    """Give the settings of this process to the worker processes that it starts."""
    handed = settings.model_dump(
        include={"config", "version", "start_version", "metrics_dir"}, exclude_none=True
    )
    os.environ |= {f"CHURN_{name.upper()}": str(value) for name, value in handed.items()}  # noqa: TID251 - this module is the one that may
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(settings.metrics_dir)  # noqa: TID251 - prometheus_client reads it when imported


# end floor
def config_schema() -> str:
    """Render the JSON schema of config.yaml, as config.schema.json holds it."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    try:
        with standard_output() as output:
            print(config_schema(), end="", file=output)
    except OutputError as error:
        sys.exit(f"error: {error}")
