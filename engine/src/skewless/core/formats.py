"""The name of a table's file → how it is read or written: the one list of formats."""

from typing import Final, Literal, NamedTuple


class FileFormat(NamedTuple):
    """How a file is read."""

    kind: Literal["text", "parquet"]
    is_gzipped: bool = False
    has_tabs: bool = False
    """Whether its name says that tabs separate its cells.

    Of other text `data.format` says what does.
    """


TEXTS: Final = {
    ".csv": FileFormat("text"),
    ".tsv": FileFormat("text", has_tabs=True),
    ".txt": FileFormat("text"),
}
READ: Final = {
    **TEXTS,
    **{
        f"{ending}.gz": each._replace(is_gzipped=True) for ending, each in TEXTS.items()
    },
    ".parquet": FileFormat("parquet"),
    ".pq": FileFormat("parquet"),
}
READABLE: Final = (
    f"{', '.join(TEXTS)} (each also with .gz behind it), .parquet and .pq, in any case"
)
WRITTEN: Final = (".csv", ".parquet")


def format_of(name: str) -> FileFormat | None:
    """Say how a file of this name is read; None if it is no table's name.

    >>> format_of("WED.CSV"), format_of("notes.md")
    (FileFormat(kind='text', is_gzipped=False, has_tabs=False), None)
    """
    lowered = name.lower()
    for ending, each in READ.items():
        if lowered.endswith(ending):
            return each
    return None
