"""Text that waits: adding to it costs what is added, however much waits already."""

from __future__ import annotations

from collections.abc import Sequence


class HeldText:
    """The end of a text, from the first character that was not taken."""

    __slots__ = ("_pieces", "_size")

    def __init__(self, pieces: Sequence[str] = ()) -> None:
        self._pieces = list(pieces)
        self._size = sum(map(len, self._pieces))

    def __len__(self) -> int:
        return self._size

    def __str__(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def __repr__(self) -> str:
        return f"HeldText({self._size} characters)"

    def copy(self) -> HeldText:
        """Another one of the same text."""
        return HeldText(self._pieces)

    def add(self, text: str) -> None:
        """Put ``text`` behind it."""
        self._pieces.append(text)
        self._size += len(text)

    def take(self, size: int) -> str:
        """The first ``size`` characters, which are let go."""
        text = str(self)
        self._pieces = [text[size:]] if size < len(text) else []
        self._size = max(0, self._size - size)
        return text[:size]
