"""Scanning a text that is still arriving, with the findings of the whole text (law 3).

After every chunk the end of the text is held back from the first character that anything could still depend on:

* a match of a pattern that may go on (the patterns' prefix closures, :mod:`aiguard.scan.closure`);
* a run of characters that an encoded segment may be made of, which is decoded as a whole or not at all;
* a match that a recognizer carries on past its pattern (a private key up to its END line);
* a text that may be nothing but one value, for recognizers that want it alone, or nothing but a number in groups;
* token-like text, where a vault's tokens are looked for.

What stands before that point is looked at once, with as much text before it as context words may use, in all three
readings of :mod:`aiguard.scan.views`. A search is only ever cut between two spans that it stepped over at once, so that
it goes on as if it had never stopped.
"""

from __future__ import annotations

import copy
import re
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiguard.scan.arriving import Arriving
from aiguard.scan.engine import Engine
from aiguard.scan.holding import IN_RUN, RUN, Plan, plan_of
from aiguard.scan.recognizer import Recognizer, ScanFailed
from aiguard.scan.views import FOLD, TAGS, figures, reads_as_it_stands
from aiguard.types import Detector, Finding

MAX_HELD: Final = 1 << 20
"""Characters that a stream holds back before it refuses: more than any value, and as much as a segment is decoded."""

_TAG: Final = re.compile("[\U000e0020-\U000e007e]")

Literals = Callable[[str], Sequence[Finding]]


class HeldTooLong(ScanFailed):
    """More text may belong to one value than a stream holds. Nothing of it was let out; end the stream."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The next part of a text, settled: whatever follows, these are its findings. Offsets are characters of ``text``."""

    text: str = field(default="", repr=False)
    findings: Sequence[Finding] = ()


_NOTHING: Final = Piece()

_planned: weakref.WeakKeyDictionary[Engine, set[tuple[str, ...]]] = weakref.WeakKeyDictionary()


def begins_at_once(detector: Detector, *, also: Sequence[str] = ()) -> bool:
    """Whether a stream of that detector was begun before in this process. The first one takes as much as a second to begin."""
    return isinstance(detector, Engine) and tuple(also) in _planned.get(detector, ())


