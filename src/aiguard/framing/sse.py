"""Server-sent events, read while they arrive and written anew.

The format is WHATWG HTML, section 9.2.6: lines that end in CR, LF or CRLF, one byte order mark at the beginning, fields,
comments, and a blank line after each event. What a client would ignore (unknown fields, a ``retry`` that is not digits,
an ``id`` with a NUL, an event that the stream's end cuts off) is not passed on, so nothing leaves here that was not
looked at; broken UTF-8, which clients repair each in their own way, is refused.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from aiguard.errors import MalformedInput
from aiguard.framing.jsontree import TooLarge

MAX_EVENT: Final = 1 << 20
"""Characters of one event: more than any model server sends, and a bound on what a reader holds."""

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_DIGITS: Final = re.compile(r"[0-9]{1,8}")
"""A retry time: as much as a day, and too short for a number that is somebody's, since nobody looks at it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SseEvent:
    """One event, or a block that only holds comments, an ``id`` or a ``retry`` (``data`` is None then).

    ``event`` is ``""`` where the stream names none (clients read that as ``message``). ``id`` may be ``""``, which resets
    the client's; ``retry`` is in milliseconds. ``comments`` come without their colon, and leave before the fields.
    """

    data: str | None = field(default=None, repr=False)
    event: str = field(default="", repr=False)
    id: str | None = field(default=None, repr=False)
    retry: int | None = None
    comments: tuple[str, ...] = field(default=(), repr=False)

    def with_data(self, data: str) -> SseEvent:
        """The event with other data; any line ending in it becomes a line feed."""
        return replace(self, data=_LINE_END.sub("\n", data))

    def encode(self) -> bytes:
        """The bytes of the event, its blank line included."""
        lines = [f": {comment}" if comment else ":" for comment in self.comments]
        if self.event:
            lines.append(f"event: {self.event}")
        if self.data is not None:
            lines += [f"data: {line}" for line in _LINE_END.split(self.data)]
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.retry is not None:
            lines.append(f"retry: {self.retry}")
        if any(_LINE_END.search(line) for line in lines):
            raise MalformedInput("a field of a server-sent event holds a line ending, which would begin another field")
        return "".join(f"{line}\n" for line in (*lines, "")).encode("utf-8", "replace")


class SseReader:
    """Bytes in, whole events out, in their order. Holds at most one event, of ``max_event`` characters.

    After an exception the reader has ended.
    """

    def __init__(self, *, max_event: int = MAX_EVENT) -> None:
        self._max = max_event
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._line: list[str] = []
        self._size = 0
        self._begun = False
        self._after_cr = False
        self._ended = False
        self._truncated = False
        self._clear()

    def __repr__(self) -> str:
        return f"SseReader({self._size} characters held)"

    @property
    def truncated(self) -> bool:
        """Whether the stream ended in the middle of an event, which clients discard and so was not handed out."""
        return self._truncated

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that the chunk completes.

        Raises :class:`~aiguard.errors.MalformedInput` for bytes that are not UTF-8 and
        :class:`~aiguard.framing.TooLarge` for an event beyond the bound.
        """
        if self._ended:
            raise ValueError("this reader has ended; start a new one for another stream")
        try:
            return list(self._read(self._decoder.decode(chunk)))
        except UnicodeDecodeError:
            self._end()
            raise MalformedInput("an event stream is not UTF-8, so it cannot be read; it ends here") from None
        except MalformedInput:
            self._end()
            raise

    def finish(self) -> list[SseEvent]:
        """Nothing: an event without its blank line does not count (see :attr:`truncated`)."""
        if self._ended:
            raise ValueError("this reader has ended; start a new one for another stream")
        self._truncated = bool(self._size) or bool(self._decoder.getstate()[0])
        self._end()
        return []

    def _end(self) -> None:
        self._ended = True
        self._line = []
        self._clear()

    def _clear(self) -> None:
        self._size = 0
        self._data: list[str] = []
        self._comments: list[str] = []
        self._event = ""
        self._id: str | None = None
        self._retry: int | None = None

    def _read(self, text: str) -> Iterator[SseEvent]:
        if not text:
            return
        if not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        if self._after_cr:
            text = text.removeprefix("\n")
        self._after_cr = text.endswith("\r")
        *lines, rest = _LINE_END.split(text)
        for line in lines:
            self._grow(len(line))
            whole = "".join((*self._line, line))
            self._line = []
            if whole:
                self._field(whole)
                continue
            if self._data or self._comments or self._id is not None or self._retry is not None:
                yield SseEvent(
                    data="\n".join(self._data) if self._data else None,
                    event=self._event,
                    id=self._id,
                    retry=self._retry,
                    comments=tuple(self._comments),
                )
            self._clear()
        if rest:
            self._grow(len(rest))
            self._line.append(rest)

    def _grow(self, size: int) -> None:
        self._size += size + 1
        if self._size > self._max:
            raise TooLarge(f"an event is longer than {self._max} characters, so the stream ends here")

    def _field(self, line: str) -> None:
        name, colon, value = line.partition(":")
        value = value.removeprefix(" ")
        if colon and not name:
            self._comments.append(value)
        elif name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and _DIGITS.fullmatch(value):
            self._retry = int(value)
