"""Which recognizers of an engine can find anything in a text: by their pattern or, where words decide, by the words.

Patterns that need words before them would only tell a set that there are figures, at the price of a large automaton; so those
recognizers are looked up by their words.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from aiguard.scan.atoms import atoms
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


class Found(NamedTuple):
    """What a text has for which recognizers."""

    shaped: list[Compiled]
    """Their patterns may be in it."""
    said: Sequence[Compiled]
    """They find nothing without words, and one that speaks for them may be in it."""
    heard: Collection[Compiled]
    """They need no words, but score by them, and one may be in it."""
    encoded: bool
    """Whether it may hold encoded segments or be read otherwise."""


# fmt: off
_ORDINARY: Final = frozenset({
    "_pat", "_sid", "access", "account", "acct", "api", "are", "arg", "as", "ass", "auth", "cert", "client", "code",
    "config", "connect", "cred", "database", "db", "driver", "env", "es", "est", "exa", "fal", "host", "id", "in",
    "is", "ist", "key", "log", "login", "my", "name", "new", "number", "of", "on", "or", "pat", "secret", "server",
    "set", "sid", "sign", "sind", "son", "to", "together", "token", "uid", "use", "user", "using", "value", "war",
    "was", "wd", "web", "words",
})
# fmt: on
"""Letters that stand in many texts that give nothing away."""

_MANY: Final = 40
"""Atoms of one pattern from which on one of them stands in many texts."""


class Filters:
    """The recognizers of one engine, by what a text has to hold for them to find anything. Immutable, so thread-safe.

    A method raises :class:`ScanFailed` where a set ran out of its memory, unless it says otherwise.
    """

    def __init__(self, recognizers: Iterable[Compiled], threshold: float) -> None:
        strong: dict[bytes, list[Compiled]] = {}
        named: dict[bytes, list[Compiled]] = {}
        rare: dict[bytes, list[Compiled]] = {}
        alone: dict[bytes, list[Compiled]] = {}
        worded: dict[tuple[str, ...], list[Compiled]] = {}
        scored: dict[tuple[str, ...], list[Compiled]] = {}
        self.longest_alone = 0
        """Characters of the longest text that may be nothing but one value; 0 where none may."""
        self._threshold = threshold
        needed: set[str] = set()
        for compiled in recognizers:
            recognizer = compiled.recognizer
            if recognizer.base_score >= threshold:
                spoken = (*recognizer.context, *recognizer.deny, *recognizer.labels)
                if spoken:
                    scored.setdefault(tuple(dict.fromkeys(spoken)), []).append(compiled)
                if recognizer.boundary:
                    strong.setdefault(coarse(recognizer.pattern), []).append(compiled)
                elif (
                    (found := atoms(recognizer.pattern))
                    and len(found) <= _MANY
                    and _ORDINARY.isdisjoint(map(str.strip, found))
                ):
                    needed |= found
                    rare.setdefault(coarse(recognizer.pattern), []).append(compiled)
                else:
                    named.setdefault(coarse(recognizer.pattern, until_value=True), []).append(compiled)
                continue
            if recognizer.context and recognizer.context_score >= threshold:
                worded.setdefault(recognizer.context, []).append(compiled)
            if recognizer.alone_score >= threshold:
                alone.setdefault(coarse(recognizer.pattern), []).append(compiled)
                self.longest_alone = max(self.longest_alone, recognizer.max_length)
        # What has no edges of its own is what a name gives away. In one set with the others, or with what stands behind the names, it would
        # keep a state alive for each name, and all of these would be multiplied; what is rare is asked only where its letters are.
        self._by_pattern = ((), *strong.values(), *named.values())
        self._patterns = Parted([_MORE, *strong], [*named])
        self._by_rare = tuple(rare.values())
        self._rare = Prefilter([*rare])
        self._lists = {context: number for number, context in enumerate(worded)}
        self._by_word = tuple(worded.values())
        self._anchored = frozenset(
            number
            for number, several in enumerate(self._by_word)
            if any(anchored(each.recognizer.pattern) for each in several)
        )
        self._by_heard = (*scored.values(), ())
        self._words = Words([*worded, *scored], needed)
        self._by_alone = tuple(alone.values())
        self._alone = Prefilter([*alone])
        self._under = lru_cache(maxsize=REMEMBERED_KEYS)(self._by_key)

    def in_text(self, data: bytes) -> Found:
        """What a text has for which recognizers."""
        try:
            said = self._words.hits(data)
        except Overflow:
            raise ScanFailed(
                "the set of context words ran out of memory, so the text was not scanned; refuse it"
            ) from None
        try:
            hits = self._patterns.hits(data)
            rare = self._rare.hits(data) if said and said[-1] == self._words.atom else ()
        except Overflow:
            raise ScanFailed("the pattern set ran out of memory, so the text was not scanned; refuse it") from None
        shaped = [compiled for index in hits for compiled in self._by_pattern[index]] if hits else []
        for index in rare:
            shaped += self._by_rare[index]
        return Found(shaped, *self._spoken(said), encoded=0 in hits)

    def _spoken(self, hits: Sequence[int]) -> tuple[Sequence[Compiled], Collection[Compiled]]:
        """The recognizers that find nothing without words, of which these lists speak for; and those that need none, but score by them."""
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

    def _by_key(self, context: str) -> tuple[str, Sequence[Compiled]]:
        key = spaced(context)
        if not key:
            return key, ()
        try:
            return key, tuple(self._spoken(self._words.hits(encode(key)))[0])
        except Overflow:
            raise ScanFailed(
                "the set of context words ran out of memory, so the text was not scanned; refuse it"
            ) from None

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
            said: Sequence[int] = self._words.hits(data)
            if self._patterns.hits(unsettled):
                return None
            if said and said[-1] == self._words.atom and self._rare.hits(unsettled):
                return None
        except Overflow:
            return None
        said = self._speaking(said)
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
            return self._speaking(self._words.hits(data))
        except Overflow:
            return range(len(self._by_word))

    def _speaking(self, hits: Sequence[int]) -> Sequence[int]:
        return hits[: bisect_left(hits, len(self._by_word))]  # those that others score by come last
