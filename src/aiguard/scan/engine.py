"""The scanning engine: one RE2 set pass says which recognizers can match; only those are searched for spans."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import re2

from aiguard.errors import AIGuardError
from aiguard.scan.encoded import TRIGGER, Segment, segments
from aiguard.scan.recognizer import Recognizer, RecognizerError, compile_pattern
from aiguard.scan.views import Reading, readings
from aiguard.scan.window import Window
from aiguard.scan.words import last, preceding, spaced, trigger, words
from aiguard.types import Finding

THRESHOLD: Final = 0.5
"""Findings that score less are not reported."""

_SET_MEMORY: Final = 96 << 20
"""Budget of the set's DFA cache in bytes; it is used only as far as inputs demand. Beyond it a scan is refused."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_TRAILING_REPEAT: Final = re.compile(r"(\{\d+),\d+\}(\\b)?$")


class ScanFailed(AIGuardError):
    """The engine could not look at a text, so nothing is known about it. Whoever scanned must refuse."""


class _Compiled:
    """A recognizer, its RE2 program and what is asked of its surroundings, ready to run."""

    __slots__ = ("_context", "_deny", "_program", "_trigger", "recognizer")

    def __init__(self, recognizer: Recognizer, *, lazy: bool) -> None:
        self.recognizer = recognizer
        self._program: re2._Regexp | None = None if lazy else compile_pattern(recognizer)
        self._trigger: re2._Regexp | None = None
        self._context: tuple[re.Pattern[str] | None] | None = None
        self._deny: tuple[re.Pattern[str] | None] | None = None

    # Compiled at first use; two threads may both compile, and keep the same thing.

    @property
    def program(self) -> re2._Regexp:
        if self._program is None:
            self._program = compile_pattern(self.recognizer)
        return self._program

    @property
    def context(self) -> re.Pattern[str] | None:
        if self._context is None:
            self._context = (words(self.recognizer.context),)
        return self._context[0]

    @property
    def deny(self) -> re.Pattern[str] | None:
        if self._deny is None:
            self._deny = (words(self.recognizer.deny),)
        return self._deny[0]

    def said(self, data: bytes) -> list[int]:
        """Where words that may speak for a value end, in bytes."""
        if self._trigger is None:
            self._trigger = compile_pattern(self.recognizer, trigger(self.recognizer.context))
        ends = [match.end() for match in self._trigger.finditer(data)]
        return [end - 1 if data[end - 1] < 0x80 else end for end in ends]

    def score(self, text: str, start: int, end: int, key: str) -> float:
        """What the match ``start..end`` is worth, by the words before it and the key above it."""
        recognizer = self.recognizer
        if self.context is None and self.deny is None and not recognizer.alone_score:
            return recognizer.base_score
        before = spaced(preceding(text, start, recognizer.context_window))
        for said in (before, key):
            speaks_for, against = last(self.context, said), last(self.deny, said)
            if speaks_for > against:
                return max(recognizer.base_score, recognizer.context_score)
            if against >= 0:
                return 0.0
        if recognizer.alone_score and not key and end - start == len(text.strip()):
            return max(recognizer.base_score, recognizer.alone_score)
        return recognizer.base_score

    def accept(self, text: str, start: int, end: int) -> int:
        """The accepted end of the candidate ``start..end``, or 0 when it is not of this type."""
        recognizer = self.recognizer
        if recognizer.boundary and not _edge(text, start):
            return 0
        if start and recognizer.not_after and text[start - 1] in recognizer.not_after:
            return 0
        validate = recognizer.validate
        open_end = not recognizer.boundary or recognizer.open_end or recognizer.extend is not None
        for left in range(recognizer.shrink, -1, -1):
            ends = open_end or _edge(text, end)
            ends = ends and not (recognizer.not_before and _goes_on(text, end, recognizer.not_before))
            if ends and (validate is None or validate(text[start:end])):
                return end
            end = _shorter(text, start, end) if left else 0
            if end <= start:
                break
        return 0


