"""The scanning engine: one RE2 set pass says which recognizers can match; only those are searched for spans."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import re2

from aiguard.errors import AIGuardError
from aiguard.scan.encoded import TRIGGER, Segment, segments
from aiguard.scan.recognizer import Recognizer, RecognizerError, compile_pattern
from aiguard.scan.views import View, readings
from aiguard.types import Finding

THRESHOLD: Final = 0.5
"""Findings that score less are not reported."""

_SET_MEMORY: Final = 96 << 20
"""Budget of the set's DFA cache in bytes; it is used only as far as inputs demand. Beyond it a scan is refused."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_TRAILING_REPEAT: Final = re.compile(r"(\{\d+),\d+\}(\\b)?$")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class ScanFailed(AIGuardError):
    """The engine could not look at a text, so nothing is known about it. Whoever scanned must refuse."""


class _Compiled:
    """A recognizer, its RE2 program and what is asked of its surroundings, ready to run."""

    __slots__ = ("context", "deny", "group", "program", "recognizer")

    def __init__(self, recognizer: Recognizer) -> None:
        self.recognizer = recognizer
        self.program = compile_pattern(recognizer)
        self.group = 1 if self.program.groups else 0
        self.context = _words(recognizer.context)
        self.deny = _words(recognizer.deny)

    def score(self, text: str, start: int, end: int, key: str) -> float:
        """What the match ``start..end`` is worth, by the words before it and the key above it."""
        recognizer = self.recognizer
        if self.context is None and self.deny is None and not recognizer.alone_score:
            return recognizer.base_score
        before = _spaced(text[max(0, start - recognizer.context_window) : start])
        for words in (before, key):
            speaks_for, against = _last(self.context, words), _last(self.deny, words)
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

    Raises :class:`RecognizerError` naming the recognizer that RE2 refuses, and :class:`ScanFailed` from a scan that
    ran out of its memory budget.
    """

    def __init__(self, recognizers: Iterable[Recognizer], *, threshold: float = THRESHOLD) -> None:
        self._compiled = tuple(_Compiled(recognizer) for recognizer in recognizers)
        self._threshold = threshold
        self._types = frozenset(compiled.recognizer.type for compiled in self._compiled)
        self._priority = {compiled.recognizer.name: compiled.recognizer.priority for compiled in self._compiled}
        if len(self._priority) != len(self._compiled):
            raise RecognizerError("two recognizers have the same name; names are how findings say who found them")
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _SET_MEMORY
        self._set = re2.Set.SearchSet(options)
        for compiled in self._compiled:
            # The set only has to over-approximate: without a trailing upper bound its automaton stays small.
            self._set.Add(_TRAILING_REPEAT.sub(r"\1}", compiled.recognizer.pattern).encode())
        self._encoded = self._set.Add(TRIGGER.encode())
        self._sentinel = self._set.Add(b"")
        self._set.Compile()

    @property
    def types(self) -> frozenset[str]:
        """The entity types this engine can report."""
        return self._types

    @property
    def recognizers(self) -> tuple[Recognizer, ...]:
        """What it looks for."""
        return tuple(compiled.recognizer for compiled in self._compiled)

    def detect(self, text: str, *, context: str = "") -> list[Finding]:
        """Every finding in ``text`` (any ``str``), sorted by start; none lies within another of at least its priority.

        Findings of different types may overlap in part; redaction takes their union. ``context`` is the key or column
        head of the value. Raises :class:`ScanFailed` when the text could not be scanned.
        """
        key = _spaced(context) if context else ""
        found: list[Finding] = []
        encoded = False
        for view in readings(text):
            encoded = self._scan(view, key, found) or encoded
        if encoded:
            plain = {text[finding.start : finding.end] for finding in found}
            for segment in segments(text):
                self._scan_segment(segment, key, plain, found)
        return self._resolve(found) if len(found) > 1 else found

    def _scan_segment(self, segment: Segment, key: str, plain: set[str], found: list[Finding]) -> None:
        """What a decoded segment holds is found in the whole segment, once for each type, unless it stood there plain."""
        inner: list[Finding] = []
        for view in readings(segment.text):
            self._scan(view, key, inner)
        best: dict[str, Finding] = {}
        for finding in inner:
            if segment.text[finding.start : finding.end] in plain:
                continue
            if finding.type not in best or best[finding.type].score < finding.score:
                best[finding.type] = finding
        found.extend(replace(finding, start=segment.start, end=segment.end) for finding in best.values())

    def _scan(self, view: View, key: str, found: list[Finding]) -> bool:
        """Add what is found in one reading; True where it may hold encoded segments."""
        text = view.text
        ascii_only = text.isascii()
        data = text.encode("ascii") if ascii_only else encode(text)
        hits = self._set.Match(data)
        if not hits or self._sentinel not in hits:
            raise ScanFailed("the pattern set ran out of memory, so the text was not scanned; refuse it")
        if len(hits) == 1:
            return False
        hits.remove(self._sentinel)
        encoded = self._encoded in hits
        if encoded:
            hits.remove(self._encoded)
        offsets = None if ascii_only else _Offsets(data)
        same = view.text is view.original
        for index in hits:
            compiled = self._compiled[index]
            for start, end, score in self._search(compiled, text, data, offsets, key):
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
    ) -> list[tuple[int, int, float]]:
        """Accepted spans in characters. After a refusal the search goes on one character later."""
        recognizer, program, group = (
            compiled.recognizer,
            compiled.program,
            compiled.group,
        )
        found: list[tuple[int, int, float]] = []
        position, length, threshold = 0, len(data), self._threshold
        only_alone = recognizer.alone_score and max(recognizer.base_score, recognizer.context_score) < threshold
        if only_alone and (key or len(text.strip()) > recognizer.max_length):
            return found  # it could only be the whole text, and is not
        words_first = recognizer.base_score < threshold and not recognizer.alone_score
        if offsets is not None:
            offsets.rewind()
        while position < length:
            match = program.search(data, position)
            if match is None:
                break
            left, right = match.span(group)
            start, end = (left, right) if offsets is None else (offsets.char(left), offsets.char(right, peek=True))
            if words_first and compiled.score(text, start, end, key) < threshold:
                # The words before it decide, and they are the same for every start within a run of figures.
                numeric = not any(char.isalpha() for char in text[start:end])
                position = _following(data, right - 1 if numeric else match.start())
                continue
            accepted = compiled.accept(text, start, end)
            score = compiled.score(text, start, accepted, key) if accepted else 0.0
            if score < threshold:
                position = _following(data, match.start())
                continue
            if recognizer.extend is not None:
                accepted = max(accepted, recognizer.extend(text, start, accepted))
            found.append((start, accepted, score))
            if accepted == end:
                position = max(right, match.start() + 1)
            else:
                position = accepted if offsets is None else left + len(encode(text[start:accepted]))
        return found

    def _resolve(self, found: list[Finding]) -> list[Finding]:
        """Unite overlapping findings of one type; drop what lies within a finding of at least the same priority."""
        priority = self._priority
        found.sort(key=lambda f: (f.start, -f.end, -priority[f.recognizer], -f.score))
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


def _words(words: Sequence[str]) -> re.Pattern[str] | None:
    """Any of ``words``, at the start of a word, in lower-case text. Alternatives of literals: nothing to backtrack."""
    if not words:
        return None
    escaped = "|".join(re.escape(word.lower()) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![^\W\d_])(?:{escaped})s?(?![a-z])")


def _last(words: re.Pattern[str] | None, text: str) -> int:
    """Where the last of ``words`` in ``text`` ends, or -1."""
    end = -1
    if words is not None and text:
        for match in words.finditer(text):
            end = match.end()
    return end


def _spaced(text: str) -> str:
    """``customerSSN_no`` -> ``customer ssn no``: how keys are read for context words."""
    return _CAMEL.sub(" ", text).replace("_", " ").replace("-", " ").lower()


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
