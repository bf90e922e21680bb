"""Content codings (RFC 9110, section 8.4) taken off while the bytes arrive: gzip, deflate, br and zstd.

A small body may decode to a huge one, so every step here makes at most :data:`PIECE` bytes before they are counted: against
the most that is read, and against what came in. What is cut off, goes on behind its end, or needs a package that is not
installed is refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from aiguard.errors import MalformedInput
from aiguard.framing.jsontree import TooLarge

PIECE: Final = 1 << 16
"""Bytes that a decoder makes in one step; the most that is ever made beyond a limit (zstd: its largest block)."""
MAX_RATIO: Final = 200
"""Bytes out for a byte in. Text packs 3 to 20 times; only runs of one character come near this."""
RATIO_FREE: Final = 1 << 20
"""Bytes out from which :data:`MAX_RATIO` holds: what is small is no bomb, whatever it is packed from."""
MAX_CODINGS: Final = 2
"""Codings of one body, one inside the other."""
_ZSTD_WINDOW: Final = 8 << 20
"""RFC 9659: the largest window of zstd over HTTP."""
_GZIP_SLICE: Final = 1 << 12
"""Bytes that zlib is given at once: what is behind a member's end is copied at each of them, and a member has 20 bytes at least."""
_ZSTD_SLICE: Final = 64
"""Bytes that zstd is given at once: it cannot be told to stop, and a block of four bytes can mean 128 KiB."""


class UnknownCoding(MalformedInput):
    """A content coding that cannot be taken off here; ``status`` is 415."""

    status = 415


class _Codec(Protocol):
    def decode(self, data: bytes) -> Iterator[bytes]: ...

    @property
    def complete(self) -> bool: ...


class ContentDecoder:
    """Coded bytes in, plain bytes out: ``feed(chunk)`` for each, then ``finish()``.

    Args:
        codings: the Content-Encoding header's value; ``""`` and ``identity`` mean that there is none.
        max_bytes: the most that comes out over all; None where only the ratio bounds it (a stream without an end).
        max_ratio: bytes out for a byte in, from :data:`RATIO_FREE` bytes on.

    Raises:
        UnknownCoding: a coding is not known here, its package is not installed, or there are too many.
    """

    def __init__(self, codings: str, *, max_bytes: int | None, max_ratio: int = MAX_RATIO) -> None:
        names = [name.strip().lower() for name in codings.split(",") if name.strip()]
        names = [name for name in names if name != "identity"]
        if len(names) > MAX_CODINGS:
            raise UnknownCoding(f"a body has more than {MAX_CODINGS} content codings; send it with one")
        self._codecs: list[_Codec] = [_codec(name) for name in reversed(names)]
        self._max = max_bytes
        self._ratio = max_ratio
        self._in = 0
        self._out = 0

    @property
    def identity(self) -> bool:
        """Whether what comes out is what went in."""
        return not self._codecs

    @property
    def size(self) -> int:
        """Bytes that came out so far."""
        return self._out

    def feed(self, chunk: bytes) -> bytes:
        """What the chunk decodes to.

        Raises :class:`~aiguard.errors.MalformedInput` for bytes that are not what their coding says and
        :class:`~aiguard.framing.TooLarge` beyond a limit; nothing can be fed after either.
        """
        self._in += len(chunk)
        if not self._codecs:
            self._count(len(chunk))
            return chunk
        out: list[bytes] = []
        pieces = self._codecs[0].decode(chunk) if chunk else iter(())
        for codec in self._codecs[1:]:
            pieces = _through(codec, pieces)
        for piece in pieces:
            self._count(len(piece))
            out.append(piece)
        return b"".join(out)

    def finish(self) -> None:
        """Make sure that nothing was cut off."""
        if self._in and not all(codec.complete for codec in self._codecs):
            raise MalformedInput("the body ends before its content coding does")

    def _count(self, size: int) -> None:
        self._out += size
        if self._max is not None and self._out > self._max:
            raise TooLarge(f"the body is more than {self._max} bytes, which is the most that is read")
        if self._codecs and self._out > RATIO_FREE and self._out > self._ratio * self._in:
            raise TooLarge(f"the body decodes to more than {self._ratio} times its size")


