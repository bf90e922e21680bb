"""The words before a value, and in the key above it: how they are read, looked for and noticed in advance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SPECIAL: Final = frozenset(".^$*+?()[]{}|\\")


def spaced(text: str) -> str:
    """``customerSSN_no`` -> ``customer ssn no``: how text before a value and keys are read for context words."""
    return _CAMEL.sub(" ", text).replace("_", " ").replace("-", " ").lower()


def preceding(text: str, start: int, window: int) -> str:
    """The ``window`` characters before ``start``, without a word that the window cuts: "phone" is not in "microphone"."""
    first = start - window
    if first <= 0:
        return text[:start]
    if text[first - 1].isalpha():
        while first < start and text[first].isalpha():
            first += 1
    return text[first:start]


def words(listed: Sequence[str]) -> re.Pattern[str] | None:
    """Any of ``listed`` as a word in text that was :func:`spaced`. Alternatives of literals: nothing to backtrack."""
    if not listed:
        return None
    escaped = "|".join(re.escape(word.lower()) for word in sorted(listed, key=len, reverse=True))
    return re.compile(rf"(?<![^\W\d_])(?:{escaped})s?(?![a-z])")


def last(wanted: re.Pattern[str] | None, text: str) -> int:
    """Where the last of the ``wanted`` words in ``text`` ends, or -1."""
    end = -1
    if wanted is not None and text:
        for match in wanted.finditer(text):
            end = match.end()
    return end


def trigger(listed: Sequence[str]) -> str:
    """RE2 pattern that matches every text in which :func:`words` could find one of ``listed`` once it is spaced."""
    return "|".join(map(_noticed, sorted({word.lower() for word in listed})))


def _noticed(word: str) -> str:
    """One word, over-approximated with ASCII word boundaries: classes of other letters would make the set large."""
    first, rest = word[0], "".join(map(_letter, word[1:]))
    head = rf"(?:(?:\b|[0-9_])[{first}{first.upper()}]|[a-z]{first.upper()})" if "a" <= first <= "z" else _letter(first)
    return head + rest + (r"[sS]?(?:\b|[A-Z0-9_])" if word[-1].isascii() and word[-1].isalnum() else "")


def _letter(char: str) -> str:
    if char == " ":
        return r"[ _\-]?"
    if char in _SPECIAL:
        return "\\" + char
    upper = char.upper()
    return f"[{char}{upper}]" if len(upper) == 1 and upper != char else char
