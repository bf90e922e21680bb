"""What one connection has: its state, its accesses, and the middleware that begins and ends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import HTTPConnection

from aiguard.errors import ConfigurationError
from aiguard.identity import Access, hold
from aiguard.identity.access import resume
from aiguard.starlette.routes import is_guarded

if TYPE_CHECKING:
    from aiguard.starlette.state import State

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOO_LARGE: Final = "aiguard.too_large"
"""Set in the scope of a request whose body is larger than is read here."""


class Connection:
    """One request or socket under guard."""

    def __init__(self, scope: Scope, state: State) -> None:
        self.scope = scope
        self.state = state
        self.grants: list[Access] = []

    @property
    def http(self) -> HTTPConnection:
        """The connection, as Starlette shows it."""
        return HTTPConnection(self.scope)

    @property
    def route(self) -> str:
        """The whole template of the route that was matched, or ``""``."""
        matched = getattr(self.scope.get("route"), "path", "")
        return self.state.template(self.scope.get("endpoint"), matched if isinstance(matched, str) else "")

    def end(self) -> None:
        """End all accesses; twice does nothing."""
        for access in self.grants:
            access.end()


_connection: ContextVar[Connection | None] = ContextVar("aiguard_connection", default=None)


def current_connection() -> Connection:
    """The connection that is being served; :class:`~aiguard.errors.ConfigurationError` where none is."""
    connection = _connection.get()
    if connection is None:
        raise ConfigurationError("this endpoint is not served by an application with an AIGuard; call AIGuard(app)")
    return connection


class Lease:
    """The middleware: identity begins with nobody, and ends with the last byte of the response or with the socket.

    Pure ASGI. ``state`` is the application's.
    """

    def __init__(self, app: App, state: State) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        self.state.check_routes()
        connection = Connection(scope, self.state)

        async def sending(message: Message) -> None:
            await send(message)
            over = message["type"] == "http.response.body" and not message.get("more_body", False)
            if over or message["type"] == "websocket.close":
                connection.end()

        outer = _connection.set(connection)
        before = resume(None)
        try:
            await self.app(scope, _bounded(connection, receive), sending)
        finally:
            connection.end()
            resume(before)
            _connection.set(outer.old_value if isinstance(outer.old_value, Connection) else None)


def _bounded(connection: Connection, receive: Receive) -> Receive:
    """``receive`` that ends a guarded request whose body is larger than is read."""
    limit, read = connection.state.guard.settings.max_body_bytes, 0

    async def bounded() -> Message:
        nonlocal read
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            if read > limit and (connection.grants or is_guarded(connection.scope)):
                raise await asyncio.to_thread(connection.state.too_large, connection)
        return message

    return bounded


class SteppingWithin:
    """Iterate over ``chunks`` with ``access`` current during each step, as generators of a response need it."""

    def __init__(self, access: Access, chunks: AsyncIterator[Any]) -> None:
        self._access = access
        self._inner = access
        self._chunks = chunks

    def __aiter__(self) -> SteppingWithin:
        return self

    async def __anext__(self) -> Any:
        lease = self._access.lease
        with hold(self._inner):
            lease.stepping = True
            try:
                chunk = await anext(self._chunks)
                inner = resume(self._inner)
                if inner is not None and inner.lease is lease:
                    self._inner = inner
                return chunk
            finally:
                lease.stepping = False

    async def aclose(self) -> None:
        """Close what is iterated, with the access still current."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            with hold(self._inner):
                await close()
