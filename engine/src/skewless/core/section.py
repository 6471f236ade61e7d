"""What every section of config.yaml has in common."""

from typing import Annotated

from pydantic import BaseModel, Field

Probability = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel, frozen=True, strict=True, extra="forbid", allow_inf_nan=False):
    """A part of config.yaml: no unknown key, no silent conversion."""
