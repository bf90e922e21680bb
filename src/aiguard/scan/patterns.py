"""Single patterns from a policy author, compiled for RE2 so that no input can make them backtrack (law 7)."""

from __future__ import annotations

from functools import lru_cache

import re2

from aiguard.errors import PolicyError

MAX_PATTERN_LENGTH = 4_096
"""Characters of one pattern; longer ones are generated rather than written, and belong in a recognizer."""


class Pattern:
    """One compiled pattern, searched in the UTF-8 bytes of a text."""

    __slots__ = ("_regexp", "source")

    def __init__(self, source: str, regexp: re2._Regexp) -> None:
        self.source = source
        self._regexp = regexp

    def found(self, text: str) -> bool:
        """True where the pattern matches anywhere in ``text``. A lone surrogate is searched as U+FFFD."""
        return self._regexp.search(_utf8(text)) is not None

    def whole(self, text: str) -> bool:
        """True where the pattern matches ``text`` from its first character to its last."""
        return self._regexp.fullmatch(_utf8(text)) is not None


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode("utf-8")


@lru_cache(maxsize=1024)
def compile_pattern(source: str) -> Pattern:
    """``source`` compiled.

    Raises:
        PolicyError: it is too long, does not compile in RE2 (which has no look-around and no back-references), or
            matches the empty string and so would match everything.
    """
    if len(source) > MAX_PATTERN_LENGTH:
        raise PolicyError(f"a pattern is {len(source)} characters long; the most is {MAX_PATTERN_LENGTH}")
    options = re2.Options()
    options.log_errors = False
    try:
        regexp = re2.compile(source.encode("utf-8"), options=options)
    except re2.error as error:
        why = (
            error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        )
        raise PolicyError(
            f"the pattern {source[:80]!r} does not compile in RE2 ({why}); look-around and back-references do not exist there"
        ) from None
    if regexp.search(b"") is not None:
        raise PolicyError(f"the pattern {source[:80]!r} matches the empty string, so it would match everything")
    return Pattern(source, regexp)
