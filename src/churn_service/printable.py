r"""Text from outside → text that a terminal, a log or a page can hold: nothing hidden, no password.

A cell, a file's name, a user's name or a reason may hold what a terminal obeys: ``\x1b[1A\x1b[2K`` erases the
line above it, a line break begins what looks like another message, a bidi override turns words around.
"""

import re
from typing import Final

MASK: Final = "***"
USER_INFO: Final = re.compile(r"(:/{2,}[^/?#\s:@]*:)[^/?#\s]*@")
PARAMETER: Final = re.compile(r"([?&][^=?&#\s]+=)([^&#\s]+)")
SECRET_NAMES: Final = re.compile("sig|token|secret|pass|pwd|key|credential|auth", re.IGNORECASE)
"""Parts of names of parameters that grant access: ``sig``, ``X-Amz-Signature``, ``AWSAccessKeyId``, …"""


def printable(text: object) -> str:
    r"""Write a text on one line that shows all there is of it, with passwords in URLs masked.

    What Python calls unprintable is written by its code: control characters, line breaks, bidi and other
    invisible marks, blanks other than a space, halves of surrogate pairs. A backslash stays as it is, so what
    was written so may be written so again without a change.

    >>> print(printable("ü\x1b[1A\r\n\u202e"), printable("s3://me:secret@host/x?token=1"))
    ü\x1b[1A\r\n\u202e s3://me:***@host/x?token=***
    """
    return masked("".join(map(_visible, str(text))))


def masked(text: str) -> str:
    """Mask passwords in the URLs of a text, and parameters that grant access.

    >>> masked("redis://:secret@host:6379/0 and https://host/x?a=1&sig=abc")
    'redis://:***@host:6379/0 and https://host/x?a=1&sig=***'
    """
    if "://" not in text:
        return text
    return PARAMETER.sub(_masked_parameter, USER_INFO.sub(rf"\g<1>{MASK}@", text))


def _visible(sign: str) -> str:
    return sign if sign.isprintable() else sign.encode("unicode_escape").decode()


def _masked_parameter(found: re.Match[str]) -> str:
    return found[1] + (MASK if SECRET_NAMES.search(found[1]) else found[2])
