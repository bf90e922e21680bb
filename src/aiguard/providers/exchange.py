"""What travels between a transport and the handler that decides about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from aiguard.errors import Blocked

Headers = tuple[tuple[str, str], ...]
"""Lower-case names and values, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawRequest:
    """One HTTP request, as it would leave.

    ``path`` is relative to the provider's base URL (``/chat/completions``); the transport sends to its own base URL and that
    path, whatever ``url`` says. ``headers`` are those that may leave, without the credential, which the transport adds.
    """

    provider: str
    method: str
    url: str
    path: str
    headers: Headers = ()
    content: bytes = field(default=b"", repr=False)
    stream: bool = False
    """Whether the answer is asked for as a stream: ``send`` may then give a :class:`RawStream`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawResponse:
    """One HTTP answer, read in full and decoded; ``headers`` are those that may be seen."""

    status: int
    headers: Headers = ()
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class RawStream:
    """One HTTP answer that is still arriving: a success of type ``text/event-stream``.

    ``chunks`` gives what has arrived, and raises what a ``send`` raises; it reads nothing ahead. ``close`` lets the connection
    go; both are async where ``send`` is.
    """

    status: int
    headers: Headers = ()
    chunks: Any = field(repr=False)
    close: Callable[[], Any] = field(repr=False)


Send = Callable[[RawRequest], "RawResponse | RawStream"]
AsyncSend = Callable[[RawRequest], Awaitable["RawResponse | RawStream"]]


class Handler(Protocol):
    """Decides about one exchange: reads the request, calls ``send`` with what may leave, and returns what may be delivered.

    Called once for every attempt, so a retry of the SDK is a new exchange. ``send`` raises the HTTP library's own
    exceptions (refused connection, timeout), which should be re-raised as they are, so that the SDK can retry, and
    :class:`~aiguard.providers.errors.AnswerRefused` for answers that cannot be used. ``send`` checks its argument again.
    """

    def handle(self, request: RawRequest, send: Send) -> RawResponse | RawStream:
        """The sync path."""
        ...

    async def ahandle(self, request: RawRequest, send: AsyncSend) -> RawResponse | RawStream:
        """The async path."""
        ...


@runtime_checkable
class RefusalListener(Protocol):
    """A handler that also wants to hear what the transport refused before calling it, to audit it.

    Called before the refusal is raised. Must not block, since the async transport calls it too.
    """

    def refused(self, refusal: Blocked, *, provider: str) -> None:
        """``refusal`` is about to be raised; nothing was sent."""
        ...
