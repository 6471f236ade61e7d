"""Header of a foreign table → name of a field.

The name is an identifier that Python, JSON and pydantic can bear.
"""

import keyword
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

from pydantic import BaseModel

LONGEST: Final = 48  # characters
SPELLED: Final = str.maketrans(
    {
        "ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue",
        "æ": "ae", "œ": "oe", "ø": "oe", "Æ": "Ae", "Œ": "Oe", "Ø": "Oe",
        "ß": "ss", "ẞ": "SS", "å": "aa", "Å": "Aa", "þ": "th", "Þ": "Th",
        "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "\u0131": "i",
        "%": " percent ", "#": " number ", "&": " and ",
        "€": " eur ", "$": " usd ", "£": " gbp ",
    }
)  # fmt: skip
WORD_BOUNDARY: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
ANSWERED: Final = frozenset(
    {
        "probability",
        "decision",
        "tier",
        "model_version",
        "trained_at",
        "prediction_id",
        "row",
    }
)
"""What an answer, the log and `score` call their own."""
# Pydantic warns of names that begin so.
PROTECTED: Final = ("model_validate", "model_dump")
# What the fields' own types are written with.
SPOKEN: Final = {"int", "float", "bool", "str", "dict", "list", "dt", "self", "cls"}


def identifier(header: str, position: int, *, id_field: str) -> str:
    """Make an identifier of a header that nothing else is called by.

    `position` is that of `snake_case`, and `id_field` what the project calls the id.

    >>> identifier("Größe", 5, id_field="key")
    'groesse'
    >>> [identifier(header, 1, id_field="key") for header in ("class", "Key")]
    ['class_value', 'key_value']
    """
    name = snake_case(header, position)
    return f"{name}_value" if name == id_field or is_taken(name) else name


def snake_case(header: str, position: int) -> str:
    """Spell a header as code spells names.

    `position`, counted from 1, names a column whose header has no letter.

    >>> snake_case("Monthly Charges (€)", 3), snake_case("StreamingTV", 4)
    ('monthly_charges_eur', 'streaming_tv')
    >>> snake_case("30day usage", 2), snake_case("年龄", 7)
    ('column_30day_usage', 'column_7')
    """
    composed = unicodedata.normalize("NFC", header)
    spelled = unicodedata.normalize("NFKD", composed.translate(SPELLED))
    plain = "".join(letter for letter in spelled if not unicodedata.combining(letter))
    ascii_only = re.sub(r"[^A-Za-z0-9]+", " ", plain.replace("'", ""))
    words = WORD_BOUNDARY.sub(" ", ascii_only).split()
    name = "_".join(words).lower()
    if not re.search("[a-z]", name):
        return f"column_{position}"
    if name[0].isdigit():
        name = f"column_{name}"
    return name[:LONGEST].strip("_")


def is_taken(name: str) -> bool:
    """Tell whether Python, pydantic or the service means something else by a name."""
    return (
        keyword.iskeyword(name)
        or name in SPOKEN
        or name in ANSWERED
        or name.startswith(PROTECTED)
        or hasattr(BaseModel, name)
    )


class Names:
    """Gives out names that are all different, and are no other column's header.

    The names of their features differ as well. Another column's header would be
    ambiguous: the project reads a column by its header or by the field's own name.
    """

    def __init__(self, headers: Iterable[str], *, target: str, header: str) -> None:
        self._headers = set(headers)
        self._used = set[str]()
        self.target = self.name(target, header=header)

    def name(
        self,
        wanted: str,
        *,
        header: str | None,
        features: Callable[[str], Iterable[str]] = lambda name: [name],
    ) -> str:
        """Take the wanted name, or put a number behind it."""
        others = self._headers - {header}
        name = wanted
        number = 1
        while name in others or self._used & {name, *features(name)}:
            number += 1
            name = f"{wanted}_{number}"
        self._used |= {name, *features(name)}
        return name


def in_words(header: str, name: str) -> str:
    """Describe a field by its header: "MonthlyCharges" is "Monthly charges".

    >>> in_words("MonthlyCharges", "monthly_charges")
    'Monthly charges'
    >>> in_words("Größe der  Wohnung", "groesse_der_wohnung")
    'Größe der Wohnung'
    """
    words = header.split()
    if " " not in header.strip():
        # One word by its look, which may join several.
        words = WORD_BOUNDARY.sub(" ", header.replace("_", " ")).split()
        words = words or name.split("_")
        words = [word if word.isupper() else word.lower() for word in words]
    said = " ".join(words)
    return said[:1].upper() + said[1:]
