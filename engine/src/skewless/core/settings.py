"""Environment → frozen `Settings`. Nothing else reads it."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    get_args,
)

from pydantic import (
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from skewless.core.errors import ConfigError
from skewless.core.url import Url
from skewless.core.yaml_document import check_value

PREFIX: Final = "SKEWLESS_"
"""What the names of variables begin with, unless a project says otherwise."""
PROJECT: Final = "SKEWLESS_PROJECT"
"""Variable that tells a worker where its project is: ``package.module:name``."""


class Settings(BaseSettings):
    """What differs by host, from variables of the environment.

    In development a `.env` file may hold them. `load_settings` tells what the
    variables' names begin with.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True
    )

    config: Annotated[Path, Field(description="The configuration file")] = Path(
        "config.yaml"
    )
    registry_url: Annotated[
        Url | None, Field(description="Instead of registry.path")
    ] = None
    signing_key: Annotated[
        SecretStr | None, Field(description="Signs versions; PEM, or its path")
    ] = None
    public_key: Annotated[
        SecretStr | None, Field(description="Of who must have signed; the same")
    ] = None
    host: Annotated[str, Field(description="Address to listen on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535, description="Port to listen on")] = 8000
    version: Annotated[
        str | None,
        Field(description="The model version to serve; default: what is in production"),
    ] = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    api_keys: Annotated[
        SecretStr, Field(description="id:sha256:scope, separated by commas")
    ] = SecretStr("")
    allow_anonymous: Annotated[
        bool, Field(description="Answer callers from anywhere without a key")
    ] = False
    redis_url: Annotated[
        Url | None, Field(description="Where processes share rate limits")
    ] = None
    image_tag: Annotated[
        str | None, Field(description="Image that this runs in; events name it")
    ] = None
    start_version: Annotated[
        str | None,
        Field(description="For workers: what answers while nothing is in production"),
    ] = None
    metrics_dir: Annotated[
        Path | None, Field(description="Where workers share their metrics")
    ] = None
    hash_key: Annotated[
        SecretStr | None,
        Field(min_length=16, description="Key of the columns that the log hashes"),
    ] = None
    log_url: Annotated[
        Url | None,
        Field(
            description="PostgreSQL that keeps the prediction log, before its folder"
        ),
    ] = None
    mlflow_tracking_uri: Annotated[
        Url | None,
        Field(
            # MLflow's own variable, which other tools of a team read too
            validation_alias="MLFLOW_TRACKING_URI",
            description="MLflow server that train and compare log to",
        ),
    ] = None

    _prefix: str = PrivateAttr(default=PREFIX)

    def variable(self, name: str) -> str:
        """Return the name of the variable that a setting comes from.

        >>> Settings(_env_file=None).variable("public_key")
        'SKEWLESS_PUBLIC_KEY'
        """
        return variable_name(self._prefix, name)

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        # usual in files of variables
        is_unset = not value.strip() and Url in _types(str(info.field_name))
        return None if is_unset else check_value(value)


def variable_name(prefix: str, name: str) -> str:
    """Return the name of a setting's variable, with the prefix of a project.

    A variable of another tool has no prefix.

    >>> variable_name("MY_", "public_key")
    'MY_PUBLIC_KEY'
    >>> variable_name("MY_", "mlflow_tracking_uri")
    'MLFLOW_TRACKING_URI'
    """
    own = Settings.model_fields[name].validation_alias
    return own if isinstance(own, str) else f"{prefix}{name}".upper()


def load_settings(prefix: str) -> Settings:
    """Read the environment.

    Parameters
    ----------
    prefix
        What the names of the variables begin with; see `Project.prefix`.

    Raises
    ------
    ConfigError
        A variable holds a wrong value.
    """
    try:
        settings = Settings(_env_prefix=prefix)
    except UnicodeDecodeError as error:
        msg = f".env: must be UTF-8 text ({error})"
        raise ConfigError(msg) from error
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            name = str(fault["loc"][0]).lower()
            found = _shown(name, fault["input"])
            lines.append(f"{variable_name(prefix, name)}: {found}{fault['msg']}")
        raise ConfigError(*lines) from None
    settings._prefix = prefix  # noqa: SLF001 - no variable or caller sets it
    return settings


def _shown(name: str, value: Any) -> str:
    types = _types(name)
    if SecretStr in types:
        return ""
    shown = str(Url(value)) if Url in types else value
    return f"found {shown!r}; "


def _types(name: str) -> tuple[Any, ...]:
    """Return the types of a setting."""
    annotation = Settings.model_fields[name].annotation
    return get_args(annotation) or (annotation,)


def misspelt(prefix: str) -> dict[str, str]:
    """Find variables that nothing reads and whose names are nearly a setting's."""
    known = [variable_name(prefix, name) for name in Settings.model_fields]
    meant = {}
    for name in sorted(os.environ):  # noqa: TID251 - this module is the one that may
        if name.upper() in known:
            continue
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.85)
        if near:
            meant[name] = near[0]
    return meant


def hand_down(settings: Settings, *, place: str) -> None:
    """Give the settings of this process to the worker processes that it starts.

    Tell them also where its project is.
    """
    handed = settings.model_dump(
        include={"config", "version", "start_version", "metrics_dir"}, exclude_none=True
    )
    variables = {settings.variable(name): str(value) for name, value in handed.items()}
    os.environ |= variables  # noqa: TID251 - this module is the one that may
    os.environ[PROJECT] = place  # noqa: TID251 - this module is the one that may
    metrics = str(settings.metrics_dir)  # prometheus_client reads it when imported
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics  # noqa: TID251 - as above


def set_unset_variables(variables: Mapping[str, str]) -> None:
    """Set variables that a library reads; those that are set already stay."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)  # noqa: TID251 - this module is the one


def handed_down_project() -> Any:
    """Import the project of the supervisor of this worker process."""
    return resolve_name(os.environ[PROJECT])  # noqa: TID251 - this module may
