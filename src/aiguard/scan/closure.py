r"""Prefix closures: from a pattern, a pattern that matches what could still become a match.

``closure("ab{2}c")`` matches ``a``, ``ab``, ``abb`` and ``abbc``: every non-empty prefix of a match, matches included,
and nothing else. It is derived from the parsed pattern, where ``np`` is "non-empty prefixes of"::

    np(x rest)    = np(x) | x np(rest)          np(class)   = class
    np(a | b)     = np(a) | np(b)               np(group x) = np(x)
    np(x{lo,hi})  = x{0,hi-1} np(x)             np(\\b rest) = \\b np(rest)

:class:`Tails` runs the union of many closures backwards from the end of a text, so that its cost is that of the text
that may still become something, whatever stands before (Brzozowski's derivatives do the same one character at a time).
"""

from __future__ import annotations

import re
import string
import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import re2

from aiguard.scan.named import before_value
from aiguard.scan.recognizer import RecognizerError

_parser: Any = re._parser  # type: ignore[attr-defined]  # noqa: SLF001 - the only parser of this syntax there is
constants: Any = re._constants  # type: ignore[attr-defined]  # noqa: SLF001

_MEMORY: Final = 256 << 20
"""Budget of the union's program and automaton in bytes, used as far as inputs demand."""

_ANYWHERE: Final = re2._Anchor.UNANCHORED  # noqa: SLF001
_START: Final = re2._Anchor.ANCHOR_START  # noqa: SLF001

_FLAGS: Final = ((re.IGNORECASE, "i"), (re.DOTALL, "s"), (re.MULTILINE, "m"))
_ALL: Final = re.IGNORECASE | re.DOTALL | re.MULTILINE

# What the two syntaxes read differently: repeats without a lower bound, POSIX classes.
_AMBIGUOUS: Final = re.compile(r"\{,\d|\[:\^?[a-z]+:\]")

_CATEGORIES: Final = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
_POSITIONS: Final = {
    "AT_BEGINNING": "^",
    "AT_BEGINNING_STRING": r"\A",
    "AT_BOUNDARY": r"\b",
    "AT_NON_BOUNDARY": r"\B",
    "AT_END": "$",
    "AT_END_STRING": r"\z",
}

_MEMBERS: Final = {"CATEGORY_DIGIT": string.digits, "CATEGORY_WORD": string.ascii_letters + string.digits + "_"}
"""What RE2 takes a class for, where all of it is ASCII characters that can be listed."""


class NotClosed(RecognizerError):
    """A pattern cannot be taken apart, so a stream cannot know what to hold back for it and must keep everything."""


@lru_cache(maxsize=4096)
def closure(pattern: str, *, loose: bool = False) -> str:
    """RE2 syntax for the non-empty prefixes of what ``pattern`` matches; ``""`` where it matches nothing but "".

    With ``loose``, of what it matches :func:`loosened`. Raises :class:`NotClosed` for syntax that RE2 and Python do not share.
    """
    items, flags = parse(pattern)
    found = _prefixes(loosened(items) if loose else items)
    return scoped(found, flags) if found else ""


@lru_cache(maxsize=4096)
def alphabet_within(pattern: str, allowed: frozenset[str]) -> bool:
    """Whether every character of every match of ``pattern`` is certainly one of ``allowed`` (ASCII)."""
    items, flags = parse(pattern)
    return _within(items, allowed, flags)


