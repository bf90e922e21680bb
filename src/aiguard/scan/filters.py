"""Which recognizers of an engine can find anything in a text: by their pattern or, where words decide, by the words.

Patterns that need words before them would only tell a set that there are figures, at the price of a large automaton; so those
recognizers are looked up by their words.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Final

from aiguard.scan.compiled import Compiled
from aiguard.scan.encoded import TRIGGER
from aiguard.scan.places import encode
from aiguard.scan.prefilter import Overflow, Parted, Prefilter, Words, anchored, coarse
from aiguard.scan.recognizer import Recognizer, ScanFailed
from aiguard.scan.views import CONTROLS
from aiguard.scan.words import spaced

_MORE: Final = TRIGGER.encode() + b"|[%b]" % b"".join(b"\\x%02x" % code for code in CONTROLS)
"""What calls for another look at ASCII: what may be encoded, and what is not seen."""

JOINED: Final = 4_096
"""Characters from which on texts are not asked together with further ones: a value in one sends all of them to be looked at singly."""

REMEMBERED_KEYS: Final = 1024
"""Keys of which is remembered which recognizers they speak for: an application's own repeat with every row."""

MAX_KEY: Final = 512
"""Characters of a key that are read, the last ones: a field's name may be as long as its body, and is remembered."""


