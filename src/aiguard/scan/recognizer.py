"""What one pattern finds, declared as a value and checked against its own examples.

A pattern is written in the intersection of RE2's and Python's syntax: RE2 runs it, Python's parser only measures it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import re2

from aiguard.errors import AIGuardError, PolicyError
from aiguard.types import Finding

if TYPE_CHECKING:
    from aiguard.scan.engine import Engine

Validate = Callable[[str], bool]
"""Says whether a candidate is really of the type. Pure, and linear in the candidate's length."""

Extend = Callable[[str, int, int], int]
"""``(text, start, end) -> end``: carries a finding on past what the pattern matched; never moves the end back.

It reads no further than :data:`EXTEND_REACH` characters past ``end``."""

Settled = Callable[[str, int, int], bool]
"""``(text, start, end)``: whether :data:`Extend` would say the same of ``text`` with anything at all after it."""

MAX_LENGTH = 1000
"""Longest match of a pattern in characters: RE2 refuses larger repeats, and the retry cost is bounded by it."""


class RecognizerError(PolicyError):
    """A recognizer cannot be used as it is written. The message names it and the remedy."""


class ScanFailed(AIGuardError):
    """The engine could not look at a text, so nothing is known about it. Whoever scanned must refuse."""


EXTEND_REACH = 16_384
"""Characters past a match that an ``extend`` may read: an RSA-16384 key in PEM has 12,700."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognizer:
    """How to find one kind of value.

    ``pattern`` is RE2 syntax; where it has a capturing group, the first group is the span that is reported.
    ``base_score`` is what a validated match is worth by itself and ``context_score`` what it is worth when one of the
    ``context`` words stands in the ``context_window`` characters before it (or in the key it stands under; with a window of 0 only there, and
    examples are written ``key: value``); an engine
    reports what reaches its threshold. ``deny`` are context words that speak against a match. ``shrink`` is
    how many groups a candidate that fails validation may lose at its end ("4111 1111 1111 1111 2"). ``boundary``
    wants no letter or digit of any script directly before or after the match. ``open_end`` asks that only before it, and
    ``follows`` is asked of the characters before a match that one does stand before, such as where another value ends
    there. ``behind`` is asked of the ``context_window`` characters before any match, whatever they are: whether a value may stand there.
    With ``first_only`` a context word speaks for the first value behind it, and for none that follows in another sentence, line or column.
    ``not_after`` and ``not_before`` are
    further characters that must not stand there (a full stop or a colon counts before a letter or digit only, a comma after a digit only); nor are the
    digits of a decimal fraction a match. ``alone_score`` is
    what a match is worth that is the whole text, under no key. Where a context word and a denying word both stand
    before a match, the nearer one decides. A match on which ``validate`` raises ends the scan with :class:`ScanFailed`. One that it refuses still counts, for ``labelled_score``, where one of the ``labels``
    stands right before it (:data:`aiguard.scan.words.JOINED`) and it is ``plausible``: whoever mistypes a number that he names has still written it. ``settled`` lets a stream go on before ``extend`` has seen all that it may
    read. ``priority`` chooses the label when
    findings overlap, and nothing else.
    """

    name: str
    type: str
    pattern: str
    validate: Validate | None = None
    extend: Extend | None = None
    settled: Settled | None = None
    context: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    base_score: float = 0.9
    context_score: float = 0.95
    context_window: int = 64
    max_length: int = MAX_LENGTH
    boundary: bool = True
    open_end: bool = False
    follows: Validate | None = None
    behind: Validate | None = None
    first_only: bool = False
    not_after: str = ""
    not_before: str = ""
    alone_score: float = 0.0
    labels: tuple[str, ...] = ()
    labelled_score: float = 0.0
    plausible: Validate | None = None
    shrink: int = 0
    priority: int = 50
    source: str = ""
    examples: tuple[str, ...] = ()
    counter_examples: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("context", "deny", "labels", "examples", "counter_examples"):
            if isinstance(getattr(self, name), str):
                raise RecognizerError(f"recognizer {self.name!r}: {name} is a list of strings, not one string")
        if not self.name or not self.type:
            raise RecognizerError(f"recognizer {self.name or self.pattern[:40]!r} needs a name and a type")
        if self.context and not set(self.labels) <= set(self.context):
            raise RecognizerError(f"recognizer {self.name!r}: its labels must be among its context words")

    def extended(self, text: str, start: int, end: int) -> bool:
        """Whether no further text can change where ``extend`` carries the match ``start..end`` of ``text``."""
        if self.extend is None or len(text) >= end + EXTEND_REACH:
            return True
        return self.settled is not None and self.settled(text, start, end)


def compile_pattern(recognizer: Recognizer, pattern: str | None = None) -> re2._Regexp:
    """The RE2 program of a recognizer; :class:`RecognizerError` names it when RE2 refuses."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 32 << 20
    try:
        return re2.compile((recognizer.pattern if pattern is None else pattern).encode(), options)
    except re2.error as error:
        raise RecognizerError(
            f"recognizer {recognizer.name!r} does not compile in RE2: {_text(error)}. "
            "Look-around, back-references and repeats above 1000 are not available."
        ) from None
    except UnicodeEncodeError:
        raise RecognizerError(f"recognizer {recognizer.name!r}: the pattern is not valid Unicode") from None


