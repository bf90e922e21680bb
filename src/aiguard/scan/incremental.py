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
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import Final

from aiguard.scan.closure import Headed, Mentions, NotClosed, Tails, alphabet_within, closure, head
from aiguard.scan.engine import Engine, ScanFailed
from aiguard.scan.places import encode
from aiguard.scan.recognizer import Recognizer
from aiguard.scan.views import FOLD, TAGS, figures, reads_as_it_stands
from aiguard.scan.window import Window
from aiguard.scan.words import trigger
from aiguard.types import Detector, Finding

MAX_HELD: Final = 1 << 20
"""Characters that a stream holds back before it refuses: more than any value, and as much as a segment is decoded."""

_RUN_CLASS: Final = r"[A-Za-z0-9_.~@:/?&=+%#;\-]"
_RUN: Final = re.compile(f"{_RUN_CLASS}+")
_IN_RUN: Final = frozenset(char for char in map(chr, range(128)) if _RUN.match(char))
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


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an engine's streams hold back."""

    tails: Tails
    """For recognizers that need no words before a match; and for encoded segments."""
    worded: tuple[Tails, ...]
    """For each recognizer that does: nothing is held for it while none of its words stands near."""
    spoken: Callable[[bytes], Iterable[Tails]]
    """Those of ``worded`` of which a word may stand in a text."""
    by_list: Mapping[int, Sequence[Tails]]
    """Those of ``worded`` for which a list of the engine's speaks."""
    heads: Mentions
    gapped: tuple[Headed, ...]
    """For each recognizer whose pattern has a gap, which any text could stand in: nothing is held for it where its head does not stand."""
    lone: Tails
    """For recognizers that only ever report a whole text."""
    longest_lone: int
    opening: int
    """Characters at the beginning that are held whole, for recognizers whose search differs in short texts."""
    look_behind: int
    quick: bool
    """Whether the engine's own set of words knows those of all of ``worded``."""


_planned: weakref.WeakKeyDictionary[Engine, set[tuple[str, ...]]] = weakref.WeakKeyDictionary()


def begins_at_once(detector: Detector, *, also: Sequence[str] = ()) -> bool:
    """Whether a stream of that detector was begun before in this process. The first one takes as much as a second to begin."""
    return isinstance(detector, Engine) and tuple(also) in _planned.get(detector, ())


@lru_cache(maxsize=32)
def _plan(engine: Engine, also: tuple[str, ...]) -> _Plan | None:
    """None where a pattern cannot be taken apart, so that a stream must keep everything."""
    patterns = [_RUN_CLASS + "+", *also]
    lone: list[Recognizer] = []
    worded: list[tuple[Recognizer, Tails]] = []
    lists: dict[int, list[Tails]] = {}
    gapped: list[tuple[str, Headed]] = []
    opening = 0
    quick = True
    try:
        for recognizer in engine.recognizers:
            threshold = engine.threshold_of(recognizer)
            if max(recognizer.base_score, recognizer.context_score, recognizer.alone_score) < threshold:
                continue  # it reports nothing, so nothing waits for it
            speaks = recognizer.context and recognizer.context_score >= threshold
            only_whole = recognizer.base_score < threshold and not speaks
            if not only_whole and not alphabet_within(recognizer.pattern, _IN_RUN):
                held = [closure(recognizer.pattern, loose=True)]
                if speaks_on := "".join(stop for stop in ".:" if stop in recognizer.not_before):
                    held.append(f"(?:{recognizer.pattern})[{speaks_on}]")  # which speaks only with what follows it
                if _needs_words(recognizer, threshold):
                    worded.append((recognizer, Tails(held)))
                    number = engine.list_of(recognizer)
                    quick = quick and number is not None
                    lists.setdefault(number or 0, []).append(worded[-1][1])
                elif (begins := head(recognizer.pattern, _IN_RUN)) is not None:
                    patterns.append(begins[1])
                    exact = [closure(recognizer.pattern), *held[1:]]
                    gapped.append((begins[0], Headed(begins[0], exact)))
                else:
                    patterns += held
            if recognizer.alone_score:
                lone.append(recognizer)
                if recognizer.context and recognizer.base_score < threshold and not _spoken(recognizer):
                    opening = max(opening, recognizer.max_length)
        return _Plan(
            tails=Tails(patterns),
            worded=tuple(tails for _, tails in worded),
            spoken=_by_lists(engine, lists) if quick else _by_mentions(worded),
            by_list=lists,
            heads=Mentions([pattern for pattern, _ in gapped]),
            gapped=tuple(tails for _, tails in gapped),
            lone=Tails([closure(recognizer.pattern) for recognizer in lone]),
            longest_lone=max((recognizer.max_length for recognizer in lone), default=0),
            opening=opening,
            look_behind=max((recognizer.context_window for recognizer in engine.recognizers), default=0) + 2,
            quick=quick,
        )
    except NotClosed:
        return None