class Engine:
    """A set of recognizers as one :class:`aiguard.types.Detector`. Immutable after construction, so thread-safe.

    Args:
        recognizers: at least one; names must be unique.
        threshold: findings that score less are not reported.
        lazy: compile each pattern when a text first calls for it. Only for recognizers that have been checked, since
            one that RE2 refuses is then noticed by the scan and not here.

    Raises :class:`RecognizerError` naming the recognizer that RE2 refuses, and :class:`ScanFailed` from a scan that
    ran out of its memory budget.
    """

    def __init__(self, recognizers: Iterable[Recognizer], *, threshold: float = THRESHOLD, lazy: bool = False) -> None:
        self._compiled = tuple(_Compiled(recognizer, lazy=lazy) for recognizer in recognizers)
        self._threshold = threshold
        self._types = frozenset(compiled.recognizer.type for compiled in self._compiled)
        self._priority = {compiled.recognizer.name: compiled.recognizer.priority for compiled in self._compiled}
        self._order = {name: index for index, name in enumerate(self._priority)}
        if len(self._priority) != len(self._compiled):
            raise RecognizerError("two recognizers have the same name; names are how findings say who found them")
        self._index()

    def _index(self) -> None:
        """Build the sets: which recognizers can find anything, by their pattern or, where words decide, by the words.

        Patterns that need words before them would only tell the set that there are figures, at the price of a large
        automaton; so those recognizers are looked up by their words, and a key is looked up in a set of its own.
        """
        self._set, self._keys = _new_set(), _new_set()
        self._by_hit: list[list[_Compiled]] = []
        self._by_key: list[list[_Compiled]] = []
        self._alone = _new_set()
        self._by_alone: list[list[_Compiled]] = []
        self._longest_alone = 0
        alone: dict[str, int] = {}
        hits: dict[str, int] = {}
        keys: dict[str, int] = {}
        for compiled in self._compiled:
            recognizer = compiled.recognizer
            strong = recognizer.base_score >= self._threshold
            worded = bool(recognizer.context) and recognizer.context_score >= self._threshold
            if strong:
                # The set only has to over-approximate: without a trailing upper bound its automaton stays small.
                _add(self._set, _TRAILING_REPEAT.sub(r"\1}", recognizer.pattern), hits, self._by_hit, compiled)
            elif worded:
                _add(self._set, trigger(recognizer.context), hits, self._by_hit, compiled)
                _add(self._keys, trigger(recognizer.context), keys, self._by_key, compiled)
            if not strong and recognizer.alone_score >= self._threshold:
                _add(self._alone, _TRAILING_REPEAT.sub(r"\1}", recognizer.pattern), alone, self._by_alone, compiled)
                self._longest_alone = max(self._longest_alone, recognizer.max_length)
        self._encoded = self._set.Add(TRIGGER.encode())
        self._sentinel = self._set.Add(b"")
        self._keys.Add(b"")
        self._alone.Add(b"")
        self._set.Compile()
        self._alone.Compile()
        self._keys.Compile()

    @property
    def types(self) -> frozenset[str]:
        """The entity types this engine can report."""
        return self._types

    @property
    def threshold(self) -> float:
        """Findings that score less are not reported."""
        return self._threshold

    @property
    def recognizers(self) -> tuple[Recognizer, ...]:
        """What it looks for."""
        return tuple(compiled.recognizer for compiled in self._compiled)

    def detect(self, text: str, *, context: str = "") -> list[Finding]:
        """Every finding in ``text`` (any ``str``), sorted by start; none lies within another of at least its priority.

        Findings of different types may overlap in part; redaction takes their union. ``context`` is the key or column
        head of the value. Raises :class:`ScanFailed` when the text could not be scanned.
        """
        key = spaced(context) if context else ""
        by_key = self._under(key) if key else ()
        found: list[Finding] = []
        encoded = False
        for view in readings(text):
            encoded = self._scan(view, key, by_key, found) or encoded
        return self._settle(text, key, by_key, found, encoded=encoded)

    def look(self, view: Reading, window: Window, found: list[Finding], *, context: str = "") -> bool:
        """Add what is found in a ``window`` of one reading, unresolved; True where there may be encoded segments."""
        key = spaced(context) if context else ""
        return self._scan(view, key, self._under(key) if key else (), found, window)

    def settle(self, text: str, found: list[Finding], *, context: str = "", encoded: bool) -> list[Finding]:
        """The findings of ``text`` from what :meth:`look` found in its readings; ``found`` is used up."""
        key = spaced(context) if context else ""
        return self._settle(text, key, self._under(key) if key and encoded else (), found, encoded=encoded)

    def _settle(
        self, text: str, key: str, by_key: Sequence[_Compiled], found: list[Finding], *, encoded: bool
    ) -> list[Finding]:
        if encoded:
            self._look_into(text, key, by_key, found)
        return self._resolve(found) if len(found) > 1 else found

    def _look_into(self, text: str, key: str, by_key: Sequence[_Compiled], found: list[Finding]) -> None:
        """Add what the encoded segments of ``text`` hold and ``found`` does not say to stand in them plain."""
        findings = sorted(found, key=lambda finding: finding.start)
        starts = [finding.start for finding in findings]
        plain: dict[tuple[int, int], set[str]] = {}
        for segment in segments(text):
            span = segment.start, segment.end
            if span not in plain:
                inside = findings[bisect_left(starts, segment.start) : bisect_left(starts, segment.end)]
                plain[span] = {text[finding.start : finding.end] for finding in inside if finding.end <= segment.end}
            self._scan_segment(segment, key, by_key, plain[span], found)

    def _under(self, key: str) -> Sequence[_Compiled]:
        """The recognizers that the words of a key speak for."""
        hits = self._keys.Match(encode(key))
        if not hits:
            raise ScanFailed("the set of context words ran out of memory, so the text was not scanned; refuse it")
        return [compiled for index in hits if index < len(self._by_key) for compiled in self._by_key[index]]

    def _standing_alone(self, data: bytes) -> Sequence[_Compiled]:
        """The recognizers that may take the whole of a short text for their value."""
        hits = self._alone.Match(data)
        if not hits:
            raise ScanFailed("the set of whole values ran out of memory, so the text was not scanned; refuse it")
        return [compiled for index in hits if index < len(self._by_alone) for compiled in self._by_alone[index]]

    def _scan_segment(
        self, segment: Segment, key: str, by_key: Sequence[_Compiled], plain: set[str], found: list[Finding]
    ) -> None:
        """What a decoded segment holds is found in the whole segment, once for each type, unless it stands in it plain."""
        inner: list[Finding] = []
        for view in readings(segment.text):
            self._scan(view, key, by_key, inner)
        best: dict[str, Finding] = {}
        for finding in inner:
            if segment.text[finding.start : finding.end] in plain:
                continue
            if finding.type not in best or best[finding.type].score < finding.score:
                best[finding.type] = finding
        found.extend(replace(finding, start=segment.start, end=segment.end) for finding in best.values())

    def _scan(
        self,
        view: Reading,
        key: str,
        by_key: Sequence[_Compiled],
        found: list[Finding],
        window: Window | None = None,
    ) -> bool:
        """Add what is found in one reading, or in a window of it; True where it may hold encoded segments."""
        text = view.text
        ascii_only = text.isascii()
        data = text.encode("ascii") if ascii_only else encode(text)
        hits = self._set.Match(data)
        if not hits or self._sentinel not in hits:
            raise ScanFailed("the pattern set ran out of memory, so the text was not scanned; refuse it")
        size = len(text.strip()) if self._longest_alone and not key and (window is None or window.alone) else 0
        alone = self._standing_alone(data) if 0 < size <= self._longest_alone else ()
        if len(hits) == 1 and not by_key and not alone:
            return False
        encoded = self._encoded in hits
        offsets = None if ascii_only else _Offsets(data)
        same = view.text is view.original
        searched = [compiled for index in hits if index < self._encoded for compiled in self._by_hit[index]]
        if by_key or alone:
            searched = list(dict.fromkeys((*searched, *by_key, *alone)))
        for compiled in searched:
            for start, end, score in self._search(compiled, text, data, offsets, key, size, window):
                span = (start, end) if same else view.span(start, end)
                found.append(
                    Finding(
                        type=compiled.recognizer.type,
                        start=span[0],
                        end=span[1],
                        score=score,
                        recognizer=compiled.recognizer.name,
                    )
                )
        return encoded

    def _search(
        self,
        compiled: _Compiled,
        text: str,
        data: bytes,
        offsets: _Offsets | None,
        key: str,
        size: int,
        window: Window | None = None,
    ) -> list[tuple[int, int, float]]:
        """Accepted spans in characters. After a refusal the search goes on one character later.

        ``size`` is the length of the stripped text where it stands under no key (0 where it cannot matter).
        """
        recognizer, program = compiled.recognizer, compiled.program
        group = 1 if program.groups else 0
        found: list[tuple[int, int, float]] = []
        position, length, threshold = 0, len(data), self._threshold
        may_be_alone = recognizer.alone_score >= threshold and 0 < size <= recognizer.max_length
        if not may_be_alone and max(recognizer.base_score, recognizer.context_score) < threshold:
            return found  # it could only be the whole text, and is not
        words_first = recognizer.base_score < threshold and not may_be_alone
        said: list[int] | None = None
        if words_first and not group and not (key and last(compiled.context, key) >= 0):
            said = compiled.said(data)
            reach = 4 * recognizer.context_window + 4
        if window is not None:
            position, length = window.begin, window.stop
        if offsets is not None:
            offsets.rewind()
        while position < length:
            match = program.search(data, position)
            if match is None or match.start() >= length:
                break
            left, right = match.span(group)
            if said is not None:  # a value that no word is near, nor any value before the next word
                nearest = bisect_left(said, left - reach)
                if nearest == len(said):
                    break
                if said[nearest] > left:
                    position = max(_following(data, left), said[nearest])
                    continue
            start, end = (left, right) if offsets is None else (offsets.char(left), offsets.char(right, peek=True))
            if words_first and compiled.score(text, start, end, key) < threshold:
                # The words before it decide, and they are the same for every start within a run of figures.
                numeric = not any(char.isalpha() for char in text[start:end])
                if numeric and window is not None:
                    window.step(data, match.start(), left, start, end)
                position = _following(data, right - 1 if numeric else match.start())
                continue
            accepted = compiled.accept(text, start, end)
            score = compiled.score(text, start, accepted, key) if accepted else 0.0
            if score < threshold:
                position = _following(data, match.start())
                continue
            if recognizer.extend is not None:
                if window is not None and not window.last and not recognizer.extended(text, start, accepted):
                    window.wait(data, match.start(), left, start, accepted, recognizer)
                    break
                accepted = max(accepted, recognizer.extend(text, start, accepted))
            found.append((start, accepted, score))
            if window is not None:
                window.step(data, match.start(), left, start, accepted)
            if accepted == end:
                position = max(right, match.start() + 1)
            else:
                position = accepted if offsets is None else left + len(encode(text[start:accepted]))
        return found

    def _resolve(self, found: list[Finding]) -> list[Finding]:
        """Unite overlapping findings of one type; drop what lies within a finding of at least the same priority."""
        priority = self._priority
        order = self._order  # so that ties do not depend on what else the text holds
        found.sort(key=lambda f: (f.start, -f.end, -priority[f.recognizer], -f.score, order[f.recognizer]))
        kept: list[Finding] = []
        last_of: dict[str, int] = {}
        reach: dict[int, int] = {}  # priority -> how far findings of it reach; few distinct priorities
        for finding in found:
            rank = priority[finding.recognizer]
            if any(far >= finding.end for level, far in reach.items() if level >= rank):
                continue
            index = last_of.get(finding.type)
            if index is not None and kept[index].end > finding.start:
                united = kept[index]
                union = Finding(
                    type=united.type,
                    start=united.start,
                    end=max(united.end, finding.end),
                    score=max(united.score, finding.score),
                    recognizer=united.recognizer if rank <= priority[united.recognizer] else finding.recognizer,
                )
                rank = priority[union.recognizer]
                kept[index] = union
            else:
                last_of[finding.type] = len(kept)
                kept.append(finding)
            reach[rank] = max(reach.get(rank, 0), finding.end)
        return kept


