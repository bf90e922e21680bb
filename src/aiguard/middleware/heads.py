"""What the headers of a request or a response say about its body, and what they must say once it was scrubbed.

Headers are pairs of bytes, as ASGI has them. Whatever two readers could take differently (two lengths, two types, a line
ending in a value) is refused. RFC 9110 and 9112.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiguard.bodies import check_sender
from aiguard.errors import MalformedInput

Header = tuple[bytes, bytes]

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"trailer", b"content-encoding", b"expect"})
_VALIDATORS: Final = frozenset(
    {b"etag", b"content-md5", b"digest", b"content-digest", b"repr-digest", b"want-digest", b"accept-ranges"}
)
"""What is said of the very bytes of a body, which are others once it was scrubbed."""
_NEGOTIATION: Final = frozenset({b"accept-encoding", b"range", b"if-range", b"te"})
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSAFE: Final = re.compile(rb"[\x00\r\n]")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
BODILESS: Final = frozenset({204, 205, 304})


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyHead:
    """What headers say about a body: its type, its content codings, and its length where there is one."""

    content_type: str
    codings: str
    length: int | None
    chunked: bool = False

    @property
    def essence(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.content_type.partition(";")[0].strip().lower()


def body_head(headers: Iterable[Header]) -> BodyHead:
    """Read strictly; :class:`~aiguard.errors.MalformedInput` where headers contradict each other."""
    types: list[bytes] = []
    codings: list[bytes] = []
    lengths: set[bytes] = set()
    transfer: list[bytes] = []
    for name, value in headers:
        match name.lower():
            case b"content-type":
                types.append(value)
            case b"content-encoding":
                codings.append(value)
            case b"content-length":
                lengths.update(each.strip() for each in value.split(b","))
            case b"transfer-encoding":
                transfer.append(value.strip().lower())
    if len(types) > 1:
        raise MalformedInput("there are two Content-Type headers")
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        raise MalformedInput("the Content-Length header is no length, or there are several")
    if transfer and (lengths or transfer != [b"chunked"]):
        raise MalformedInput("the Transfer-Encoding header contradicts another, or names what is not read here")
    return BodyHead(
        content_type=types[0].decode("latin-1") if types else "",
        codings=b",".join(codings).decode("latin-1"),
        length=int(next(iter(lengths))) if lengths else None,
        chunked=bool(transfer),
    )


def scrubbed_request(headers: Iterable[Header], length: int | None) -> list[Header]:
    """A request's headers once its body is another one, of ``length`` bytes or (None) as long as it turns out to be."""
    kept = [(name, value) for name, value in headers if name.lower() not in _FRAMING | _VALIDATORS]
    kept.append((b"transfer-encoding", b"chunked") if length is None else (b"content-length", b"%d" % length))
    return kept


def asking_plainly(headers: Iterable[Header]) -> list[Header]:
    """A request's headers that ask the application for a whole body without codings, which can be looked at."""
    kept = [(name, value) for name, value in headers if name.lower() not in _NEGOTIATION]
    return [*kept, (b"accept-encoding", b"identity")]


@dataclass(frozen=True, kw_only=True, slots=True)
class ResponseHead:
    """A response's status and headers, read; ``bodiless`` where no body may follow whatever the application sends."""

    status: int
    body: BodyHead
    bodiless: bool
    original: tuple[Header, ...]

    def headers(self, *, length: int | None, same: bool = False) -> list[Header]:
        """The headers for a body of ``length`` bytes (None: unknown). ``same``: it is byte for byte the application's."""
        drop = _FRAMING if same and not self.bodiless else _FRAMING | _VALIDATORS
        kept = [(name, value) for name, value in self.original if name.lower() not in drop]
        if length is not None and not self.bodiless:
            kept.append((b"content-length", b"%d" % length))
        return kept


def check_headers(headers: Iterable[Header]) -> None:
    """Refuse headers that would begin other headers, or a body: :class:`~aiguard.errors.MalformedInput`."""
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or _UNSAFE.search(value):
            raise MalformedInput("a header of it holds a line ending, or its name is none")


def response_head(status: int, headers: Sequence[Header], *, method: str) -> ResponseHead:
    """Read a response's head; :class:`~aiguard.errors.MalformedInput` for one that cannot be sent or looked at."""
    check_headers(headers)
    check_sender(name.decode("latin-1") for name, _ in headers)
    if status == 206:
        raise MalformedInput("it is part of something (206), and a part cannot be looked at")
    if not 200 <= status <= 599:
        raise MalformedInput("its status is no final one")
    about = [(name, value) for name, value in headers if name.lower() not in (b"content-length", b"transfer-encoding")]
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    known = int(lengths[0]) if len(lengths) == 1 and _LENGTH.fullmatch(lengths[0]) else None
    return ResponseHead(
        status=status,
        body=replace(body_head(about), length=known),
        bodiless=method.upper() == "HEAD" or status in BODILESS,
        original=tuple(headers),
    )
