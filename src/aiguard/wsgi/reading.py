"""Reading a request's body from ``wsgi.input``: so much, for so long, and what it holds as it comes."""

from __future__ import annotations

import contextlib
import io
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiguard.errors import MalformedInput

PIECE: Final = 1 << 16
"""Bytes that are asked for at once."""
LINE: Final = 1 << 13
"""Bytes of a body that arrives, at most; it is asked for by the line, since a server's ``read`` waits for all it was asked for."""
SOCKETS: Final = ("gunicorn.socket", "werkzeug.socket")
"""Where servers put the connection. It is shut for reading when the time is over; nothing else ends a read that waits."""

Environ = MutableMapping[str, Any]


@dataclass(slots=True)
class Limit:
    """The time that one body may take. ``over`` once it has."""

    ends: float
    over: bool = False

    @property
    def passed(self) -> bool:
        """Whether the time is over now."""
        self.over = self.over or time.monotonic() >= self.ends
        return self.over


class Watch:
    """Shuts connections whose body takes too long. One thread for a process, and only while there is something to watch."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: dict[int, tuple[Limit, Any]] = {}
        self._numbers = itertools.count()
        self._wakes = 0.0
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, connection: Any, limit: Limit) -> Iterator[None]:
        """Watch a read from ``connection`` (a socket, or None where the server shows none) for the block."""
        if connection is None:
            yield
            return
        number = next(self._numbers)
        with self._changed:
            self._watched[number] = limit, connection
            if self._thread is None or not self._thread.is_alive():
                self._wakes = limit.ends
                self._thread = threading.Thread(target=self._run, name="aiguard-slow-bodies", daemon=True)
                self._thread.start()
            elif limit.ends < self._wakes:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._watched.pop(number, None)

    def _run(self) -> None:
        with self._changed:
            while self._watched:
                self._wakes = min(limit.ends for limit, _ in self._watched.values())
                self._changed.wait(max(0.0, self._wakes - time.monotonic()))
                for number, (limit, connection) in tuple(self._watched.items()):
                    if limit.passed:
                        del self._watched[number]
                        with contextlib.suppress(OSError, TypeError):
                            # The plain method: that of a TLS socket would go on in clear.
                            socket.socket.shutdown(connection, socket.SHUT_RD)
            self._thread = None


WATCH: Final = Watch()


def connection_of(environ: Environ) -> Any:
    """The socket of a request, where its server shows it."""
    return next((environ[name] for name in SOCKETS if environ.get(name) is not None), None)


def pieces(environ: Environ, length: int | None, limit: Limit, connection: Any) -> Iterator[bytes]:
    """The body by pieces: ``length`` bytes of it, or (None) to its end, as long as there is time.

    Raises :class:`~aiguard.errors.MalformedInput` where the server cannot read it.
    """
    left = length
    while left is None or left > 0:
        piece = _read(environ["wsgi.input"].read, PIECE if left is None else min(left, PIECE), limit, connection)
        if not piece or limit.passed:
            return
        if left is not None:
            left -= len(piece)
        yield piece


def _read(read: Callable[[int], bytes], size: int, limit: Limit, connection: Any) -> bytes:
    with contextlib.suppress(Exception), WATCH.over(connection, limit):  # servers have errors of their own for bodies
        return read(size)
    if limit.passed:
        return b""
    raise MalformedInput("the body could not be read")


class Arriving(io.RawIOBase):
    """``wsgi.input`` of an application whose request goes on to it while it arrives.

    ``step`` is given each piece (``b""`` at the end) and gives what may go on; what it raises, the application's read raises.
    """

    def __init__(self, environ: Environ, limit: Limit, step: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._source = environ["wsgi.input"]
        self._connection = connection_of(environ)
        self._limit = limit
        self._step = step
        self._ready = b""
        self._over = False

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill ``buffer`` with what may go on now; 0 at the end."""
        while not self._ready and not self._over:
            try:
                piece = _read(self._source.readline, LINE, self._limit, self._connection)
            except MalformedInput:
                self._over = True
                raise
            self._over = not piece
            self._ready = self._step(piece)
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
