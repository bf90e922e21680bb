"""What a search does differently while a text is still arriving."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiguard.scan.recognizer import Recognizer


@dataclass(kw_only=True, slots=True)
class Window:
    """Limits of a search in one reading of a text that is still arriving, and what it learnt on the way.

    Only matches that start in the bytes ``begin..stop`` are looked for, with all that is known around them. ``alone``
    says that the reading may hold nothing but one value, ``last`` that no more will come. Each span in ``crossed`` was
    stepped over at once, found or not: a later search can only begin where it cuts none of them. ``waiting`` is the
    first match whose end depends on text to come (its span in ``crossed`` ends beyond the text).
    """

    begin: int
    stop: int
    alone: bool
    last: bool
    crossed: list[tuple[int, int]] = field(default_factory=list)
    waiting: tuple[Recognizer, int, int] | None = None

    def step(self, data: bytes, at: int, left: int, start: int, end: int) -> None:
        """A match at the byte ``at``, whose value begins at the byte ``left`` or the character ``start``, was passed."""
        self.crossed.append((start - len(data[at:left].decode()), end))

    def wait(self, data: bytes, at: int, left: int, start: int, end: int, recognizer: Recognizer) -> None:
        """The same for a match that text to come may extend."""
        self.step(data, at, left, start, len(data) + 1)
        self.waiting = self.waiting or (recognizer, start, end)