def _through(codec: _Codec, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if piece:
            yield from codec.decode(piece)


def _codec(name: str) -> _Codec:
    make = _CODECS.get(name)
    if make is None:
        raise UnknownCoding("a body of this content coding cannot be looked at; send gzip, deflate, br, zstd or none")
    return make()


class _Zlib:
    """gzip (RFC 1952, any number of members) and deflate (RFC 1950)."""

    def __init__(self, wbits: int, *, members: bool) -> None:
        self._wbits = wbits
        self._members = members
        self._inflate = zlib.decompressobj(wbits)

    @property
    def complete(self) -> bool:
        return self._inflate.eof

    def decode(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _GZIP_SLICE):
            yield from self._decode(data[at : at + _GZIP_SLICE])

    def _decode(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._inflate.eof:
                if not data:
                    return
                if not self._members:
                    raise _garbage()
                self._inflate = zlib.decompressobj(self._wbits)
            try:
                piece = self._inflate.decompress(data, PIECE)
            except zlib.error:
                piece = None
            if piece is None:
                raise _broken()
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            yield piece
            if not data and len(piece) < PIECE and not self._inflate.eof:
                return


class _Brotli:
    """br (RFC 7932)."""

    def __init__(self) -> None:
        try:
            import brotli as module
        except ImportError:
            module = None
        if module is None:
            raise _missing("br", "the extra aiguard[web]")
        if not hasattr(module.Decompressor, "can_accept_more_data"):
            raise _missing("br", "a release of brotli from 1.2 on, which can be told to stop")
        self._error: type[Exception] = module.error
        self._brotli: Any = module.Decompressor()

    @property
    def complete(self) -> bool:
        return bool(self._brotli.is_finished())

    def decode(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._brotli.is_finished():
                if data:
                    raise _garbage()
                return
            try:
                piece: bytes | None = self._brotli.process(data, output_buffer_limit=PIECE)
            except self._error:
                piece = None
            if piece is None:
                raise _broken()
            data = b""
            yield piece
            if not piece and self._brotli.can_accept_more_data():
                return


class _Zstd:
    """zstd (RFC 8878, any number of frames)."""

    def __init__(self) -> None:
        try:
            import zstandard as module
        except ImportError:
            module = None  # type: ignore[assignment]
        if module is None:
            raise _missing("zstd", "the extra aiguard[web]")
        self._error: type[Exception] = module.ZstdError
        self._new: Callable[[], Any] = module.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj
        self._zstd = self._new()

    @property
    def complete(self) -> bool:
        return bool(self._zstd.eof)

    def decode(self, data: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(data):
            if self._zstd.eof:
                self._zstd = self._new()
            given = data[at : at + _ZSTD_SLICE]
            try:
                piece: bytes | None = self._zstd.decompress(given)
            except self._error:
                piece = None
            if piece is None:
                raise _broken()
            at += len(given) - len(self._zstd.unused_data)
            yield piece


def _missing(coding: str, what: str) -> UnknownCoding:
    return UnknownCoding(f"a body coded with {coding} cannot be looked at here; that needs {what}")


def _broken() -> MalformedInput:
    return MalformedInput("the body is not what its content coding says")


def _garbage() -> MalformedInput:
    return MalformedInput("the body goes on behind the end of its content coding")


_CODECS: Final[dict[str, Callable[[], _Codec]]] = {
    "gzip": lambda: _Zlib(31, members=True),
    "x-gzip": lambda: _Zlib(31, members=True),
    "deflate": lambda: _Zlib(15, members=False),
    "br": _Brotli,
    "zstd": _Zstd,
}
