"""Which of many patterns occur in a text, without saying where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import re2

from aiguard.scan.places import encode
from aiguard.scan.recognizer import RecognizerError, ScanFailed

_MEMORY: Final = 64 << 20

_SENTINEL: Final = "\x00aiguard sentinel\x00"
"""Appended to every text and looked for as a pattern of its own: where it is not found, nothing was looked at."""


class PatternSet:
    """Named RE2 patterns (case-insensitive, ``.`` matches newlines). Immutable after construction, so thread-safe.

    Patterns with gaps (``ignore … instructions``) make the automaton of one big set slow, so RE2's own filter is used:
    one pass looks for the literals that each pattern cannot match without, and only patterns whose literals are there
    are searched for. Texts are expected normalised (:func:`aiguard.scan.normalise`), beside their original.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._names = tuple(patterns)
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MEMORY
        self._filter = re2.Filter()
        self._programs: list[re2._Regexp] = []
        for name, pattern in patterns.items():
            source = f"(?is){pattern}".encode()
            try:
                program = re2.compile(source, options)
            except re2.error as error:
                why = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
                raise RecognizerError(
                    f"signature {name!r} does not compile in RE2: {why}. Look-around and back-references are not available."
                ) from None
            if any(match is not None and match.end() == match.start() for match in map(program.search, (b"", b"a"))):
                raise RecognizerError(f"signature {name!r} matches the empty string, so it would match everywhere")
            self._programs.append(program)
            self._filter.Add(source, options)
        self._sentinel = self._filter.Add(_SENTINEL.encode(), options)
        self._filter.Compile()

    @property
    def names(self) -> tuple[str, ...]:
        """The patterns' names, in the order of the indices that :meth:`match` returns."""
        return self._names

    def match(self, text: str) -> list[int]:
        """Indices of the patterns that occur in ``text``; :class:`ScanFailed` when it could not be scanned."""
        candidates = self._filter.Match(encode(text.lower() + _SENTINEL), True)
        if not candidates or self._sentinel not in candidates:
            raise ScanFailed("the signature set ran out of memory, so the text was not scanned; refuse it")
        if len(candidates) == 1:
            return []
        data = encode(text)
        return sorted(
            index for index in candidates if index != self._sentinel and self._programs[index].search(data) is not None
        )
