"""How people write the same number: with other separators, in other groups, or in one run.

Where words before a number speak for it and its check digits hold, its grouping says nothing more, so the pattern of such a
number is loosened to its digits, whatever single separators stand between them.
"""

from __future__ import annotations

import re
from typing import Final

_SEPARATOR: Final = r"[ .\-/]?"
_PIECE: Final = re.compile(
    r"(?P<keep>\\b|\(\?i\)|\||\(\?:|\)\??)"
    r"|(?P<drop>(?:\[[ .\\/\-:]+\]|\\[.\-]|[\-/ ])\??)"
    r"|(?P<digit>\\d|\[[\d\-]+\]|\d)(?:\{(?P<low>\d+)(?:,(?P<high>\d+))?\})?(?P<maybe>\?)?"
)


def loosened(pattern: str) -> str:
    r"""``pattern`` with any single separator between any two of its digits; as it is where it holds anything but digits.

    >>> loosened(r"\b\d{2}-?[01]\d\b")
    '\\b\\d(?:[ .\\-/]?\\d){1}[ .\\-/]?[01][ .\\-/]?\\d\\b'
    """
    made: list[str] = []
    position = 0
    begun = False
    while position < len(pattern):
        piece = _PIECE.match(pattern, position)
        if piece is None:
            return pattern
        position = piece.end()
        if piece["keep"]:
            if piece["keep"] == "|":
                begun = False
            made.append(piece["keep"])
        elif piece["digit"]:
            digit, low = piece["digit"], int(piece["low"] or 1)
            high = int(piece["high"] or low)
            if piece["maybe"]:
                low = 0
            first = digit if not begun else _SEPARATOR + digit
            if low:
                made.append(first)
                begun = True
                low, high = low - 1, high - 1
            elif not begun:
                return pattern  # an optional first digit: nothing to hang the separator on
            if high:
                count = f"{{{low}}}" if low == high else f"{{{low},{high}}}"
                made.append(f"(?:{_SEPARATOR}{digit}){count}")
    return "".join(made)
