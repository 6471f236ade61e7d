"""A noun → how many of what, in words.

What a row is, only the project knows: its record class has the name of one.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

VOWELS: Final = "aeiou"
SIBILANTS: Final = ("s", "x", "z", "ch", "sh")
WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")  # where another word begins


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun, as a sentence says it of one and of several."""

    one: str
    many: str

    @classmethod
    def of(cls, one: str) -> Self:
        """Form the plural of an English noun.

        >>> [Noun.of(one).many for one in ("answer", "policy", "box", "day")]
        ['answers', 'policies', 'boxes', 'days']
        """
        if one.endswith("y") and one[-2:-1] not in VOWELS:
            return cls(one, f"{one[:-1]}ies")
        return cls(one, f"{one}es" if one.endswith(SIBILANTS) else f"{one}s")

    @classmethod
    def of_class(cls, record: type) -> Self:
        """Take a noun from the name of a class.

        >>> Noun.of_class(type("LoanApplication", (), {}))
        Noun(one='loan application', many='loan applications')
        """
        return cls.of(WORDS.sub(" ", record.__name__).replace("_", " ").lower())

    def form(self, number: int) -> str:
        """Return the noun as it stands behind a number."""
        return self.one if number == 1 else self.many

    def count(self, number: int) -> str:
        """Say how many.

        >>> [Noun.of("week").count(number) for number in (0, 1, 1200)]
        ['0 weeks', '1 week', '1,200 weeks']
        """
        return f"{number:,} {self.form(number)}"


ANSWER: Final = Noun.of("answer")
WEEK: Final = Noun.of("week")
