"""One reading of a text that is still arriving: what of it is pending, what stands before that, and from where it must wait."""

from __future__ import annotations

import copy
from bisect import bisect_right
from itertools import accumulate

from aiguard.scan.holding import Plan
from aiguard.scan.places import encode
from aiguard.scan.window import Window


class Arriving:
    """One reading of the text: as it stands (no table), normalised, or what its tags spell."""

    __slots__ = ("_ends", "alone", "original", "pending", "table", "tail", "text")

    def __init__(self, table: dict[int, str] | None, original: str, tail: str, *, alone: bool) -> None:
        self.table = table
        self.tail = tail
        self.alone = alone
        self.pending = ""
        self.text = tail
        self.original = ""
        self._ends: list[int] | None = None
        self.add(original)

    def add(self, chunk: str) -> None:
        """Put the next ``chunk`` of the text behind it."""
        self.original += chunk
        if self.table is None:
            self.pending = self.original
            self.text = self.tail + self.original if self.tail else self.original
        else:
            self.pending += chunk.translate(self.table)
            self.text = self.tail + self.pending
            if self._ends is not None:
                table, done = self.table, self._ends[-1] if self._ends else 0
                self._ends += accumulate(
                    (len(table[ord(char)]) for char in chunk[1:]), initial=done + len(table[ord(chunk[0])])
                )

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Characters of what is pending, from characters of ``text``."""
        start, end = start - len(self.tail), end - len(self.tail)
        if self.table is None:
            return start, end
        if self._ends is None:
            table = self.table
            self._ends = list(accumulate(len(table[ord(char)]) for char in self.original))
        return bisect_right(self._ends, start), bisect_right(self._ends, end - 1) + 1

    def held_from(self, plan: Plan, *, keyed: bool) -> int:
        """The first pending character that something could still depend on."""
        if not self.pending:
            return len(self.original)
        data = encode(self.text)
        at = min(plan.tails.start(data), plan.named.start(data))
        if plan.worded:
            for tails in plan.worded if keyed else plan.spoken(data):
                at = min(at, tails.start(data))
        if plan.gapped:
            for index in plan.heads.of(data):
                at = min(at, plan.gapped[index].start(data))
        at = at if len(data) == len(self.text) else len(data[:at].decode())
        if plan.longest_lone and self.alone and not keyed:
            value = self.text.lstrip()
            blank, value = len(self.text) - len(value), value.rstrip()
            if value and (
                len(value) <= plan.opening or (len(value) <= plan.longest_lone and not plan.lone.start(encode(value)))
            ):
                at = min(at, blank)
        return len(self.original) if at >= len(self.text) else max(0, self.span(at, at + 1)[0])

    def agrees(self, other: Arriving) -> bool:
        """Whether both would say the same of whatever is added to them from now on."""
        return (
            self.table is other.table
            and self.alone == other.alone
            and self.tail == other.tail
            and self.original == other.original
        )

    def fork(self) -> Arriving:
        """Another reading of the same text so far, which goes on by itself."""
        other = copy.copy(self)
        other.part()
        return other

    def part(self) -> None:
        """After a copy: share nothing that changes."""
        self._ends = None if self._ends is None else list(self._ends)

    def window(self, cut: int, *, last: bool) -> Window:
        """What to search of :attr:`text` where the first ``cut`` pending characters are let go."""
        stop = len(self.tail) + (cut if self.table is None else len(self.original[:cut].translate(self.table)))
        begin = len(self.tail)
        if not self.text.isascii():
            begin, stop = len(encode(self.tail)), len(encode(self.text[:stop]))
        return Window(begin=begin, stop=stop, alone=self.alone and last, last=last)

    def drop(self, cut: int, look_behind: int) -> None:
        """Let the first ``cut`` pending characters go, and keep ``look_behind`` of what was let go, for the words in it."""
        gone = self.original[:cut] if self.table is None else self.original[:cut].translate(self.table)
        if gone:
            self.alone = self.alone and not gone.strip()
            self.tail = (self.tail + gone)[-look_behind:]
        rest, self.original = self.original[cut:], ""
        self.pending = ""
        self.text = self.tail
        self._ends = None
        self.add(rest)
