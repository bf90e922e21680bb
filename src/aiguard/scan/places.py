"""Places in a text: its bytes, from bytes to characters, and what lies within what was found."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def encode(text: str) -> bytes:
    """UTF-8 with one U+FFFD for every surrogate: RE2 reads every character, and character offsets stay what they were."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()


def far(data: bytes, said: int, left: int, reach: int) -> bool:
    """Whether more than ``reach`` characters stand between the bytes ``said`` and ``left``."""
    if left - said <= reach:
        return False
    return left - said > 4 * reach or len(data[said:left].decode("utf-8", "ignore")) > reach


def following(data: bytes, position: int) -> int:
    """Where the character after the one at ``position`` begins."""
    position += 1
    while position < len(data) and data[position] & 0xC0 == 0x80:
        position += 1
    return position


_FEW: Final = 8
"""Spans up to which asking one after another is quicker than an index of them."""


class Within:
    """Where findings of one reading lie, to be asked of candidates of less specific kinds."""

    __slots__ = ("_reach", "_spans", "_starts")

    def __init__(self) -> None:
        self._spans: list[tuple[int, int, float]] = []
        self._starts: list[int] = []
        self._reach: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._spans)

    def add(self, spans: Iterable[tuple[int, int, float]]) -> None:
        """Findings lie there, in characters, and are worth so much."""
        self._spans += spans

    def holds(self, start: int, end: int) -> bool:
        """Whether one finding holds all of ``start..end``: the one that reaches furthest of those that begin before."""
        if len(self._spans) <= _FEW:
            for first, last, _ in self._spans:  # noqa: SIM110 - asked of most candidates, and `any` costs four times as much
                if first <= start and end <= last:
                    return True
            return False
        if len(self._starts) != len(self._spans):
            self._spans.sort()
            self._starts = [first for first, _, _ in self._spans]
            self._reach = list(accumulate((last for _, last, _ in self._spans), max))
        index = bisect_right(self._starts, start)
        return index > 0 and self._reach[index - 1] >= end


class Offsets:
    """Byte offset -> character offset for offsets asked in rising order, in time linear in the text."""

    __slots__ = ("_byte", "_char", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._byte = self._char = 0

    def rewind(self) -> None:
        """Ask from the beginning again."""
        self._byte = self._char = 0

    def char(self, offset: int, *, peek: bool = False) -> int:
        """The character at a byte ``offset``; with ``peek`` the next question may be for less."""
        count = self._char + len(self._data[self._byte : offset].decode()) if offset > self._byte else self._char
        if not peek and offset > self._byte:
            self._byte, self._char = offset, count
        return count
