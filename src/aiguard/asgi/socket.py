"""One WebSocket through the middleware: refused, or its text frames scrubbed in both directions, each by itself."""

from __future__ import annotations

from typing import Final

from aiguard.asgi.messages import Application, Message, Receive, Scope, Send, answer, commit, looked_at, on_record
from aiguard.errors import Blocked
from aiguard.guard import Guard
from aiguard.middleware.frames import scrubbed_frame
from aiguard.middleware.gates import scrubbed_query
from aiguard.middleware.heads import check_headers
from aiguard.middleware.records import Unheard, What, bare, decided, no_websocket, refused, scrubbed, unreadable
from aiguard.middleware.table import Plan
from aiguard.policy.routes import RouteRule

POLICY: Final = 1008
"""RFC 6455, section 7.4.1: a message that violates a policy."""
NOT_TEXT: Final = 1003
"""The same: a kind of data that is not accepted."""
_ANSWERS: Final = "websocket.http.response"
"""The extension by which a handshake is refused with a response of its own."""


class SocketExchange:
    """Runs ``app`` for one WebSocket that a rule is for."""

    def __init__(self, guard: Guard, plan: Plan, app: Application, scope: Scope, receive: Receive, send: Send) -> None:
        self._guard = guard
        self._plan = plan
        self._app = app
        self._scope = dict(scope)
        self._receive = receive
        self._send = send
        self._route = plan.rule.path
        self._accepted = False
        self._closed = False
        self._answers = _ANSWERS in (scope.get("extensions") or {})
        self._refusal: Blocked | None = None
        self._code = POLICY

    async def run(self) -> None:
        """Serve the connection; a refusal closes it, or is the answer to its handshake."""
        refusal: Blocked | None = None
        try:
            await self._ahead()
        except Blocked as blocked:
            refusal = bare(blocked)
        if refusal is not None:
            message = await self._receive()
            if message["type"] == "websocket.connect":
                await self._refuse(refusal, "request", POLICY)
            return
        failure: BaseException | None = None
        try:
            await self._app(self._scope, self._receiving, self._sending)
        except BaseException as error:  # noqa: BLE001 - raised again below, or it follows from our refusal
            failure = error
        if failure is not None and not (self._refusal is not None and isinstance(failure, Exception)):
            raise failure

    async def _ahead(self) -> None:
        rules = [rule for rule in (self._plan.request, self._plan.response) if rule is not None]
        if any(rule.websocket != "scan" for rule in rules):
            raise no_websocket(self._guard)
        extensions = self._scope.get("extensions") or {}
        self._scope["extensions"] = {name: value for name, value in extensions.items() if name == "tls"}
        rule, query = self._plan.request, self._scope.get("query_string")
        if rule is not None and rule.query == "scan" and query:
            self._scope["query_string"], counts = scrubbed_query(self._guard, rule, query)
            if counts:
                await commit(self._guard, "request", scrubbed(self._guard, "request", self._route, counts))

    async def _receiving(self) -> Message:
        """``receive`` of the application."""
        if self._refusal is not None:
            return self._over()
        message = await self._receive()
        rule = self._plan.request
        if rule is None or self._refusal is not None:
            return message if self._refusal is None else self._over()
        refusal: Blocked | None = None
        code = POLICY
        try:
            if message["type"] == "websocket.disconnect":
                return {**message, "reason": await self._reason(rule, "request", message.get("reason"))}
            if message["type"] != "websocket.receive":
                return message
            text = message.get("text")
            if text is None:
                code = NOT_TEXT
                raise unreadable(self._guard, "request", "a binary frame cannot be looked at; send text", status=415)
            return {"type": "websocket.receive", "text": await self._frame(rule, "request", text)}
        except Blocked as blocked:
            refusal = bare(blocked)
        await self._refuse(refusal, "request", code)
        return self._over()

    async def _sending(self, message: Message) -> None:
        """``send`` of the application."""
        if self._refusal is not None:
            raise Unheard(f"this WebSocket is closed: decision {self._refusal.decision_id}")
        refusal: Blocked | None = None
        try:
            message = await self._sent(message)
        except Blocked as blocked:
            refusal = bare(blocked)
        if refusal is not None:
            await self._refuse(refusal, "response", POLICY)
            raise Unheard(f"this WebSocket is closed: decision {refusal.decision_id}")
        self._accepted = self._accepted or message["type"] == "websocket.accept"
        self._closed = self._closed or message["type"] == "websocket.close"
        await self._send(message)

    async def _sent(self, message: Message) -> Message:
        rule = self._plan.response
        if rule is None:
            return message
        match message["type"]:
            case "websocket.accept":
                with decided(self._guard, "response"):
                    check_headers([(bytes(name), bytes(value)) for name, value in message.get("headers") or ()])
                return message
            case "websocket.close":
                return {**message, "reason": await self._reason(rule, "response", message.get("reason"))}
            case "websocket.send" if message.get("text") is not None:
                return {"type": "websocket.send", "text": await self._frame(rule, "response", message["text"])}
            case "websocket.send":
                raise unreadable(self._guard, "response", "a binary frame cannot be looked at")
            case _:
                raise unreadable(self._guard, "response", "the application sent a message that is not expected here")

    async def _frame(self, rule: RouteRule, what: What, text: str) -> str:
        settings = self._guard.settings
        limit = settings.max_response_bytes
        if what == "request":
            limit = rule.max_body_bytes or settings.max_body_bytes
        out, counts = await looked_at(scrubbed_frame, self._guard, rule, what, text, limit, size=len(text))
        if counts:
            await commit(self._guard, what, scrubbed(self._guard, what, self._route, counts))
        return out

    async def _reason(self, rule: RouteRule, what: What, reason: str | None) -> str:
        """A close frame's text; dropped where anything is found in it, since it has room for little."""
        text = reason or ""
        return text if not text or await self._frame(rule, what, text) == text else ""

    async def _refuse(self, refusal: Blocked, what: What, code: int) -> None:
        """Put a refusal on record, and close; before the handshake is over, answer it."""
        self._refusal, self._code = refusal, code
        record = refused(self._guard, what, self._route, refusal)
        self._refusal = refusal = bare(await on_record(self._guard, what, refusal, record))
        if self._closed:
            return
        if not self._accepted and self._answers:
            await answer(self._send, refusal, prefix="websocket.")
            return
        await self._send({"type": "websocket.close", "code": code, "reason": f"refused: {refusal.decision_id}"})

    def _over(self) -> Message:
        return {"type": "websocket.disconnect", "code": self._code, "reason": ""}
