"""Write the value of a name, or the statements of a body, anew in Python source.

What a person wrote around them stays: docstrings, comments, other definitions.
"""

import ast
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

Definition = TypeVar("Definition", ast.ClassDef, ast.FunctionDef)


def with_value(source: str, name: str, value: str) -> str:
    r"""Give a module's constant another value.

    Its annotation and the docstring below it stay.

    >>> with_value('A: Final = "x"\nB: Final = 2\n', "A", "3")
    'A: Final = 3\nB: Final = 2\n'
    """
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if ast.unparse(target) == name:
            return _replaced(source, node.value, value)
    msg = f"the file has no constant {name}"
    raise LookupError(msg)


def with_docstring_of(source: str, name: str, text: str) -> str:
    r"""Write the docstring anew that stands below a constant.

    >>> written = with_docstring_of("A: Final = 1\n'Old.'", "A", "New.")
    >>> ast.literal_eval(written.splitlines()[1])
    'New.'
    """
    body = ast.parse(source).body
    for node, below in pairwise(body):
        if (
            isinstance(node, ast.AnnAssign)
            and ast.unparse(node.target) == name
            and isinstance(below, ast.Expr)
        ):
            escaped = text.replace("\\", "\\\\").replace('"', r"\"")
            return _replaced(source, below, f'"""{escaped}"""')
    return source


def with_fields(
    source: str, name: str, fields: Sequence[str], *, keep: Sequence[str] = ()
) -> str:
    r"""Declare other fields in a class.

    Its docstring, `model_config` and the fields to keep stay.

    >>> old = 'class C:\n    "Say."\n\n    a: int\n    b: int\n'
    >>> with_fields(old, "C", ["c: str"], keep=["a"])
    'class C:\n    "Say."\n\n    a: int\n    c: str\n'
    """
    found = _definition(source, ast.ClassDef, name)
    lines = source.splitlines(keepends=True)
    gone = [
        node
        for node in found.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) not in keep
    ]
    kept = [node for node in found.body if node not in gone]
    if not fields and not kept:
        fields = ["pass"]
    end = max((node.end_lineno or 0 for node in kept), default=found.body[0].lineno - 1)
    lines[end:end] = [f"    {field}\n" for field in fields]
    for node in reversed(gone):
        shift = len(fields) if node.lineno > end else 0
        del lines[node.lineno - 1 + shift : (node.end_lineno or node.lineno) + shift]
    return "".join(lines)


def with_body(source: str, name: str, statements: str) -> str:
    r"""Give a function other statements; its signature and its docstring stay.

    >>> old = 'def f(a):\n    "Say."\n    # old\n    b = a\n    return b\n'
    >>> with_body(old, "f", "return {}")
    'def f(a):\n    "Say."\n    return {}\n'
    """
    body = _definition(source, ast.FunctionDef, name).body
    documented = isinstance(body[0], ast.Expr) and isinstance(
        body[0].value, ast.Constant
    )
    kept = [ast.get_source_segment(source, body[0]) or ""] if documented else []
    return _replaced(source, body[0], "\n    ".join([*kept, statements]), last=body[-1])


def require(source: str, name: str, parameters: Sequence[str]) -> None:
    """Raise LookupError unless a module defines a function of these parameters."""
    found = [each.arg for each in _definition(source, ast.FunctionDef, name).args.args]
    if found != list(parameters):
        msg = f"{name} takes ({', '.join(found)}), not ({', '.join(parameters)})"
        raise LookupError(msg)


def with_cases(source: str, cases: str) -> str:
    """Give the first parametrised test of a module other cases."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "pytest.mark.parametrize"
        ):
            return _replaced(source, node.args[1], cases)
    msg = "the file has no parametrised test"
    raise LookupError(msg)


def _definition(source: str, kind: type[Definition], name: str) -> Definition:
    for node in ast.parse(source).body:
        if isinstance(node, kind) and node.name == name:
            return node
    msg = f"the file does not define {name}"
    raise LookupError(msg)


def _replaced(
    source: str, node: ast.stmt | ast.expr, text: str, *, last: ast.stmt | None = None
) -> str:
    """Put text in place of a node, or of all up to another.

    The parser counts columns in UTF-8 bytes.
    """
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    begin = node.lineno - 1
    before = [*lines[:begin], lines[begin][: node.col_offset]]
    final = last or node
    end = (final.end_lineno or 0) - 1
    after = [lines[end][final.end_col_offset :], *lines[end + 1 :]]
    return (b"".join(before) + text.encode() + b"".join(after)).decode()