class IncrementalScan:
    """The findings of a text that arrives in chunks: those of ``detector.detect(whole)``, whatever the chunks are.

    Args:
        detector: an :class:`~aiguard.scan.Engine`; any other detector makes the scan :attr:`buffered`.
        context: the key or column head that the text stands under.
        literals: finds further spans that never overlap one another, and ``also`` the RE2 closures of their patterns.
        max_held: characters; beyond it :class:`HeldTooLong` is raised.

    After an exception the scan is closed and holds nothing any more. One thread at a time.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        context: str = "",
        literals: Literals | None = None,
        also: Sequence[str] = (),
        max_held: int = MAX_HELD,
    ) -> None:
        self._detector = detector
        self._engine = detector if isinstance(detector, Engine) else None
        self._plan = None
        if self._engine is not None:
            self._plan = plan_of(self._engine, tuple(also))
            _planned.setdefault(self._engine, set()).add(tuple(also))
        self._context = context
        self._literals = literals
        self._max_held = max_held
        self._raw = Arriving(None, "", "", alone=True)
        self._fold: Arriving | None = None
        self._tags: Arriving | None = None
        self._later: list[str] = []
        self._held = 0
        self._in_run = True
        self._waiting: tuple[Arriving, Recognizer, int, int] | None = None
        self._closed = False
        # Whether a chunk may go the short way: one reading is enough, and nothing is looked for beside recognizers.
        self._plain = self._plan is not None and self._plan.quick and not context and literals is None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._held} characters held{', buffered' if self.buffered else ''})"

    @property
    def buffered(self) -> bool:
        """Whether nothing comes out before the end, because the detector needs the whole text."""
        return self._plan is None

    @property
    def held(self) -> int:
        """Characters that are held back."""
        return self._held

    def fork(self, *, literals: bool = True) -> IncrementalScan:
        """Another scan of the same text so far, which goes on by itself; without ``literals``, it finds none of them."""
        other = copy.copy(self)
        other.part(literals=literals)
        return other

    def agrees(self, other: IncrementalScan) -> bool:
        """Whether this scan and the ``other`` of its kind would say the same of whatever is fed to both from now on."""
        if self._held != other._held or self._later != other._later or self._waiting or other._waiting:
            return False
        mine, others = self._readings(), other._readings()
        return (
            self._in_run == other._in_run
            and len(mine) == len(others)
            and all(one.agrees(another) for one, another in zip(mine, others, strict=True))
        )

    def part(self, *, literals: bool = True) -> None:
        """After a copy: share nothing that changes."""
        self._literals = self._literals if literals else None
        waiting = None if self._waiting is None else self._waiting[0]
        forked = {id(reading): reading.fork() for reading in self._readings()}
        self._raw = forked[id(self._raw)]
        self._fold = None if self._fold is None else forked[id(self._fold)]
        self._tags = None if self._tags is None else forked[id(self._tags)]
        self._later = list(self._later)
        if self._waiting is not None:
            self._waiting = (forked[id(waiting)], *self._waiting[1:])

    def feed(self, chunk: str) -> Piece:
        """The part of the text that the chunk settled, often empty."""
        if self._closed:
            raise ValueError("this stream has ended; start a new one for another text")
        try:
            return self._feed(chunk)
        except BaseException:
            self._close()
            raise

    def finish(self) -> Piece:
        """The rest. Nothing can be fed after it."""
        if self._closed:
            raise ValueError("this stream has ended; start a new one for another text")
        try:
            self._flush()
            text = self._raw.original
            if self._plan is None or self._engine is None:
                found = list(self._detector.detect(text, context=self._context))
                return Piece(text, [*found, *(self._literals(text) if self._literals else ())])
            if self._in_groups(text):
                found = self._engine.detect(text)
                return Piece(text, [*found, *(self._literals(text) if self._literals else ())])
            return self._release(self._engine, self._plan, len(text), last=True)
        finally:
            self._close()

    def _in_groups(self, text: str) -> bool:
        """Whether what has arrived may be nothing but a number in groups, which is read as a whole."""
        return self._raw.alone and not self._context and bool(text.strip()) and figures(text)

    def _close(self) -> None:
        self._closed = True
        self._raw, self._fold, self._tags = Arriving(None, "", "", alone=True), None, None
        self._later, self._held, self._waiting = [], 0, None

    def _feed(self, chunk: str) -> Piece:
        if not chunk:
            return _NOTHING
        self._held += len(chunk)
        if self._held > self._max_held:
            raise HeldTooLong(
                f"more than {self._max_held} characters may belong to one value or encoded segment, so the stream ends here"
            )
        self._later.append(chunk)
        if self._plan is None or self._engine is None or (self._in_run and RUN.fullmatch(chunk)):
            return _NOTHING  # as long as a run goes on, none of it can be let go
        if self._plain and not self._raw.alone and chunk.isascii() and not (self._fold or self._tags or self._waiting):
            piece = self._pass(self._engine, self._plan)
            if piece is not None:
                return piece
        self._flush()
        if self._in_groups(self._raw.original):
            return _NOTHING
        if self._waiting is not None:
            reading, recognizer, start, end = self._waiting
            if not recognizer.extended(reading.text, start, end):
                return _NOTHING
            self._waiting = None
        cut = self._held
        for reading in reversed(self._readings()):
            cut = min(cut, reading.held_from(self._plan, keyed=bool(self._context)))
            if cut <= 0:
                break
        cut = self._aligned(cut)
        piece = self._release(self._engine, self._plan, cut, last=False) if cut > 0 else _NOTHING
        # What is left is all run, or nothing: the run's beginning is then held until it ends.
        self._in_run = self._waiting is None and (not self._held or RUN.fullmatch(self._raw.original) is not None)
        return piece

    def _pass(self, engine: Engine, plan: Plan) -> Piece | None:
        """The short way for the most common chunk, where nothing stands that a recognizer could match.

        It gives what the long way gives. None, and nothing is changed, where that has to be gone.
        """
        raw, later = self._raw, self._later
        text = raw.text + (later[0] if len(later) == 1 else "".join(later))
        if not text.isascii():
            return None
        data, begin = text.encode(), len(raw.tail)
        lists = engine.filters.heard(data, begin)
        if lists is None or (plan.gapped and plan.heads.of(data[begin - 1 :] if begin else data)):
            return None
        self._later = []
        size = len(text)
        at = min(plan.tails.start(data), plan.named.start(data))
        for number in lists:
            for tails in plan.by_list.get(number, ()):
                at = min(at, tails.start(data))
        if at < size and text[at] in IN_RUN:
            while at > begin and text[at - 1] in IN_RUN:
                at -= 1
        if at <= begin:
            at = begin
            raw.text, out = text, _NOTHING
        else:
            out = Piece(text[begin:at])
            first = max(0, at - plan.look_behind)
            raw.tail, raw.text = text[first:at], text[first:]
            self._held -= at - begin
        raw.original = raw.pending = rest = text[at:]
        self._in_run = not rest or RUN.fullmatch(rest) is not None
        return out

    def _flush(self) -> None:
        """Hand what has arrived to the readings, and begin those that it needs."""
        if not self._later:
            return
        chunk = self._later[0] if len(self._later) == 1 else "".join(self._later)
        self._later = []
        self._in_run = False
        raw, fold = self._raw, self._fold
        raw.add(chunk)
        if fold is not None:
            fold.add(chunk)
            if fold.pending == raw.pending and fold.tail == raw.tail and fold.alone == raw.alone:
                self._fold = None
        elif not reads_as_it_stands(chunk):
            fold = Arriving(FOLD, raw.original, raw.tail, alone=raw.alone)
            self._fold = fold if fold.pending != raw.pending else None
        if self._tags is not None:
            self._tags.add(chunk)
        elif not chunk.isascii() and _TAG.search(chunk):
            self._tags = Arriving(TAGS, raw.original, "", alone=True)

    def _readings(self) -> list[Arriving]:
        return [reading for reading in (self._raw, self._fold, self._tags) if reading is not None]

    def _aligned(self, cut: int) -> int:
        """``cut``, or where the run that it would cut begins."""
        text = self._raw.original
        if cut < len(text) and text[cut] in IN_RUN:
            while cut > 0 and text[cut - 1] in IN_RUN:
                cut -= 1
        return cut

    def _release(self, engine: Engine, plan: Plan, cut: int, *, last: bool) -> Piece:
        found: list[Finding] = []
        crossed: list[tuple[int, int]] = []
        encoded = False
        waiting = None
        pending = self._raw.original
        for reading in self._readings():
            if not reading.pending:
                continue
            window = reading.window(cut, last=last)
            encoded = engine.look(reading, window, found, context=self._context) or encoded
            if window.waiting is not None and waiting is None:
                waiting = (reading, *window.waiting)
            for start, end in window.crossed:
                beyond = end > len(reading.text)
                left, right = reading.span(start, start + 1 if beyond else end)
                crossed.append((left, len(pending) + 1 if beyond else right))
        literals = self._literals(pending) if self._literals is not None else ()
        crossed += [(literal.start, literal.end) for literal in literals]
        if not last:
            for start, end in sorted(crossed, reverse=True):
                if start < cut < end:
                    cut = self._aligned(start)
        if cut <= 0 and not last:
            self._waiting = waiting
            return _NOTHING
        text = pending[:cut]
        findings = engine.settle(
            text, [finding for finding in found if finding.start < cut], context=self._context, encoded=encoded
        )
        findings += [literal for literal in literals if literal.start < cut]
        for reading in self._readings():
            reading.drop(cut, plan.look_behind)
        self._held -= cut
        return Piece(text, findings)
