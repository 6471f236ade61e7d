"""Say in other nouns what a record is and which event is predicted.

They change wherever the project says them.
"""

import ast
import builtins
import io
import keyword
import re
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

NOUN: Final = re.compile(r"[a-z]{3,12}")  # so much room the lines leave
VOWELS: Final = frozenset("aeiou")
RECORD: Final = "customer"  # of the template
EVENT: Final = "churn"  # of the template, whose sentences have it as a word


class Nouns(NamedTuple):
    """What a row is, and what is predicted of it."""

    record: str
    event: str

    def names(self) -> tuple[str, ...]:
        """Spell them as code does.

        >>> Nouns("policy", "lapse").names()[:6]
        ('policies', 'policy', 'Policies', 'Policy', 'POLICIES', 'POLICY')
        """
        several = plural(self.record)
        record = (several, self.record, several.capitalize(), self.record.capitalize())
        constants = (several.upper(), self.record.upper(), f"{self.record}_id")
        return (
            *record,
            *constants,
            f"{self.event}_probability",
            f"{self.event}_prediction",
        )

    def words(self) -> tuple[str, str]:
        """Spell the event as a sentence does."""
        return self.event, self.event.capitalize()


def plural(noun: str) -> str:
    """Form the plural of an English noun.

    >>> [plural(noun) for noun in ("loan", "policy", "box", "day")]
    ['loans', 'policies', 'boxes', 'days']
    """
    if noun.endswith("y") and noun[-2] not in VOWELS:
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def replace_nouns(text: str, old: Nouns, new: Nouns, *, prose: bool) -> tuple[str, int]:
    """Put new nouns for the old ones and count them.

    The event alone, as a word, changes in prose only.

    >>> old, new = Nouns("customer", "churn"), Nouns("loan", "default")
    >>> code = "batch.customers: Customer, churn_probability, churn"
    >>> replace_nouns(code, old, new, prose=False)
    ('batch.loans: Loan, default_probability, churn', 3)
    >>> said = "Churn, as churn-service says of data/customers.csv"
    >>> replace_nouns(said, old, new, prose=True)
    ('Default, as churn-service says of data/customers.csv', 1)
    >>> replace_nouns("A customer is", old, Nouns("order", "return"), prose=False)
    ('An order is', 1)
    """
    before = (*old.names(), *old.words())
    after = (*new.names(), *new.words())
    put = dict(zip(before, after, strict=True))
    longest = "|".join(sorted(old.names(), key=len, reverse=True))
    pattern = rf"(?:(?<![A-Za-z0-9_])|(?<=\\n))(?<!data/)(?:{longest})(?![A-Za-z0-9_])"
    if prose:  # and not a part of a host, a path or another name
        pattern += rf"|(?<![\w/.=-])(?:{'|'.join(old.words())})(?![\w-]|\.\w)"

    def written(found: re.Match[str]) -> str:
        article = found["article"]
        noun = put[found["noun"]]
        if not article:
            return noun
        if noun[0].lower() in VOWELS:
            return f"{article[0]}n {noun}"
        return f"{article[0]} {noun}"

    return re.subn(rf"(?P<article>\b[Aa]n? )?(?P<noun>{pattern})", written, text)


def replace_nouns_in_code(source: str, old: Nouns, new: Nouns) -> tuple[str, int]:
    r"""Put new nouns for the old ones in code that knows the table.

    Its texts stay, as they are the table's. Those that speak of the project change as
    well: docstrings, descriptions, and where `TABLE` names the id.

    >>> old, new = Nouns("customer", "churn"), Nouns("loan", "default")
    >>> code = (
    ...     'TABLE = T(id="customer_id", headers={"customer_id": "customer"})'
    ...     "  # of customers\n"
    ... )
    >>> replace_nouns_in_code(code, old, new)
    ('TABLE = T(id="loan_id", headers={"loan_id": "customer"})  # of loans\n', 3)
    """
    lines = source.splitlines(keepends=True)
    count = 0
    spoken = {_place(text, lines) for text in _texts_of_the_project(ast.parse(source))}
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for token in reversed(tokens):  # so that the places of those before it stay
        is_text = token.type == tokenize.STRING and token.start in spoken
        if is_text or token.type in {tokenize.NAME, tokenize.COMMENT}:
            first, begin = token.start
            last, end = token.end
            after, found = replace_nouns(token.string, old, new, prose=True)
            lines[first - 1 : last] = [
                lines[first - 1][:begin] + after + lines[last - 1][end:]
            ]
            count += found
    return "".join(lines), count


def complaint_of_nouns(new: Nouns, old: Nouns, folder: Path) -> str | None:
    """Say what is wrong with nouns for a project, or None."""
    for noun in new:
        if not NOUN.fullmatch(noun):
            return f"{noun}: it must be a noun of three to twelve small letters"
        if keyword.iskeyword(noun):
            return f"{noun}: Python has that word for itself; choose another noun"
    if new.record == new.event:
        return f"{new.event}: a row and what is predicted of it need a noun each"
    taken = (set(new.names()) - set(old.names())) & _names_in_code(folder)
    if taken:
        return f"{', '.join(sorted(taken))}: the project uses that name already"
    return None


def _names_in_code(folder: Path) -> set[str]:
    """Name whatever the project's code names, and Python's own functions."""
    found = set(dir(builtins))
    paths = [*(folder / "src").rglob("*.py"), *(folder / "tests").rglob("*.py")]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_bytes())):
            match node:
                case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                    found.add(name)
                case (
                    ast.ClassDef(name=name)
                    | ast.FunctionDef(name=name)
                    | ast.AsyncFunctionDef(name=name)
                    | ast.alias(asname=str(name))
                    | ast.alias(name=name)
                ):
                    found.add(name)
                case ast.keyword(arg=str(name)):
                    found.add(name)
                case _:
                    pass
    return found


def _texts_of_the_project(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str()) as text):
                yield text
            case ast.keyword(
                arg="description" | "id", value=ast.Constant(value=str()) as text
            ):
                yield text
            case ast.keyword(arg="headers" | "dates", value=ast.Dict(keys=keys)):
                yield from (key for key in keys if key is not None)
            case _:
                pass


def _place(text: ast.expr, lines: Sequence[str]) -> tuple[int, int]:
    """Return the line of a text, and its column in characters."""
    before = lines[text.lineno - 1].encode()[: text.col_offset]
    return text.lineno, len(before.decode())
