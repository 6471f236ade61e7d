"""The records that share a value of a column."""

from pydantic import BaseModel


class Segment(BaseModel, frozen=True):
    """Which records they are."""

    column: str
    value: str | None
    """As callers write it; None: they have no value."""

    @property
    def name(self) -> str:
        """Name the segment.

        >>> Segment(column="size", value="small").name
        'size = small'
        >>> Segment(column="size", value=None).name
        'size: missing'
        """
        if self.value is None:
            return f"{self.column}: missing"
        return f"{self.column} = {self.value}"
