"""``AIGuardMiddleware``: finds out whether a rule is for a request, and leaves alone what none is for."""

from __future__ import annotations

import asyncio

from aiguard.asgi.http import HttpExchange
from aiguard.asgi.messages import Application, Message, Receive, Scope, Send
from aiguard.asgi.socket import SocketExchange
from aiguard.middleware.mount import Mount


class AIGuardMiddleware(Mount[Application]):
    """Guards the routes of an ASGI application that rules name; the others are passed on untouched.

    Args:
        app: any ASGI 3 application.
        guard: the guard to use; by default one is opened, and closed when the application has shut down.
        rules: route rules beside those of the policy, which come first: :class:`RouteRule`, or tables with its keys.
        options: what :func:`aiguard.runtime.open_guard` takes (``settings``, ``policy``, ``engine``, ``detector`` …).

    Raises:
        ConfigurationError: there is no rule, a rule cannot work, or the guard cannot start.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "http" or kind == "websocket":  # noqa: PLR1714 - the first is nearly always true
            raw = scope.get("raw_path")
            rules = self._at(scope["path"], raw.decode("latin-1") if raw else "", scope.get("root_path", ""))
            plan = self.table.plan(rules, scope.get("method", "GET"), scope["headers"]) if rules else None
            if plan is None:
                await self.app(scope, receive, send)
            elif kind == "http":
                await HttpExchange(self.guard, plan, self.app, scope, receive, send).run()
            else:
                await SocketExchange(self.guard, plan, self.app, scope, receive, send).run()
        elif kind == "lifespan" and self._own:
            await self._live(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await asyncio.to_thread(self.close)
            await send(message)

        await self.app(scope, receive, sending)
