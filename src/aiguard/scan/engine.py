"""The scanning engine: one RE2 set pass says which recognizers can match; only those are searched for spans."""

from __future__ import annotations

import copy
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from aiguard.scan.compiled import Compiled
from aiguard.scan.encoded import Segment, segments
from aiguard.scan.filters import Filters
from aiguard.scan.places import Offsets, Within, encode, far, following
from aiguard.scan.recognizer import Recognizer, RecognizerError
from aiguard.scan.resolving import Resolver
from aiguard.scan.views import AsItStands, Reading, compacted, readings
from aiguard.scan.window import Window
from aiguard.scan.words import last
from aiguard.types import Finding

THRESHOLD: Final = 0.5
"""Findings that score less are not reported."""

Allowed = Callable[[str, str], bool]
"""``(type, value)``: whether a value that was found may stay unreported."""


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
        self._compiled = tuple(Compiled(recognizer, lazy=lazy) for recognizer in recognizers)
        self._threshold = threshold
        self._floors: Mapping[str, float] = {}
        self._allowed: Allowed | None = None
        self._types = frozenset(compiled.recognizer.type for compiled in self._compiled)
        self._names = frozenset(compiled.recognizer.name for compiled in self._compiled)
        self._resolve = Resolver(self.recognizers)
        self.plans: dict[Hashable, Any] = {}
        """What streams of it, and of those tuned from it, worked out (:mod:`aiguard.scan.holding`)."""
        if len(self._names) != len(self._compiled):
            raise RecognizerError("two recognizers have the same name; names are how findings say who found them")
        self.filters: Final = Filters(self._compiled, threshold)
        """Which of its recognizers can find anything in a text."""

    @property
    def types(self) -> frozenset[str]:
        """The entity types this engine can report."""
        return self._types

    @property
    def threshold(self) -> float:
        """Findings that score less are not reported."""
        return self._threshold

    def threshold_of(self, recognizer: Recognizer) -> float:
        """What a finding of ``recognizer`` must score to be reported; above 1 where it is not looked for."""
        return self._floors.get(recognizer.name, self._threshold)

    def tuned(self, floors: Mapping[str, float], *, allowed: Allowed | None = None) -> Engine:
        """This engine with other thresholds, sharing everything that was compiled.

        Args:
            floors: threshold by recognizer name, at least this engine's; above 1 switches a recognizer off.
            allowed: whether a value of a type is let through unreported.

        Raises :class:`RecognizerError` for a name that is not a recognizer's, or a threshold below the engine's.
        """
        for name, floor in floors.items():
            if name not in self._names:
                raise RecognizerError(f"no recognizer is named {name!r}")
            if floor < self._threshold:
                raise RecognizerError(f"recognizer {name!r}: this engine was built for scores from {self._threshold:g}")
        other = copy.copy(self)
        types = frozenset(each.type for each in self.recognizers if floors.get(each.name, self._threshold) <= 1)
        other.__dict__.update(_floors=dict(floors), _allowed=allowed, _types=types)
        return other

    @property
    def recognizers(self) -> tuple[Recognizer, ...]:
        """What it looks for."""
        return tuple(compiled.recognizer for compiled in self._compiled)

    def detect(self, text: str, *, context: str = "") -> list[Finding]:
        """Every finding in ``text`` (any ``str``), sorted by start; none lies within another of at least its priority.

        Findings of different types may overlap in part; redaction takes their union. ``context`` is the key or column
        head of the value. Raises :class:`ScanFailed` when the text could not be scanned.
        """
        key, by_key = self.filters.under(context)
        found: list[Finding] = []
        encoded = self._scan(AsItStands(text), key, by_key, found)
        if encoded or not text.isascii():
            for view in readings(text)[1:]:
                encoded = self._scan(view, key, by_key, found) or encoded
        if not found and not context and self.filters.longest_alone:
            compact = compacted(text)
            if compact is not None:
                self._scan(compact, "", (), found)
        return self._settle(text, key, by_key, found, encoded=encoded)

    def look(self, view: Reading, window: Window, found: list[Finding], *, context: str = "") -> bool:
        """Add what is found in a ``window`` of one reading, unresolved; True where there may be encoded segments."""
        key, by_key = self.filters.under(context)
        return self._scan(view, key, by_key, found, window)

    def settle(self, text: str, found: list[Finding], *, context: str = "", encoded: bool) -> list[Finding]:
        """The findings of ``text`` from what :meth:`look` found in its readings; ``found`` is used up."""
        key, by_key = self.filters.under(context) if encoded else ("", ())
        return self._settle(text, key, by_key, found, encoded=encoded)

    def _settle(
        self, text: str, key: str, by_key: Sequence[Compiled], found: list[Finding], *, encoded: bool
    ) -> list[Finding]:
        if encoded:
            self._look_into(text, key, by_key, found)
        return self._resolve(found) if len(found) > 1 else found

    def _look_into(self, text: str, key: str, by_key: Sequence[Compiled], found: list[Finding]) -> None:
        """Add what the encoded segments of ``text`` hold and ``found`` does not say to stand in them plain."""
        findings = sorted(found, key=lambda finding: finding.start)
        starts = [finding.start for finding in findings]
        plain: dict[tuple[int, int], list[Finding]] = {}
        for segment in segments(text):
            span = segment.start, segment.end
            if span not in plain:
                inside = findings[bisect_left(starts, segment.start) : bisect_left(starts, segment.end)]
                plain[span] = [finding for finding in inside if finding.end <= segment.end]
            self._scan_segment(segment, key, by_key, text, plain[span], found)

    def _scan_segment(
        self,
        segment: Segment,
        key: str,
        by_key: Sequence[Compiled],
        text: str,
        plain: list[Finding],
        found: list[Finding],
    ) -> None:
        """What a decoded segment holds is found in the characters that carry it, or else in the whole segment.

        Of the whole segment it is found once for each type, and not where all of it was found ``plain`` in it.
        """
        inner: list[Finding] = []
        for view in readings(segment.text):
            self._scan(view, key, by_key, inner)
        if not inner:
            return
        places = segment.places()
        if places is not None:
            known = {(finding.start, finding.end) for finding in plain}
            for finding in inner:
                start = segment.start + (places[finding.start - 1] if finding.start else 0)
                end = segment.start + places[finding.end - 1]
                if (start, end) not in known:
                    found.append(replace(finding, start=start, end=end))
            return
        known_texts = Counter(text[start:end] for start, end in {(each.start, each.end) for each in plain})
        texts = Counter(segment.text[start:end] for start, end in {(each.start, each.end) for each in inner})
        best: dict[str, Finding] = {}
        for finding in inner:
            value = segment.text[finding.start : finding.end]
            if texts[value] > known_texts[value] and (
                finding.type not in best or best[finding.type].score < finding.score
            ):
                best[finding.type] = finding
        found.extend(replace(finding, start=segment.start, end=segment.end) for finding in best.values())

    def _scan(
        self,
        view: Reading,
        key: str,
        by_key: Sequence[Compiled],
        found: list[Finding],
        window: Window | None = None,
    ) -> bool:
        """Add what is found in one reading, or in a window of it; True where it may hold encoded segments or be read otherwise."""
        text = view.text
        ascii_only = text.isascii()
        data = text.encode("ascii") if ascii_only else encode(text)
        filters = self.filters
        searched, said, heard, encoded = filters.in_text(data)
        size = len(text.strip()) if filters.longest_alone and not key and (window is None or window.alone) else 0
        alone = filters.standing_alone(data) if 0 < size <= filters.longest_alone else ()
        if not (searched or said or by_key or alone):
            return encoded
        offsets = None if ascii_only else Offsets(data)
        same = view.text is view.original
        if said or by_key or alone:
            searched = list(dict.fromkeys((*searched, *said, *by_key, *alone)))
        if len(searched) > 1:
            searched.sort(
                key=_rank
            )  # so that what would lie within a finding of a more specific kind need not be looked at
        within, rank = Within(), 0
        alike: list[tuple[int, int, float]] = []
        for compiled in searched:
            recognizer = compiled.recognizer
            if recognizer.priority != rank:
                if alike:
                    within.add(alike)
                    alike = []
                rank = recognizer.priority
            quiet = not key and compiled not in heard
            inside = within or None
            spans = self._search(compiled, text, data, offsets, key, size, window, quiet=quiet, within=inside)
            if not spans:
                continue
            alike += spans
            for left, right, score in spans:
                start, end = (left, right) if same else view.span(left, right)
                found.append(
                    Finding(type=recognizer.type, start=start, end=end, score=score, recognizer=recognizer.name)
                )
        return encoded

    def _search(
        self,
        compiled: Compiled,
        text: str,
        data: bytes,
        offsets: Offsets | None,
        key: str,
        size: int,
        window: Window | None = None,
        *,
        quiet: bool = False,
        within: Within | None = None,
    ) -> list[tuple[int, int, float]]:
        """Accepted spans in characters. After a refusal the search goes on one character later.

        ``size`` is the length of the stripped text where it stands under no key (0 where it cannot matter). ``quiet`` says that
        nowhere in the text stands a word that a recognizer which needs none scores by. A candidate that lies ``within`` a finding
        of a more specific kind, for which it would be dropped, is stepped over.
        """
        recognizer, search = compiled.recognizer, compiled.search
        found: list[tuple[int, int, float]] = []
        base, threshold = recognizer.base_score, self._floors.get(recognizer.name, self._threshold)
        position, length = 0, len(data)
        stop = length
        may_be_alone = 0 < size <= recognizer.max_length and recognizer.alone_score >= threshold
        if base < threshold and recognizer.context_score < threshold and not may_be_alone:
            return found  # it could only be the whole text, and is not
        words_first = base < threshold and not may_be_alone
        by_words = words_first and not (key and last(compiled.context, key) >= 0)
        said: list[int] | None = None
        if within is not None and (may_be_alone or recognizer.extend is not None):
            within = None
        if window is not None:
            position, stop = window.begin, window.stop
        if offsets is not None:
            offsets.rewind()
        while position < stop:
            spans = search(data, position, length)
            begin = spans[0][0]
            if begin < 0 or begin >= stop:
                break
            left, right = spans[-1]  # the only group, or all of it
            start, end = (left, right) if offsets is None else (offsets.char(left), offsets.char(right, peek=True))
            if within is not None and within.holds(start, end):
                if window is not None:
                    window.step(data, begin, left, start, end)
                position = max(right, begin + 1)
                continue
            if by_words and len(spans) == 1:  # a value that no word is near, nor any value before the next word
                if said is None:
                    said = compiled.said(data)  # only now: most texts have such words and no such value
                nearest = bisect_right(said, left)
                if not nearest or far(data, said[nearest - 1], left, recognizer.context_window + 4):
                    if nearest == len(said):
                        break
                    position = max(following(data, left), said[nearest])
                    continue
            worth = compiled.score(text, start, end, key) if words_first else base
            if worth < threshold and words_first:
                # The words before it decide, and they are the same for every start within a run of figures.
                numeric = not any(char.isalpha() for char in text[start:end])
                if numeric and window is not None:
                    window.step(data, begin, left, start, end)
                position = following(data, right - 1 if numeric else begin)
                continue
            accepted = compiled.accept(text, start, end)
            if not accepted:
                unlabelled = recognizer.labelled_score < threshold or (quiet and base >= threshold)
                accepted = 0 if unlabelled else compiled.label(text, start, end, key)
                worth = recognizer.labelled_score if accepted else 0.0
            elif not words_first and not (quiet and base >= threshold and not recognizer.alone_score):
                worth = compiled.score(text, start, accepted, key)
            if worth < threshold:
                position = following(data, begin)
                continue
            if recognizer.extend is not None:
                if window is not None and not window.last and not recognizer.extended(text, start, accepted):
                    window.wait(data, begin, left, start, accepted, recognizer)
                    break
                accepted = max(accepted, recognizer.extend(text, start, accepted))
            if self._allowed is None or not self._allowed(recognizer.type, text[start:accepted]):
                found.append((start, accepted, worth))
            if window is not None:
                window.step(data, begin, left, start, accepted)
            if accepted == end:
                position = max(right, begin + 1)
            else:
                position = accepted if offsets is None else left + len(encode(text[start:accepted]))
        return found


def _rank(compiled: Compiled) -> int:
    return -compiled.recognizer.priority