class Tails:
    """Where, at the end of a text, something begins that could still become a match of one of ``patterns``.

    The patterns are closures already, or anything else in RE2 syntax that is closed under taking prefixes. Immutable
    after construction, so thread-safe.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        options = re2.Options()
        options.log_errors = False
        options.longest_match = False
        options.never_capture = True  # where a group stands is not asked, and would cost more than all else
        options.max_mem = _MEMORY
        union = "|".join(sorted({f"(?:{pattern})" for pattern in patterns if pattern}))
        try:
            program = re2.compile(f"(?:{union})\\z".encode(), options) if union else None
        except re2.error:
            raise NotClosed(
                "the union of the patterns' prefixes is too large for RE2; streams keep everything"
            ) from None

        # Called for every chunk: `search` costs as much again for a generator and a match object.
        self._match = None if program is None else program._regexp.Match  # noqa: SLF001

    def start(self, data: bytes) -> int:
        """The byte of ``data`` (UTF-8) from which its end must be held back; ``len(data)`` when nothing must be."""
        if self._match is None:
            return len(data)
        start = int(self._match(_ANYWHERE, data, 0, len(data))[0][0])
        return len(data) if start < 0 else start


class Headed:
    """:class:`Tails` of one pattern that has a :func:`head`: from each place where it stands, forwards, which costs what stands there.

    ``start`` leaves out what is not yet a whole head. Immutable after construction, so thread-safe.
    """

    def __init__(self, head: str, patterns: Iterable[str]) -> None:
        options = re2.Options()
        options.log_errors = False
        options.never_capture = True
        options.max_mem = _MEMORY
        try:
            self._head = re2.compile(head.encode(), options)._regexp.Match  # noqa: SLF001 - as in Tails
            union = "|".join(f"(?:{pattern})" for pattern in patterns)
            self._rest = re2.compile(f"(?:{union})\\z".encode(), options)._regexp.Match  # noqa: SLF001
        except re2.error:
            raise NotClosed("a pattern's prefixes are too large for RE2; streams keep everything") from None

    def start(self, data: bytes) -> int:
        """The byte of ``data`` (UTF-8) from which its end must be held back; ``len(data)`` when nothing must be."""
        at, size = 0, len(data)
        while (begin := int(self._head(_ANYWHERE, data, at, size)[0][0])) >= 0:
            if self._rest(_START, data, begin, size)[0][0] >= 0:
                return begin
            at = begin + 1
        return size


class Mentions:
    """Which of ``patterns`` (RE2 syntax) occur in a text. Immutable after construction, so thread-safe."""

    def __init__(self, patterns: Sequence[str]) -> None:
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MEMORY
        self._set = re2.Set.SearchSet(options)
        for pattern in patterns:
            self._set.Add(pattern.encode())
        self._sentinel = self._set.Add(rb"\z")
        self._set.Compile()

    def of(self, data: bytes) -> list[int]:
        """Indices into ``patterns``; all of them where the set ran out of memory."""
        found = self._set.Match(data)
        if not found or self._sentinel not in found:
            return list(range(self._sentinel))
        return [index for index in found if index != self._sentinel]


def parse(pattern: str) -> tuple[Sequence[Any], int]:
    """The parsed items of a pattern and its flags. Raises :class:`NotClosed` for syntax that RE2 and Python do not share."""
    if _AMBIGUOUS.search(pattern):
        raise NotClosed(f"the pattern {pattern[:60]!r} means different things to RE2 and Python; spell it out")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            parsed = _parser.parse(pattern)
    except (re.error, FutureWarning, OverflowError, RecursionError):
        raise NotClosed(f"the pattern {pattern[:60]!r} is not in the syntax that RE2 and Python share") from None
    return list(parsed), int(parsed.state.flags) & _ALL


def scoped(pattern: str, flags: int, less: int = 0) -> str:
    """``pattern`` in a group under ``flags`` and without those of ``less``."""
    on = "".join(letter for flag, letter in _FLAGS if flags & flag)
    off = "".join(letter for flag, letter in _FLAGS if less & flag)
    return f"(?{on}{'-' + off if off else ''}:{pattern})"


LONG: Final = 24
"""Repeats from which on :func:`loosened` stops counting."""

WIDE: Final = 16
"""Repeats of something that prose is made of, from which on a pattern has a gap: :func:`head`."""


def loosened(items: Sequence[Any], *, begun: bool = False) -> list[Any]:
    """The same, but that long repeats of things without blanks are not counted any more: more matches, and a far smaller automaton.

    Not so at the beginning, where nothing has spoken for a match yet: there, a text without blanks would never end.
    """
    found: list[Any] = []
    for item in items:
        op, value = str(item[0]), item[1]
        if op == "BRANCH":
            found.append((item[0], (value[0], [loosened(branch, begun=begun) for branch in value[1]])))
        elif op == "SUBPATTERN":
            found.append((item[0], (*value[:3], loosened(value[3], begun=begun))))
        elif op in {"MAX_REPEAT", "MIN_REPEAT"}:
            low, high, repeated = value
            if begun and high >= LONG and not _takes_blanks(repeated):
                low, high = min(low, 1), constants.MAXREPEAT
            found.append((item[0], (low, high, loosened(repeated, begun=begun))))
            begun = begun or low > 0
            continue
        else:
            found.append(item)
        begun = begun or op != "AT"
    return found


def head(pattern: str, run: frozenset[str] = frozenset(), *, named: bool = False) -> tuple[str, str] | None:
    """What every match of ``pattern`` begins with, up to its first gap (a long repeat of something that a blank is part of), and its closure.

    Backwards from the end of a text, any prose could stand in a gap, so a closure with one is costly to look for; where no head stands, there
    is no need to. With ``named``, a pattern without a gap is taken up to its value. The closure is ``""`` where all of the head is certainly of characters of ``run``. None for a pattern without a gap, and for one that begins with it. Raises :class:`NotClosed` as :func:`closure` does.
    """
    items, flags = parse(pattern)
    found, gap = _head(loosened(items))
    if named and not (gap and found):
        found = before_value(loosened(items))
        gap = bool(found)
    if not gap or not found:
        return None
    return scoped(_sequence(found), flags), "" if _within(found, run, flags) else scoped(_prefixes(found), flags)


def _head(items: Sequence[Any]) -> tuple[list[Any], bool]:
    """A sequence up to its first gap, and whether it has one."""
    found: list[Any] = []
    for item in items:
        op, value = str(item[0]), item[1]
        if op == "BRANCH":
            ways = [_head(branch) for branch in value[1]]
            if any(gap for _, gap in ways):
                return [*found, (item[0], (value[0], [way for way, _ in ways]))] if all(
                    way for way, _ in ways
                ) else found, True
        elif op == "SUBPATTERN":
            inner, gap = _head(value[3])
            if gap:
                return [*found, (item[0], (*value[:3], inner))] if inner else found, True
        elif op in {"MAX_REPEAT", "MIN_REPEAT"}:
            _, high, repeated = value
            if (high >= WIDE and _takes_blanks(repeated)) or _head(repeated)[1]:
                return found, True
        found.append(item)
    return found, False


def _takes_blanks(items: Sequence[Any]) -> bool:
    for item in items:
        op, value = str(item[0]), item[1]
        if op == "ANY" or (op == "NOT_LITERAL" and value != ord(" ")) or (op == "IN" and _has_blank(value)):
            return True
        if op in {"MAX_REPEAT", "MIN_REPEAT"} and _takes_blanks(value[2]):
            return True
        if op == "SUBPATTERN" and _takes_blanks(value[3]):
            return True
        if op == "BRANCH" and any(map(_takes_blanks, value[1])):
            return True
    return False


def _has_blank(items: Sequence[Any]) -> bool:
    negated = found = False
    for item in items:
        op, value = str(item[0]), item[1]
        if op == "NEGATE":
            negated = True
        elif op == "LITERAL":
            found = found or value == ord(" ")
        elif op == "RANGE":
            found = found or value[0] <= ord(" ") <= value[1]
        else:
            found = found or str(value) in {"CATEGORY_SPACE", "CATEGORY_NOT_DIGIT", "CATEGORY_NOT_WORD"}
    return found != negated


def _prefixes(items: Sequence[Any]) -> str:
    """Non-empty prefixes of a sequence; "" when there are none."""
    found = ""
    for item in reversed(items):
        here, whole = _prefixes_of(item), emit(item)
        rest = f"{whole}{found}" if found else ""
        found = "|".join(filter(None, (here, rest)))
        found = f"(?:{found})" if found else ""
    return found


def _prefixes_of(item: Any) -> str:
    op, value = str(item[0]), item[1]
    if op == "AT":
        return ""
    if op == "SUBPATTERN":
        inner = _prefixes(value[3])
        return scoped(inner, value[1] & _ALL, value[2] & _ALL) if inner else ""
    if op == "BRANCH":
        return "|".join(filter(None, map(_prefixes, value[1])))
    if op in {"MAX_REPEAT", "MIN_REPEAT"}:
        _, high, repeated = value
        inner = _prefixes(repeated)
        if not inner or high == 0:
            return ""
        if high is constants.MAXREPEAT:
            return f"(?:{_sequence(repeated)})*{inner}"
        if len(repeated) == 1 and _single(repeated[0]):
            return f"{emit(repeated[0])}{{1,{high}}}"
        return f"(?:{_sequence(repeated)}){{0,{high - 1}}}{inner}" if high > 1 else inner
    return emit(item)


def _sequence(items: Sequence[Any]) -> str:
    return "".join(map(emit, items))


def emit(item: Any) -> str:
    """One parsed item in RE2 syntax again."""
    op, value = str(item[0]), item[1]
    if op == "LITERAL":
        return _char(value)
    if op == "NOT_LITERAL":
        return f"[^{_char(value)}]"
    if op == "ANY":
        return "."
    if op == "IN":
        return _class(value)
    if op == "AT" and str(value) in _POSITIONS:
        return _POSITIONS[str(value)]
    if op == "BRANCH":
        return "(?:" + "|".join(map(_sequence, value[1])) + ")"
    if op == "SUBPATTERN":
        return scoped(_sequence(value[3]), value[1] & _ALL, value[2] & _ALL)
    if op in {"MAX_REPEAT", "MIN_REPEAT"}:
        low, high, repeated = value
        if high == 0:
            return "(?:)"
        upper = "" if high is constants.MAXREPEAT else str(high)
        return f"(?:{_sequence(repeated)}){{{low},{upper}}}"
    raise NotClosed(f"{op.lower()} in a pattern cannot be taken apart; RE2 does not have it")


def _class(items: Sequence[Any]) -> str:
    inside: list[str] = []
    for item in items:
        op, value = str(item[0]), item[1]
        if op == "NEGATE":
            inside.append("^")
        elif op == "LITERAL":
            inside.append(_char(value))
        elif op == "RANGE":
            inside.append(f"{_char(value[0])}-{_char(value[1])}")
        elif op == "CATEGORY" and str(value) in _CATEGORIES:
            inside.append(_CATEGORIES[str(value)])
        else:
            raise NotClosed(f"{op.lower()} in a character class cannot be taken apart")
    return f"[{''.join(inside)}]"


def _char(code: int) -> str:
    if 0xD800 <= code < 0xE000:
        raise NotClosed("a pattern names a surrogate, which UTF-8 does not have")
    char = chr(code)
    return char if char.isascii() and char.isalnum() else f"\\x{{{code:X}}}"


def _single(item: Any) -> bool:
    return str(item[0]) in {"LITERAL", "NOT_LITERAL", "ANY", "IN"}


def _within(items: Sequence[Any], allowed: frozenset[str], flags: int) -> bool:
    return all(_item_within(item, allowed, flags) for item in items)


def _item_within(item: Any, allowed: frozenset[str], flags: int) -> bool:
    op, value = str(item[0]), item[1]
    if op == "AT":
        return True
    if op == "LITERAL":
        # Without regard to case, RE2 takes the Kelvin sign for a K and the long s for an S.
        cases = {chr(value)} if not flags & re.IGNORECASE else {chr(value).lower(), chr(value).upper()}
        return cases <= allowed and not (flags & re.IGNORECASE and chr(value) in "kKsS")
    if op == "IN":
        return _members(value, allowed, flags)
    if op == "BRANCH":
        return all(_within(branch, allowed, flags) for branch in value[1])
    if op == "SUBPATTERN":
        return _within(value[3], allowed, (flags | value[1]) & ~value[2])
    if op in {"MAX_REPEAT", "MIN_REPEAT"}:
        return value[1] == 0 or _within(value[2], allowed, flags)
    return False


def _members(items: Sequence[Any], allowed: frozenset[str], flags: int) -> bool:
    for item in items:
        op, value = str(item[0]), item[1]
        if op == "RANGE" and value[1] < 128:
            codes = range(value[0], value[1] + 1)
            if not all(_item_within(("LITERAL", code), allowed, flags) for code in codes):
                return False
        elif op == "LITERAL":
            if not _item_within(item, allowed, flags):
                return False
        elif not (op == "CATEGORY" and set(_MEMBERS.get(str(value), "\0")) <= allowed):
            return False
    return True
