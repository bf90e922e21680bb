"""One recognizer ready to run: its program, and what is asked of a candidate and of what stands around it."""

from __future__ import annotations

import re
from typing import Final

from aiguard.scan.program import Search, searcher
from aiguard.scan.recognizer import Recognizer, ScanFailed, Validate, compile_pattern
from aiguard.scan.words import (
    answered,
    in_ascii,
    labelled,
    last,
    preceding,
    spaced,
    spelled,
    trigger,
    under_its_key,
    words,
)

FRACTION: Final = 9
"""Digits in one run after a decimal point from which on they are taken for a fraction and for nothing else."""


class Compiled:
    """A recognizer, its RE2 program and what is asked of its surroundings, ready to run."""

    __slots__ = ("_context", "_deny", "_labels", "_open_end", "_plain", "_search", "_trigger", "_under", "recognizer")

    def __init__(self, recognizer: Recognizer, *, lazy: bool) -> None:
        self.recognizer = recognizer
        self._open_end = not recognizer.boundary or recognizer.open_end or recognizer.extend is not None
        self._search: Search | None = None if lazy else searcher(compile_pattern(recognizer))
        self._trigger: Search | None = None
        self._under: tuple[str, float | None] | None = None  # the key that was asked of last, and what it says
        self._context: tuple[re.Pattern[str] | None] | None = None
        self._deny: tuple[re.Pattern[str] | None] | None = None
        self._labels: tuple[re.Pattern[str] | None] | None = None
        self._plain: tuple[re.Pattern[str] | None, re.Pattern[str] | None] | None = None

    # Compiled at first use; two threads may both compile, and keep the same thing.

    @property
    def search(self) -> Search:
        """Finds the next candidate."""
        if self._search is None:
            self._search = searcher(compile_pattern(self.recognizer))
        return self._search

    @property
    def context(self) -> re.Pattern[str] | None:
        """The words that speak for a value."""
        if self._context is None:
            self._context = (words(self.recognizer.context),)
        return self._context[0]

    @property
    def deny(self) -> re.Pattern[str] | None:
        """The words that speak against one."""
        if self._deny is None:
            self._deny = (words(self.recognizer.deny),)
        return self._deny[0]

    def speaking(self, text: str) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
        """The words that speak for a value and those that speak against one, of those that ``text`` can hold.

        Most words are of other alphabets, and every beginning of one costs a look at each place of a text.
        """
        if not text.isascii():
            return self.context, self.deny
        if self._plain is None:
            for_it, against = self.recognizer.context, self.recognizer.deny
            self._plain = (
                words([word for word in for_it if in_ascii(word)]),
                words([word for word in against if in_ascii(word)]),
            )
        return self._plain

    @property
    def labels(self) -> re.Pattern[str] | None:
        """The names behind which a value counts though its check fails."""
        if self._labels is None:
            self._labels = (words(self.recognizer.labels),)
        return self._labels[0]

    def said(self, data: bytes) -> list[int]:
        """Where words that may speak for a value end, in bytes."""
        if self._trigger is None:
            self._trigger = searcher(compile_pattern(self.recognizer, trigger(self.recognizer.context)))
        search, ends, size = self._trigger, [], len(data)
        end = search(data, 0, size)[0][1]
        while end > 0:
            ends.append(end - 1 if data[end - 1] < 0x80 else end)
            end = search(data, end, size)[0][1]
        return ends

    def score(self, text: str, start: int, end: int, key: str) -> float:
        """What the match ``start..end`` is worth, by the words before it and the key above it."""
        recognizer = self.recognizer
        if not recognizer.context and not recognizer.deny and not recognizer.alone_score:
            return recognizer.base_score
        if not recognizer.context_window:  # the key alone speaks, and says the same of every match
            under = self._under
            if under is None or under[0] != key:
                self._under = under = (key, self._spoken(key, ""))
            return recognizer.base_score if under[1] is None else under[1]
        before = under_its_key(spaced(preceding(text, start, recognizer.context_window)))
        for said in (before, key):
            worth = self._spoken(said, text[start:end]) if said else None
            if worth is not None:
                return worth
        if recognizer.alone_score and not key and end - start == len(text.strip()):
            return max(recognizer.base_score, recognizer.alone_score)
        return recognizer.base_score

    def _spoken(self, said: str, value: str) -> float | None:
        """What words make of a match: nothing where there are none that speak for it or against it."""
        recognizer = self.recognizer
        context, deny = self.speaking(said)
        speaks_for, against = last(context, said), last(deny, said)
        if speaks_for > against and not (recognizer.first_only and answered(said[speaks_for:], value)):
            return max(recognizer.base_score, recognizer.context_score)
        return 0.0 if against >= 0 else None

    def label(self, text: str, start: int, end: int, key: str) -> int:
        """The end of the candidate ``start..end`` that was refused where its label stands right before it, or else 0."""
        if self.labels is None:
            return 0
        named = labelled(self.labels, preceding(text, start, self.recognizer.context_window))
        if not named and not (key and not text[:start].strip() and labelled(self.labels, f"{key}:")):
            return 0
        return self.accept(text, start, end, self.recognizer.plausible or _varied)

    def accept(self, text: str, start: int, end: int, validate: Validate | None = None) -> int:
        """The accepted end of the candidate ``start..end``, or 0 when it is not of this type, or not what ``validate`` wants."""
        recognizer = self.recognizer
        before = text[start - 1] if start else ""
        if before.isalnum():
            if recognizer.boundary and not _edge(text, start):
                follows = recognizer.follows
                if follows is None or not follows(preceding(text, start, recognizer.context_window)):
                    return 0
        elif before == "." and _fraction(text, start):
            return 0
        if before in recognizer.not_after and _led_up(text, start):
            return 0
        validate, not_before, left = validate or recognizer.validate, recognizer.not_before, recognizer.shrink
        try:
            while (
                not (self._open_end or _edge(text, end))
                or (not_before and _goes_on(text, end, not_before))
                or not (validate is None or validate(text[start:end]))
            ):
                if not left:
                    return 0
                left -= 1
                end = _shorter(text, start, end)
                if end <= start:
                    return 0
        except Exception as error:  # noqa: BLE001 - its message may hold the value
            problem = type(error).__name__
        else:
            problem = ""
        if problem:
            raise ScanFailed(
                f"a check of the recognizer {recognizer.name!r} raised {problem}: the text was not looked at"
            )
        behind = recognizer.behind
        return end if behind is None or behind(text[max(0, start - recognizer.context_window) : start]) else 0


