"""JSON documents one a line (NDJSON, JSON Lines), read while they arrive."""

from __future__ import annotations

from typing import Final

from aiguard.framing.jsontree import JsonDocument, TooLarge

MAX_LINE: Final = 1 << 20
"""Bytes of one document, and a bound on what a reader holds."""


class NdjsonReader:
    """Bytes in, whole documents out, in their order; blank lines are left out. Holds at most one line.

    To write a document, render it and add a line feed: rendered JSON never holds one. After an exception the reader has
    ended.
    """

    def __init__(self, *, max_line: int = MAX_LINE) -> None:
        self._max = max_line
        self._line: list[bytes] = []
        self._size = 0
        self._ended = False

    def __repr__(self) -> str:
        return f"NdjsonReader({self._size} bytes held)"

    def feed(self, chunk: bytes) -> list[JsonDocument]:
        """The documents whose lines the chunk ends.

        Raises :class:`~aiguard.errors.MalformedInput` for a line that is not one strict JSON document, and
        :class:`~aiguard.framing.TooLarge` for one beyond the bound.
        """
        if self._ended:
            raise ValueError("this reader has ended; start a new one for another stream")
        try:
            return self._read(chunk)
        except BaseException:
            self._end()
            raise

    def finish(self) -> list[JsonDocument]:
        """The document of the last line where no line ending followed it."""
        if self._ended:
            raise ValueError("this reader has ended; start a new one for another stream")
        try:
            return self._parse(b"".join(self._line))
        finally:
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._line, self._size = [], 0

    def _read(self, chunk: bytes) -> list[JsonDocument]:
        *lines, rest = chunk.split(b"\n")
        found: list[JsonDocument] = []
        for line in lines:
            self._add(line)
            found += self._parse(b"".join(self._line))
            self._line, self._size = [], 0
        self._add(rest)
        return found

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._max:
            raise TooLarge(f"a line is longer than {self._max} bytes, so the stream ends here")
        if piece:
            self._line.append(piece)

    def _parse(self, line: bytes) -> list[JsonDocument]:
        return [JsonDocument.parse(line, max_bytes=self._max)] if line.strip(b" \t\r") else []
