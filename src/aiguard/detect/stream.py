"""Detection in one part that is still arriving, with the findings of :func:`aiguard.detect.parts.detect_text` of the whole.

What a text says behind its escapes, and with blanks for its underscores, is read by further scans. Each is forked from the
scan of the text as it stands where the first escape or underscore comes, and let go once both have seen the same for as far back as
anything reaches. A piece is settled when it is settled in every reading.
"""

from __future__ import annotations

import copy
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from aiguard.detect.parts import ESCAPE, MAX_ESCAPE_DEPTH, OPEN_ESCAPE, detect_text, unescaped
from aiguard.scan.held import HeldText
from aiguard.scan.incremental import MAX_HELD, HeldTooLong, IncrementalScan, Piece
from aiguard.types import Detector, Finding

_BEGINS: Final = re.compile(r"[\\&]")
"""What an escape begins with."""

_KEPT_STEPS: Final = 256
"""Escapes whose places are kept at least before those that nothing needs any more are let go."""


def _none(_text: str) -> Sequence[Finding]:
    return ()


class PartScan:
    """The settled pieces of one part, with their findings, whatever the chunks are.

    Args:
        detector: an :class:`~aiguard.scan.Engine` streams; any other detector is asked at the end (:attr:`buffered`).
        context: the key or column head that the text stands under.
        tokens: finds the conversation's own tokens, whose findings are handed out as well.
        prefixes: RE2 closures of the pattern of a token.
        max_held: characters; beyond it :class:`~aiguard.scan.incremental.HeldTooLong` is raised.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        context: str = "",
        tokens: Callable[[str], Sequence[Finding]] | None = None,
        prefixes: Sequence[str] = (),
        max_held: int = MAX_HELD,
    ) -> None:
        self._detector = detector
        self._context = context
        self._tokens: Callable[[str], Sequence[Finding]] = tokens or _none
        self._max_held = max_held
        scan = IncrementalScan(detector, context=context, literals=tokens, also=tuple(prefixes), max_held=max_held)
        self.buffered = scan.buffered
        """Whether nothing comes out before the end, because the detector needs the whole text."""
        self._top = _Level(scan)
        self._text = HeldText()
        self._done = 0  # characters that were
        self._found: list[Finding] = []

    @property
    def held(self) -> int:
        """Characters that are held back."""
        return len(self._text)

    def fork(self) -> PartScan:
        """Another scan of the same text so far, which goes on by itself."""
        other = copy.copy(self)
        other.part()
        return other

    def part(self) -> None:
        """After a copy: share nothing that changes."""
        self._top = self._top.fork(None)
        self._text = self._text.copy()
        self._found = list(self._found)

    def feed(self, chunk: str) -> Piece:
        """The part of the text that the chunk settled, often empty."""
        self._text.add(chunk)
        if self.buffered:
            self._top.scan.feed(chunk)
            return Piece()
        self._top.feed(chunk, self._found)
        self._top.tidy()
        piece = self._settled(self._top.settled)
        if len(self._text) > self._max_held:
            raise HeldTooLong(f"more than {self._max_held} characters would have to be held, so the stream ends here")
        return piece

    def finish(self) -> Piece:
        """The rest."""
        if self.buffered:
            text = self._text.take(len(self._text))
            self._top.scan.finish()
            found = detect_text(self._detector, text, context=self._context)
            return Piece(text, [*found, *self._tokens(text)])
        self._top.finish(self._found)
        return self._settled(self._done + len(self._text))

    def _settled(self, cut: int) -> Piece:
        if self._found:
            for finding in sorted(self._found, key=lambda each: each.start, reverse=True):
                if finding.start < cut < finding.end:
                    cut = finding.start
        size, start = cut - self._done, self._done
        if size <= 0:
            return Piece()
        text, self._done = self._text.take(size), cut
        if not self._found:
            return Piece(text)
        now = [replace(one, start=one.start - start, end=one.end - start) for one in self._found if one.start < cut]
        self._found = [one for one in self._found if one.start >= cut]
        unique = {(one.start, one.end, one.type): one for one in now}
        return Piece(text, sorted(unique.values(), key=lambda one: (one.start, one.end)))


class _Level:
    """The text with ``depth`` levels of its escapes read, and that once more with blanks for its underscores.

    Offsets are characters from the level's beginning; up to where it was forked they are those of the level before.
    """

    def __init__(self, scan: IncrementalScan, parent: _Level | None = None) -> None:
        self.scan = scan
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.fed: int = 0 if parent is None else parent.fed
        self.ready: int = 0 if parent is None else parent.ready
        self.escapes = _Escapes(self.fed)
        self.under: IncrementalScan | None = None
        self.under_ready = 0
        self.touching: list[Finding] = []  # of the reading with blanks; whether an underscore follows is not known yet
        self.text = HeldText()  # from base on
        self.base = 0
        self.deeper: _Level | None = None
        if parent is not None:
            self.base, self.text = parent.base, parent.text.copy()
            if parent.under is not None:
                self.under, self.under_ready = parent.under.fork(), parent.under_ready
                self.touching = list(parent.touching)

    @property
    def settled(self) -> int:
        """Whatever follows, all findings before this are known, in every reading from here on."""
        at = self.ready
        if self.under is not None:
            at = min(at, self.under_ready, *(finding.start for finding in self.touching))
        if self.deeper is not None:
            at = min(at, self.deeper.escapes.original(self.deeper.settled))
        return at

    def fork(self, parent: _Level | None) -> _Level:
        """Another one, which goes on by itself."""
        other = copy.copy(self)
        other.parent = parent
        other.scan = self.scan.fork()
        other.escapes = self.escapes.fork()
        other.under = None if self.under is None else self.under.fork()
        other.touching = list(self.touching)
        other.text = self.text.copy()
        other.deeper = None if self.deeper is None else self.deeper.fork(other)
        return other

    def feed(self, text: str, found: list[Finding]) -> None:
        """Look at the next characters, in every reading."""
        while text:
            at = len(text)
            deepens = self.deeper is None and self.depth < MAX_ESCAPE_DEPTH
            if deepens and (begins := _BEGINS.search(text)) is not None:
                at = begins.start()
            if self.under is None and 0 <= (first := text.find("_")) < at:
                at = first
            self._push(text[:at], found)
            text = text[at:]
            if deepens and text[:1] in ("\\", "&"):
                self.deeper = _Level(self.scan.fork(literals=False), self)
            elif text[:1] == "_" and self.under is None:
                self.under, self.under_ready = self.scan.fork(literals=False), self.ready

    def finish(self, found: list[Finding]) -> None:
        """The rest."""
        self._take(self.scan.finish(), found)
        if self.under is not None:
            self._take_under(self.under.finish())
            self._touch(found, last=True)
        if self.deeper is not None:
            self.deeper.feed(self.deeper.escapes.finish(), found)
            self.deeper.finish(found)

    def tidy(self) -> None:
        """Let go of readings that say the same as this one, and of what nothing needs any more."""
        if self.under is not None and not self.touching and self.under.agrees(self.scan):
            self.under = None
        if (deeper := self.deeper) is not None:
            deeper.tidy()
            if not (deeper.deeper or deeper.under or deeper.escapes.open) and deeper.scan.agrees(self.scan):
                self.deeper = None
        needed = (self.ready if self.under is None else min(self.ready, self.under_ready)) - 1
        if needed > self.base:
            self.text.take(needed - self.base)
            self.base = needed
        self.escapes.forget(self.settled)

    def _push(self, text: str, found: list[Finding]) -> None:
        if not text:
            return
        self.text.add(text)
        self.fed += len(text)
        self._take(self.scan.feed(text), found)
        if self.under is not None:
            self._take_under(self.under.feed(text.replace("_", " ")))
            self._touch(found, last=False)
        if self.deeper is not None:
            self.deeper.feed(self.deeper.escapes.feed(text), found)

    def _take(self, piece: Piece, found: list[Finding]) -> None:
        found += [self._original(finding, self.ready) for finding in piece.findings]
        self.ready += len(piece.text)

    def _take_under(self, piece: Piece) -> None:
        shift = self.under_ready
        self.touching += [replace(each, start=each.start + shift, end=each.end + shift) for each in piece.findings]
        self.under_ready += len(piece.text)

    def _touch(self, found: list[Finding], *, last: bool) -> None:
        """Take the findings that an underscore touches; the others are no news."""
        if not self.touching:
            return
        waiting: list[Finding] = []
        text = str(self.text)
        for finding in self.touching:
            start, end = finding.start - self.base, finding.end - self.base
            if (start > 0 and text[start - 1] == "_") or text[end : end + 1] == "_":
                found.append(self._original(finding, 0))
            elif finding.end == self.fed and not last:
                waiting.append(finding)
        self.touching = waiting

    def _original(self, finding: Finding, shift: int) -> Finding:
        """The finding in the text as it stands."""
        start, end = finding.start + shift, finding.end + shift
        level: _Level = self
        while level.parent is not None:
            start, end = level.escapes.original(start), level.escapes.original(end)
            level = level.parent
        return replace(finding, start=start, end=end)


class _Escapes:
    """Reads one level of the escapes of a text that is still arriving, and keeps where its characters stood."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.open = ""
        """The beginning of what may become an escape."""
        self._original = at
        self._views: list[int] = [0]
        self._originals: list[int] = [0]

    def fork(self) -> _Escapes:
        """Another one, which goes on by itself."""
        other = copy.copy(self)
        other.part()
        return other

    def part(self) -> None:
        """After a copy: share nothing that changes."""
        self._views, self._originals = list(self._views), list(self._originals)

    def feed(self, text: str, *, last: bool = False) -> str:
        """What can be read now; of the ``last`` text, all."""
        text = self.open + text
        pieces: list[str] = []
        done = 0
        for match in ESCAPE.finditer(text):
            if not last and match[3] and OPEN_ESCAPE.match(text, match.start()):
                break  # its other half may follow
            pieces += (text[done : match.start()], unescaped(match))
            self.at += match.start() - done
            # The escape itself is one character; what follows is shifted by what the escape took more.
            self._views += (self.at, self.at + 1)
            self._originals += (self._original + match.start(), self._original + match.end())
            self.at += 1
            done = match.end()
        opening = None if last else OPEN_ESCAPE.search(text, done)
        end = len(text) if opening is None else opening.start()
        pieces.append(text[done:end])
        self.at += end - done
        self._original += end
        self.open = text[end:]
        return "".join(pieces)

    def finish(self) -> str:
        """What turned out to be no escape, or a half of one."""
        return self.feed("", last=True)

    def original(self, position: int) -> int:
        """Where the character at ``position`` begins in the text before."""
        index = bisect_right(self._views, position) - 1
        return self._originals[index] + position - self._views[index]

    def forget(self, before: int) -> None:
        """Let go of places that nothing will ask for."""
        if len(self._views) > _KEPT_STEPS:
            index = max(0, bisect_right(self._views, before) - 2)
            if index:
                del self._views[:index], self._originals[:index]