def check(recognizer: Recognizer) -> None:
    """Refuse a recognizer that does not compile, scores outside 0 to 1, matches the empty string, is unbounded, or fails its own examples.

    Raises :class:`RecognizerError`. Run over the whole catalogue in the tests and over a policy's own at load.
    """
    for name in ("base_score", "context_score", "alone_score", "labelled_score"):
        if not 0 <= getattr(recognizer, name) <= 1:
            raise RecognizerError(f"recognizer {recognizer.name!r}: {name} must be from 0 to 1")
    program = compile_pattern(recognizer)
    if any(match is not None and match.end() == match.start() for match in map(program.search, (b"", b" ", b"a"))):
        raise RecognizerError(f"recognizer {recognizer.name!r} matches the empty string, so it would match everywhere")
    if program.groups > 1:
        raise RecognizerError(f"recognizer {recognizer.name!r} has {program.groups} groups; mark the value with one")
    width = _width(recognizer)
    if width > recognizer.max_length:
        raise RecognizerError(
            f"recognizer {recognizer.name!r} can match {width if width < 1 << 31 else 'any number of'} characters, more "
            f"than its max_length of {recognizer.max_length}; bound its repeats ({{1,64}} for +)"
        )
    from aiguard.scan.engine import (
        Engine,
    )  # the engine compiles recognizers, so it stands above this module

    engine = Engine([recognizer], threshold=0.5)
    for number, example in enumerate(recognizer.examples, 1):
        if not _looked_at(engine, recognizer, example):
            raise RecognizerError(f"recognizer {recognizer.name!r} does not find its own example {number}")
    if recognizer.labels:  # counter-examples are held against the check, which a label stands in for
        engine = Engine([replace(recognizer, labels=(), labelled_score=0.0)], threshold=0.5)
    for number, example in enumerate(recognizer.counter_examples, 1):
        if _looked_at(engine, recognizer, example):
            raise RecognizerError(f"recognizer {recognizer.name!r} finds its own counter-example {number}")


def _looked_at(engine: Engine, recognizer: Recognizer, example: str) -> list[Finding]:
    if recognizer.context_window:
        return engine.detect(example)
    key, _, value = example.partition(": ")
    return engine.detect(value, context=key)


def _width(recognizer: Recognizer) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = re._parser.parse(recognizer.pattern)  # type: ignore[attr-defined]  # noqa: SLF001 - the only parser there is
    except re.error as error:
        raise RecognizerError(
            f"recognizer {recognizer.name!r} is not in the syntax that RE2 and Python share: {error.msg}"
        ) from None
    return int(parsed.getwidth()[1])


def _text(error: re2.error) -> str:
    first = error.args[0] if error.args else "unknown error"
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
