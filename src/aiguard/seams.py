"""Texts of a streamed answer that are read as one, and what stands across their seams.

A model may cut one sentence into several blocks (each with citations of its own), so a value may begin in one block and end in the
next, and words in one block may speak for a value in the next. :func:`aiguard.detect.parts.detect_parts` looks at such blocks joined;
a stream does the same with one more scan, which is begun at the first seam and runs ahead of what is delivered. Until it knows what
the end of a block belongs to, that end waits.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace

from aiguard.detect.parts import adjacent
from aiguard.detect.stream import PartScan
from aiguard.redact.vault import TOKEN_LITERAL
from aiguard.scan.incremental import Piece
from aiguard.types import Finding

Place = tuple[int, ...]


class Run:
    """Texts side by side, the first of which is at ``place``. Offsets are characters of all of them joined."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._ends = [0]
        """Where each text ends so far."""
        self._scan: PartScan | None = None
        self._ready = 0
        self._found: list[Finding] = []  # by their start
        self._reach: list[int] = []  # for each, the furthest end so far
        self._closed = False

    @property
    def several(self) -> bool:
        """Whether there is a seam."""
        return len(self._ends) > 1

    @property
    def length(self) -> int:
        """Characters that have arrived."""
        return self._ends[-1]

    def continues(self, place: Place) -> bool:
        """Whether a text at ``place`` is the last one, or comes right after it."""
        return not self._closed and (place == self._place or adjacent(self._place, place))

    def keep(self, scan: PartScan) -> None:
        """At the end of the first text: go on with ``scan``, which has seen all of it and is no other's."""
        if self._scan is None and not self._closed:
            self._scan = scan
            self._ready = self.length - scan.held

    @property
    def kept(self) -> bool:
        """Whether a scan goes on."""
        return self._scan is not None

    def add(self, place: Place, text: str) -> int:
        """Look at the next piece, and say where its text begins. A second text needs the scan of the first, by :meth:`keep`."""
        if place != self._place:
            self._place = place
            self._ends.append(self.length)
        self._ends[-1] += len(text)
        if self._scan is not None:
            self._take(self._scan.feed(text))
        return self._ends[-2] if self.several else 0

    def close(self) -> None:
        """Nothing comes after the last text."""
        if self._scan is not None and self.several:
            self._take(self._scan.finish())
        self._scan, self._closed = None, True

    def settled(self, start: int) -> int:
        """Up to where, in the text that begins at ``start``, what stands across seams is known."""
        end = next((end for end in self._ends if end > start), self.length)
        known = self._ready if self._scan is not None else end
        return min(end, known) - start

    def over(self, start: int) -> bool:
        """Whether that is known of all of the text that begins at ``start`` and that has ended."""
        end = next((end for end in self._ends if end > start), self.length)
        return self._closed or (self._scan is not None and self._ready >= end)

    def findings(self, start: int, length: int) -> list[Finding]:
        """What the joined texts hold between ``start`` and ``start + length``, cut to it, with offsets from ``start``."""
        if not self.several:
            return []
        first = bisect_right(self._reach, start)
        last = bisect_left(self._found, start + length, key=lambda found: found.start)
        return [
            replace(found, start=max(found.start - start, 0), end=min(found.end - start, length))
            for found in self._found[first:last]
            if found.end > start
        ]

    def _take(self, piece: Piece) -> None:
        for found in sorted(piece.findings, key=lambda each: each.start):
            if found.type != TOKEN_LITERAL:
                here = replace(found, start=found.start + self._ready, end=found.end + self._ready)
                self._found.append(here)
                self._reach.append(max(here.end, self._reach[-1] if self._reach else 0))
        self._ready += len(piece.text)


class BlockScan:
    """A :class:`~aiguard.detect.stream.PartScan` of one text of a :class:`Run`, with what stands across its seams."""

    def __init__(self, scan: PartScan, run: Run, start: int) -> None:
        self._scan = scan
        self._run = run
        self._start = start
        self._text = ""  # from the first character that was not handed out
        self._ready = 0  # characters of it that this text's own scan has settled
        self._out = 0  # characters that were handed out
        self._found: list[Finding] = []

    def fork(self) -> PartScan:
        """The scan of this text by itself, to go on with."""
        return self._scan.fork()

    def feed(self, chunk: str) -> Piece:
        """The part of the text that is settled now, often empty."""
        self._text += chunk
        self._take(self._scan.feed(chunk))
        # The first text's own scan is the run's, as long as there is no seam.
        known = self._run.settled(self._start) - self._out if self._start or self._run.several else self._ready
        return self._cut(min(self._ready, known))

    def finish(self) -> Piece:
        """The rest. The run must be :meth:`Run.over` it."""
        self._take(self._scan.finish())
        return self._cut(len(self._text), last=True)

    def _take(self, piece: Piece) -> None:
        self._found += [
            replace(found, start=found.start + self._ready, end=found.end + self._ready) for found in piece.findings
        ]
        self._ready += len(piece.text)

    def _cut(self, cut: int, *, last: bool = False) -> Piece:
        found = merged(self._found, self._run.findings(self._start + self._out, len(self._text)))
        if not last:
            for finding in sorted(found, key=lambda each: each.start, reverse=True):
                if finding.start < cut < finding.end:
                    cut = finding.start
        if cut <= 0:
            return Piece()
        text, self._text = self._text[:cut], self._text[cut:]
        self._found = [
            replace(finding, start=finding.start - cut, end=finding.end - cut)
            for finding in self._found
            if finding.start >= cut
        ]
        self._ready -= cut
        self._out += cut
        return Piece(text, [finding for finding in found if finding.start < cut])


def merged(own: Sequence[Finding], across: Sequence[Finding]) -> list[Finding]:
    """Findings of both, each span and type once."""
    if not across:
        return list(own)
    return list({(finding.start, finding.end, finding.type): finding for finding in (*own, *across)}.values())