def _by_lists(engine: Engine, lists: Mapping[int, Sequence[Tails]]) -> Callable[[bytes], Iterable[Tails]]:
    return lambda data: [tails for number in engine.lists_in(data) for tails in lists.get(number, ())]


def _by_mentions(worded: Sequence[tuple[Recognizer, Tails]]) -> Callable[[bytes], Iterable[Tails]]:
    mentions = Mentions([trigger(recognizer.context) for recognizer, _ in worded])
    return lambda data: [worded[index][1] for index in mentions.of(data)]


def _needs_words(recognizer: Recognizer, threshold: float) -> bool:
    """Whether a match counts only after words, which a search over figures alone can never step across."""
    return bool(recognizer.context) and recognizer.base_score < threshold and _spoken(recognizer)


def _spoken(recognizer: Recognizer) -> bool:
    """Whether all its context words have letters, so that none of them stands within figures."""
    return all(any(map(str.isalpha, word)) for word in recognizer.context)


class _Reading:
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

    def held_from(self, plan: _Plan, *, keyed: bool) -> int:
        """The first pending character that something could still depend on."""
        if not self.pending:
            return len(self.original)
        data = encode(self.text)
        at = plan.tails.start(data)
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

    def agrees(self, other: _Reading) -> bool:
        return (
            self.table is other.table
            and self.alone == other.alone
            and self.tail == other.tail
            and self.original == other.original
        )

    def fork(self) -> _Reading:
        other = copy.copy(self)
        other.part()
        return other

    def part(self) -> None:
        """After a copy: share nothing that changes."""
        self._ends = None if self._ends is None else list(self._ends)

    def window(self, cut: int, *, last: bool) -> Window:
        stop = len(self.tail) + (cut if self.table is None else len(self.original[:cut].translate(self.table)))
        begin = len(self.tail)
        if not self.text.isascii():
            begin, stop = len(encode(self.tail)), len(encode(self.text[:stop]))
        return Window(begin=begin, stop=stop, alone=self.alone and last, last=last)

    def drop(self, cut: int, look_behind: int) -> None:
        gone = self.original[:cut] if self.table is None else self.original[:cut].translate(self.table)
        if gone:
            self.alone = self.alone and not gone.strip()
            self.tail = (self.tail + gone)[-look_behind:]
        rest, self.original = self.original[cut:], ""
        self.pending = ""
        self.text = self.tail
        self._ends = None
        self.add(rest)


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
            self._plan = _plan(self._engine, tuple(also))
            _planned.setdefault(self._engine, set()).add(tuple(also))
        self._context = context
        self._literals = literals
        self._max_held = max_held
        self._raw = _Reading(None, "", "", alone=True)
        self._fold: _Reading | None = None
        self._tags: _Reading | None = None
        self._later: list[str] = []
        self._held = 0
        self._in_run = True
        self._waiting: tuple[_Reading, Recognizer, int, int] | None = None
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
        self._raw, self._fold, self._tags = _Reading(None, "", "", alone=True), None, None
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
        if self._plan is None or self._engine is None or (self._in_run and _RUN.fullmatch(chunk)):
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
        self._in_run = self._waiting is None and (not self._held or _RUN.fullmatch(self._raw.original) is not None)
        return piece

    def _pass(self, engine: Engine, plan: _Plan) -> Piece | None:
        """The short way for the most common chunk, where nothing stands that a recognizer could match.

        It gives what the long way gives. None, and nothing is changed, where that has to be gone.
        """
        raw, later = self._raw, self._later
        text = raw.text + (later[0] if len(later) == 1 else "".join(later))
        if not text.isascii():
            return None
        data, begin = text.encode(), len(raw.tail)
        lists = engine.heard(data, begin)
        if lists is None or (plan.gapped and plan.heads.of(data[begin - 1 :] if begin else data)):
            return None
        self._later = []
        size = len(text)
        at = plan.tails.start(data)
        for number in lists:
            for tails in plan.by_list.get(number, ()):
                at = min(at, tails.start(data))
        if at < size and text[at] in _IN_RUN:
            while at > begin and text[at - 1] in _IN_RUN:
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
        self._in_run = not rest or _RUN.fullmatch(rest) is not None
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
            fold = _Reading(FOLD, raw.original, raw.tail, alone=raw.alone)
            self._fold = fold if fold.pending != raw.pending else None
        if self._tags is not None:
            self._tags.add(chunk)
        elif not chunk.isascii() and _TAG.search(chunk):
            self._tags = _Reading(TAGS, raw.original, "", alone=True)

    def _readings(self) -> list[_Reading]:
        return [reading for reading in (self._raw, self._fold, self._tags) if reading is not None]

    def _aligned(self, cut: int) -> int:
        """``cut``, or where the run that it would cut begins."""
        text = self._raw.original
        if cut < len(text) and text[cut] in _IN_RUN:
            while cut > 0 and text[cut - 1] in _IN_RUN:
                cut -= 1
        return cut

    def _release(self, engine: Engine, plan: _Plan, cut: int, *, last: bool) -> Piece:
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
