"""The answer rules of a text that is still arriving: blocked patterns, and where its links are.

Both decide as they do of the whole text, whatever the chunks are (law 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from aiguard.output.links import LinkScan
from aiguard.scan.closure import NotClosed, Tails, closure
from aiguard.scan.held import HeldText
from aiguard.scan.patterns import Pattern, compile_pattern
from aiguard.scan.places import encode

EAGER: Final = 2048
"""Held characters that are looked at with every piece. Of more than that, an eighth must have come anew: a pattern without an end
(``begin.*end``) may hold a whole answer, which is not looked at again for every word."""


@lru_cache(maxsize=256)
def _tails(patterns: tuple[str, ...]) -> Tails | None:
    try:
        return Tails([closure(pattern) for pattern in patterns])
    except NotClosed:
        return None


class PatternGate:
    """Lets a text through as long as no blocked pattern can be part of what was let through.

    What may still become a match is held back. A pattern that cannot be taken apart (it uses syntax that only RE2 has, or
    an anchor) holds everything back until the end: :attr:`buffered`.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns: list[tuple[int, Pattern]] = [(at, compile_pattern(each)) for at, each in enumerate(patterns)]
        self._tails = _tails(tuple(patterns)) if patterns else None
        self._held = HeldText()
        self._looked = 0  # characters of what is held that were looked at
        self.broken: int | None = None
        """The index of the pattern that was found; nothing comes out any more."""

    @property
    def buffered(self) -> bool:
        """Whether nothing comes out before the end."""
        return bool(self._patterns) and self._tails is None

    @property
    def held(self) -> int:
        """Characters that are held back."""
        return len(self._held)

    def feed(self, text: str, *, last: bool = False) -> str:
        """What is let through now."""
        if not self._patterns:
            return text
        if self.broken is not None:
            return ""
        self._held.add(text)
        if not last and not self._due():
            return ""
        held = str(self._held)
        for number, pattern in self._patterns:
            if pattern.found(held):
                self.broken, self._held = number, HeldText()
                return ""
        cut = len(held)
        if not last and self._tails is not None and held:
            data = encode(held)
            at = self._tails.start(data)
            cut = at if len(data) == len(held) else len(data[:at].decode())
        out = self._held.take(cut)
        self._looked = len(self._held)
        return out

    def _due(self) -> bool:
        """Whether what is held is looked at before the end, and now."""
        if self._tails is None:
            return False
        size = len(self._held)
        return size <= EAGER or 8 * (size - self._looked) >= self._looked


class LinkAware:
    """Rewrites the stretches of a text that stand outside links, as they would be in the whole text.

    ``rewrite`` is given the stretches in order; a token is never cut by them. A closing bracket is held back until the
    next character says whether a link begins with it. ``links`` has seen the texts that its reader reads before this one.
    """

    def __init__(self, rewrite: Callable[[str], str], links: LinkScan | None = None) -> None:
        self._rewrite = rewrite
        self._links = LinkScan() if links is None else links
        self._held = ""

    @property
    def held(self) -> int:
        """Characters that are held back."""
        return len(self._held)

    def feed(self, text: str, *, last: bool = False) -> str:
        """The text as it reads with its stretches rewritten; text must not end inside a token."""
        text = self._held + text
        self._held = ""
        if not last and text.endswith("]"):
            at = max(0, text.rfind("["))
            at -= at > 0 and text[at - 1] == "\\"
            text, self._held = text[:at], text[at:]
        if not text:
            return ""
        pieces: list[str] = []
        done = 0
        for start, end in self._links.feed(text):
            pieces += (self._rewrite(text[done:start]) if start > done else "", text[start:end])
            done = end
        if done < len(text):
            pieces.append(self._rewrite(text[done:]))
        return "".join(pieces)