class Filters:
    """The recognizers of one engine, by what a text has to hold for them to find anything. Immutable, so thread-safe.

    A method raises :class:`ScanFailed` where a set ran out of its memory, unless it says otherwise.
    """

    def __init__(self, recognizers: Iterable[Compiled], threshold: float) -> None:
        strong: dict[bytes, list[Compiled]] = {}
        named: dict[bytes, list[Compiled]] = {}
        alone: dict[bytes, list[Compiled]] = {}
        worded: dict[tuple[str, ...], list[Compiled]] = {}
        scored: dict[tuple[str, ...], list[Compiled]] = {}
        self.longest_alone = 0
        """Characters of the longest text that may be nothing but one value; 0 where none may."""
        self._threshold = threshold
        for compiled in recognizers:
            recognizer = compiled.recognizer
            if recognizer.base_score >= threshold:
                spoken = (*recognizer.context, *recognizer.deny, *recognizer.labels)
                if spoken:
                    scored.setdefault(tuple(dict.fromkeys(spoken)), []).append(compiled)
                (strong if recognizer.boundary else named).setdefault(coarse(recognizer.pattern), []).append(compiled)
                continue
            if recognizer.context and recognizer.context_score >= threshold:
                worded.setdefault(recognizer.context, []).append(compiled)
            if recognizer.alone_score >= threshold:
                alone.setdefault(coarse(recognizer.pattern), []).append(compiled)
                self.longest_alone = max(self.longest_alone, recognizer.max_length)
        self._by_pattern = (*strong.values(), *named.values())
        # What has no edges of its own is what a name gives away; together they are far dearer than one after the other.
        self._patterns = Parted([_MORE, *strong], [*named])
        self._lists = {context: number for number, context in enumerate(worded)}
        self._by_word = tuple(worded.values())
        self._anchored = frozenset(
            number
            for number, several in enumerate(self._by_word)
            if any(anchored(each.recognizer.pattern) for each in several)
        )
        self._by_heard = tuple(scored.values())
        self._words = Words([*worded, *scored])
        self._by_alone = tuple(alone.values())
        self._alone = Prefilter([*alone])
        self._under = lru_cache(maxsize=REMEMBERED_KEYS)(self._speaking)

    def shaped(self, data: bytes) -> tuple[list[Compiled], bool]:
        """The recognizers of which a pattern may be in a text, and whether it may hold encoded segments or be read otherwise."""
        try:
            hits = self._patterns.hits(data)
        except Overflow:
            raise ScanFailed("the pattern set ran out of memory, so the text was not scanned; refuse it") from None
        if not hits:
            return [], False
        return [compiled for index in hits if index for compiled in self._by_pattern[index - 1]], 0 in hits

    def said(self, data: bytes) -> tuple[Sequence[Compiled], Collection[Compiled]]:
        """The recognizers that find nothing without words and that words somewhere in a text may speak for.

        And those that need none, but score by them.
        """
        try:
            hits = self._words.hits(data)
        except Overflow:
            raise ScanFailed(
                "the set of context words ran out of memory, so the text was not scanned; refuse it"
            ) from None
        if not hits:
            return (), ()
        first = len(self._by_word)
        said: list[Compiled] = []
        heard: list[Compiled] = []
        for index in hits:
            if index < first:
                said += self._by_word[index]
            else:
                heard += self._by_heard[index - first]
        return said, heard

    def standing_alone(self, data: bytes) -> Sequence[Compiled]:
        """The recognizers that may take the whole of a short text for their value."""
        try:
            return [compiled for index in self._alone.hits(data) for compiled in self._by_alone[index]]
        except Overflow:
            raise ScanFailed(
                "the set of whole values ran out of memory, so the text was not scanned; refuse it"
            ) from None

    def under(self, context: str) -> tuple[str, Sequence[Compiled]]:
        """A key as words, and the recognizers that they speak for."""
        return self._under(context[-MAX_KEY:]) if context else ("", ())

    def _speaking(self, context: str) -> tuple[str, Sequence[Compiled]]:
        key = spaced(context)
        return key, tuple(self.said(encode(key))[0]) if key else ()

    def nothing_in(self, texts: Sequence[tuple[str, str]]) -> list[bool]:
        """For each ``(text, key)``: whether certainly nothing is found in it. False where it has to be looked at.

        Many short texts are asked as one, a line each: what a set finds in one of them it finds there too.
        """
        asked = [index for index, (text, _) in enumerate(texts) if text.isascii()]
        nothing = [False] * len(texts)
        while asked:
            size, several = 0, []
            while asked and size < JOINED:
                several.append(asked.pop())
                size += len(texts[several[-1]][0])
            said = self.heard("\n".join([texts[index][0] for index in several]).encode("ascii"), 0)
            if said is not None and self._anchored.isdisjoint(said):
                for index in several:
                    nothing[index] = self._nothing_by_itself(*texts[index])
        return nothing

    def _nothing_by_itself(self, text: str, context: str) -> bool:
        """Whether neither the key above a text in which nothing else is found speaks for a value, nor all of the text is one."""
        key, by_key = self.under(context)
        if key:
            return not by_key
        if context or any(map(str.isdigit, text)):
            return False
        stripped = text.strip()
        return len(stripped) > self.longest_alone or not (stripped and self.standing_alone(text.encode("ascii")))

    def heard(self, data: bytes, begin: int) -> Sequence[int] | None:
        """The lists of which a word may stand in a text under no key, where certainly nothing is found in it from a byte on.

        The text is a part of a longer one; what only a whole text can be is not asked. None where something may be found.
        """
        unsettled = data[begin - 1 :] if begin else data  # of what stands before, the last character speaks
        try:
            if self._patterns.hits(unsettled):
                return None
            said = self._speaking_lists(data)
        except Overflow:
            return None
        for number in said:
            if any(compiled.search(data, begin, len(data))[0][0] >= 0 for compiled in self._by_word[number]):
                return None
        return said

    def list_of(self, recognizer: Recognizer) -> int | None:
        """The number of the list of words that may speak for a recognizer; None where it is looked for without them."""
        return self._lists.get(recognizer.context) if recognizer.base_score < self._threshold else None

    def lists_in(self, data: bytes) -> Sequence[int]:
        """The numbers of the lists of which a word may stand in a text; all of them where it could not be told."""
        try:
            return self._speaking_lists(data)
        except Overflow:
            return range(len(self._by_word))

    def _speaking_lists(self, data: bytes) -> Sequence[int]:
        hits = self._words.hits(data)
        return hits[: bisect_left(hits, len(self._by_word))]  # those that others score by come last
