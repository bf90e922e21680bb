"""Which of many patterns occur in a text, without saying where."""

from __future__ import annotations

from collections.abc import Mapping

import re2

from aiguard.scan.engine import ScanFailed, encode
from aiguard.scan.recognizer import RecognizerError

_MEMORY = 96 << 20


class PatternSet:
    """Named RE2 patterns, matched together in one linear pass. Immutable after construction, so thread-safe."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._names = tuple(patterns)
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MEMORY
        self._set = re2.Set.SearchSet(options)
        for name, pattern in patterns.items():
            try:
                program = re2.compile(pattern.encode(), options)
            except re2.error as error:
                raise RecognizerError(f"signature {name!r} does not compile in RE2: {error}") from None
            if program.fullmatch(b"") is not None:
                raise RecognizerError(f"signature {name!r} matches the empty string, so it would match everywhere")
            self._set.Add(pattern.encode())
        self._sentinel = self._set.Add(b"")
        self._set.Compile()

    @property
    def names(self) -> tuple[str, ...]:
        """The patterns' names, in the order of the indices that :meth:`match` returns."""
        return self._names

    def match(self, text: str) -> list[int]:
        """Indices of the patterns that occur in ``text``; :class:`ScanFailed` when it could not be scanned."""
        hits = self._set.Match(encode(text))
        if not hits or self._sentinel not in hits:
            raise ScanFailed("the signature set ran out of memory, so the text was not scanned; refuse it")
        return [index for index in hits if index != self._sentinel]
