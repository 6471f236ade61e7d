"""A contract unlike the project's own, to show that nothing depends on that one."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, create_model

from own import ID
from skewless.core.record import NO_CONTROLS


class Nameless(BaseModel):
    """A record of another kind: booleans, a single category, missing everything."""

    running: Annotated[bool | None, Field(examples=[True])] = None
    heat: Annotated[float, Field(ge=-40, le=90.5, description="°C", examples=[20.5])]
    maker: Annotated[Literal["a"], Field(examples=["a"])]
    state: Annotated[Literal["on", "off"] | None, Field(examples=["on"])] = None


Machine = create_model(
    "Machine",
    __base__=Nameless,
    **{
        ID: (
            Annotated[str | None, Field(min_length=2, max_length=40), NO_CONTROLS],
            None,
        )
    },
)