def _word(char: str) -> bool:
    """Whether ``char`` continues a word of an alphabet, or a number; other letters next to a value of ours, and the sign of a footnote, are a boundary."""
    return char.isdecimal() or (char.isalpha() and spelled(char))


def _edge(text: str, index: int) -> bool:
    """Whether a value may begin or end at ``index``: no word or number goes on across it."""
    if index <= 0 or index >= len(text) or not text[index].isalnum():
        return True
    left = text[index - 1]
    return not (left.isalnum() and _word(left) and _word(text[index]))


def _led_up(text: str, index: int) -> bool:
    """Whether the character before ``index`` counts where it must not stand: a comma only after a digit, as columns have commas too."""
    return index > 0 and (text[index - 1] != "," or (index > 1 and text[index - 2].isdigit()))


def _fraction(text: str, index: int) -> bool:
    """Whether the digits from ``index`` on are those of a decimal fraction: ``0.0842389659712649442845``, ``-77.41111111111111``.

    They stand in one run, nine at least (``1.4111 1111 …`` may be the first of a list), behind up to three digits and the point.
    """
    if index < 2 or len(text) < index + FRACTION or not text[index - 2].isdigit():
        return False
    if not text[index : index + FRACTION].isdigit():
        return False
    first = index - 2
    while first > index - 4 and first > 0 and text[first - 1].isdigit():
        first -= 1
    return first == 0 or not (text[first - 1].isalnum() or text[first - 1] in "._")


def _goes_on(text: str, index: int, stops: str) -> bool:
    """Whether the character at ``index`` is one of ``stops``; a full stop or a colon only when a letter or digit follows it."""
    if index >= len(text) or text[index] not in stops:
        return False
    return text[index] not in ".:" or (index + 1 < len(text) and (text[index + 1].isalnum() or text[index + 1] == ":"))


def _varied(text: str) -> bool:
    """Three different letters or digits at least: ``000-00-0000`` is no number of anybody."""
    return len({char for char in text if char.isalnum()}) > 2


def _shorter(text: str, start: int, end: int) -> int:
    """The end of the candidate without its last group, where a space sets it off; 0 when there is only one."""
    groups = text[start:end].rsplit(None, 1)
    if len(groups) == 1:
        return 0
    space = start + len(groups[0])
    while space > start and not text[space - 1].isalnum():
        space -= 1
    return space
