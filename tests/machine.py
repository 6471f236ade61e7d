"""A contract of another kind than the project's own, to show that nothing depends on the latter."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Machine(BaseModel):
    """A record of another kind: booleans, a single category, missing everything."""

    customer_id: Annotated[str | None, Field(min_length=2, max_length=40)] = None
    running: Annotated[bool | None, Field(examples=[True])] = None
    heat: Annotated[float, Field(ge=-40, le=90.5, description="°C", examples=[20.5])]
    maker: Annotated[Literal["a"], Field(examples=["a"])]
    state: Annotated[Literal["on", "off"] | None, Field(examples=["on"])] = None