def _new_set() -> re2.Set:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _SET_MEMORY
    return re2.Set.SearchSet(options)


def _add(to: re2.Set, pattern: str, seen: dict[str, int], by_index: list[list[_Compiled]], compiled: _Compiled) -> None:
    """Add ``pattern`` once, and ``compiled`` to what it stands for."""
    if pattern not in seen:
        seen[pattern] = to.Add(pattern.encode())
        by_index.append([])
    by_index[seen[pattern]].append(compiled)


def _following(data: bytes, position: int) -> int:
    """Where the character after the one at ``position`` begins."""
    position += 1
    while position < len(data) and data[position] & 0xC0 == 0x80:
        position += 1
    return position


class _Offsets:
    """Byte offset -> character offset for offsets asked in rising order, in time linear in the text."""

    __slots__ = ("_byte", "_char", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._byte = self._char = 0

    def rewind(self) -> None:
        self._byte = self._char = 0

    def char(self, offset: int, *, peek: bool = False) -> int:
        count = self._char + len(self._data[self._byte : offset].decode()) if offset > self._byte else self._char
        if not peek and offset > self._byte:
            self._byte, self._char = offset, count
        return count


def encode(text: str) -> bytes:
    """UTF-8 with one U+FFFD for every surrogate: RE2 reads every character, and character offsets stay what they were."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()


def _word(char: str) -> bool:
    """Whether ``char`` continues a word of an alphabet, or a number.

    Letters from U+0590 on (Hebrew, Arabic, Indic scripts, CJK, Hangul …) glue particles to words or use no spaces, so
    next to a value of ours they are a boundary.
    """
    return char.isalnum() and (char < "\u0590" or char.isdecimal() or "\u1e00" <= char < "\u2000")


def _edge(text: str, index: int) -> bool:
    """Whether a value may begin or end at ``index``: no word or number goes on across it."""
    return index <= 0 or index >= len(text) or not (_word(text[index - 1]) and _word(text[index]))


def _goes_on(text: str, index: int, stops: str) -> bool:
    """Whether the character at ``index`` is one of ``stops``; a full stop only when a letter or digit follows it."""
    if index >= len(text) or text[index] not in stops:
        return False
    return text[index] != "." or (index + 1 < len(text) and text[index + 1].isalnum())


def _shorter(text: str, start: int, end: int) -> int:
    """The end of the candidate without its last group, where a space sets it off; 0 when there is only one."""
    space = max(
        text.rfind(" ", start, end),
        text.rfind("\t", start, end),
        text.rfind("\n", start, end),
    )
    while space > start and not text[space - 1].isalnum():
        space -= 1
    return max(space, 0)
