"""Text → a cell of CSV that a spreadsheet shows and does not run, as `=HYPERLINK(…)` would be.

What begins such a cell: https://owasp.org/www-community/attacks/CSV_Injection
"""

import re
from typing import Final

BEGINS: Final = "=+\\-@\t\r\n＝＋－＠"  # noqa: RUF001 - a spreadsheet takes the wide forms of East Asia as well
RUN: Final = re.compile(rf'(^|[;|\t"])(?=[{BEGINS}])')
"""Where a cell begins; also behind what separates cells where a country writes its numbers with a comma."""
NUMBER: Final = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


def shown_only(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would run; a number stays one.

    >>> [shown_only(text) for text in ("=1+1", "@SUM(A1)", "-5", "c-1042", "a;=1+1")]
    ["'=1+1", "'@SUM(A1)", '-5', 'c-1042', "a;'=1+1"]
    """
    return text if NUMBER.fullmatch(text) else RUN.sub(r"\1'", text)
