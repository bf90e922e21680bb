"""One HTTP request through the middleware, in both directions."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Final, NoReturn

from aiguard.asgi.messages import Application, Message, Receive, Scope, Send, answer, commit, looked_at, on_record
from aiguard.errors import Blocked, MalformedInput
from aiguard.framing.jsontree import TooLarge
from aiguard.guard import Guard
from aiguard.middleware.gates import LIVE, Gate, held_whole, read_ahead, scrubbed_query
from aiguard.middleware.heads import (
    BodyHead,
    Header,
    ResponseHead,
    asking_plainly,
    body_head,
    response_head,
    scrubbed_request,
)
from aiguard.middleware.records import (
    Unheard,
    What,
    bare,
    broke_down,
    broken,
    decided,
    refused,
    scrubbed,
    too_slow,
    unreadable,
)
from aiguard.middleware.table import Plan
from aiguard.policy.routes import RouteRule

_KEPT_EXTENSIONS: Final = frozenset({"tls"})
"""What an application may go on using; the others send a body past the middleware, or headers."""


class _Gone(Exception):
    """The client hung up before its request was there."""


class HttpExchange:
    """Runs ``app`` for one request that a rule is for."""

    def __init__(self, guard: Guard, plan: Plan, app: Application, scope: Scope, receive: Receive, send: Send) -> None:
        self._guard = guard
        self._plan = plan
        self._app = app
        self._scope = dict(scope)
        self._receive = receive
        self._send = send
        self._method: str = scope.get("method", "GET")
        self._route = plan.rule.path
        self._body: bytes | None = None
        self._incoming: Gate | None = None
        self._deadline = 0.0
        self._head: ResponseHead | None = None
        self._outgoing: Gate | None = None
        self._started = False
        self._done = False
        self._refusal: Blocked | None = None
        self._answered = False
        self._gone = False

    async def run(self) -> None:
        """Serve the request; a refusal is answered, or ends a response that has begun by being raised.

        An exception of the application is raised again, but answered first where nothing was: what stands around the
        middleware may know it, and what that would say of it nobody would look at.
        """
        refusal: Blocked | None = None
        try:
            receive = await self._ahead()
        except _Gone:
            return
        except Blocked as blocked:
            refusal = bare(blocked)
        if refusal is not None:
            await self._refuse(refusal, "request")
            return
        failure: BaseException | None = None
        try:
            await self._app(self._scope, self._hearing(receive), self._sending if self._watches else self._send)
        except BaseException as error:  # noqa: BLE001 - raised again below, or it follows from our refusal
            failure = error
        self._abandon(failure)
        if isinstance(failure, Exception) and self._refusal is None and self._plan.response is not None:
            await self._cover(failure)
        elif failure is not None and not (self._refusal is not None and isinstance(failure, Exception)):
            raise failure
        if self._refusal is not None and not self._answered:
            raise bare(self._refusal)

    def _hearing(self, receive: Receive) -> Receive:
        """``receive``, and a note of the client's going away."""

        async def hearing() -> Message:
            message = await receive()
            self._gone = self._gone or message["type"] == "http.disconnect"
            return message

        return hearing

    async def _cover(self, failure: Exception) -> NoReturn:
        """Answer an exception of the application with its decision's id and no word of it, and raise it again."""
        if not self._started and not self._gone:
            refusal = broke_down(self._guard)
            with contextlib.suppress(AttributeError, TypeError):
                failure.aiguard_decision_id = refusal.decision_id  # type: ignore[attr-defined]
            with contextlib.suppress(OSError):  # the client may have hung up meanwhile
                await self._refuse(refusal, "response")
        raise failure

    # --- the request --------------------------------------------------------------------------------------------

    async def _ahead(self) -> Receive:
        """Look at what comes before the application may run, and give what it reads the body with."""
        headers = [(bytes(name), bytes(value)) for name, value in self._scope.get("headers", ())]
        receive = self._receive
        if (rule := self._plan.request) is not None:
            counts: Counter[tuple[str, str]] = Counter()
            with decided(self._guard, "request"):
                head = body_head(headers)
            if rule.query == "scan" and (query := self._scope.get("query_string")):
                self._scope["query_string"], found = scrubbed_query(self._guard, rule, query)
                counts.update(found)
            receive, headers = await self._ahead_of_body(rule, head, headers, counts)
            if counts:
                await commit(self._guard, "request", scrubbed(self._guard, "request", self._route, counts))
        if self._plan.response is not None:
            headers = asking_plainly(headers)
            extensions = self._scope.get("extensions") or {}
            self._scope["extensions"] = {name: extensions[name] for name in _KEPT_EXTENSIONS & extensions.keys()}
        self._scope["headers"] = headers
        return receive

    async def _ahead_of_body(
        self, rule: RouteRule, head: BodyHead, headers: list[Header], counts: Counter[tuple[str, str]]
    ) -> tuple[Receive, list[Header]]:
        self._deadline = asyncio.get_running_loop().time() + rule.max_body_seconds
        gate = Gate(self._guard, rule, "request", head, whole=read_ahead(head))
        if not gate.whole:
            self._incoming = gate
            return self._arriving, scrubbed_request(headers, None)
        limit = rule.max_body_bytes or self._guard.settings.max_body_bytes
        with decided(self._guard, "request"):
            if head.length is not None and head.length > limit:
                raise TooLarge(f"the body is {head.length} bytes; at most {limit} are read")
        size = await self._read(rule, gate, limit)
        with decided(self._guard, "request"):
            if head.length is not None and size != head.length:
                raise MalformedInput("the body is not as long as its Content-Length says")
        self._body = await looked_at(gate.finish, size=gate.held)
        counts.update(gate.counts)
        had = head.length is not None or head.chunked or size > 0
        return self._once, scrubbed_request(headers, len(self._body)) if had else headers

    async def _read(self, rule: RouteRule, gate: Gate, limit: int) -> int:
        """Read the whole body into the gate; its size in bytes, as it came."""
        size, more = 0, True
        while more:
            message = await self._in_time(rule)
            if message["type"] != "http.request":
                raise _Gone
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(chunk)
            with decided(self._guard, "request"):
                if size > limit:
                    raise TooLarge(f"the body is more than {limit} bytes, which is the most that is read")
            gate.feed(chunk)
        return size

    async def _in_time(self, rule: RouteRule) -> Message:
        late = False
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError:
            late = True
        assert late
        raise too_slow(self._guard, rule.max_body_seconds)

    async def _once(self) -> Message:
        """``receive`` of an application whose request was read for it."""
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        return await self._receive()

    async def _arriving(self) -> Message:
        """``receive`` of an application whose request goes on to it while it arrives."""
        gate, rule = self._incoming, self._plan.request
        if gate is None or rule is None:
            return {"type": "http.disconnect"} if self._refusal is not None else await self._receive()
        refusal: Blocked | None = None
        try:
            while True:
                message = await self._in_time(rule)
                if message["type"] != "http.request":
                    return message
                chunk: bytes = message.get("body", b"")
                out = await looked_at(gate.feed, chunk, size=len(chunk))
                if not message.get("more_body", False):
                    out += gate.finish()
                    self._incoming = None
                    if gate.counts:
                        await commit(self._guard, "request", scrubbed(self._guard, "request", self._route, gate.counts))
                    return {"type": "http.request", "body": out, "more_body": False}
                if out:
                    return {"type": "http.request", "body": out, "more_body": True}
        except Blocked as blocked:
            refusal = bare(blocked)
        self._incoming = None
        await self._refuse(refusal, "request", gate)
        return {"type": "http.disconnect"}

    # --- the response -------------------------------------------------------------------------------------------

    @property
    def _watches(self) -> bool:
        return self._plan.response is not None or self._incoming is not None

    async def _sending(self, message: Message) -> None:
        """``send`` of the application."""
        if self._refusal is not None:
            raise Unheard(f"the response is not sent any more: decision {self._refusal.decision_id}")
        rule = self._plan.response
        if rule is None:
            self._started = self._started or message["type"] == "http.response.start"
            await self._send(message)
            return
        refusal: Blocked | None = None
        try:
            await self._sent(rule, message)
        except Blocked as blocked:
            refusal = bare(blocked)
        if refusal is not None:
            gate, self._outgoing = self._outgoing, None
            await self._refuse(refusal, "response", gate)
            raise Unheard(f"the response is not sent any more: decision {refusal.decision_id}")

    async def _sent(self, rule: RouteRule, message: Message) -> None:
        match message["type"]:
            case "http.response.start" if self._head is None:
                await self._begin(rule, message)
            case "http.response.body" if self._head is not None and not self._done:
                await self._go_on(self._head, message)
            case "http.response.trailers":
                return  # what they say of the body is no longer true, and what else they say was not looked at
            case _:
                raise unreadable(self._guard, "response", "the application sent a message that is not expected here")

    async def _begin(self, rule: RouteRule, message: Message) -> None:
        with decided(self._guard, "response"):
            headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
            self._head = head = response_head(message["status"], headers, method=self._method)
            whole = held_whole(head.body, self._guard.settings.max_response_bytes)
            self._outgoing = Gate(self._guard, rule, "response", head.body, whole=whole)
        if head.bodiless or (not self._outgoing.whole and head.body.essence in LIVE):
            await self._start(head.headers(length=None))

    async def _go_on(self, head: ResponseHead, message: Message) -> None:
        gate = self._outgoing
        assert gate is not None
        chunk: bytes = b"" if head.bodiless else bytes(message.get("body", b""))
        more: bool = message.get("more_body", False)
        if not more and not self._started:
            gate.hold()  # the first piece is the last
        out = await looked_at(gate.feed, chunk, size=0 if gate.whole else len(chunk))
        if not more:
            out += await looked_at(gate.finish, size=gate.held)
            if gate.counts:
                await commit(self._guard, "response", scrubbed(self._guard, "response", self._route, gate.counts))
            self._done = True
        elif not out:
            return  # nothing is settled yet; as long as nothing went out, a refusal can be an answer
        if not self._started:
            length = len(out) if gate.whole else None
            await self._start(head.headers(length=length, same=gate.same))
        await self._send({"type": "http.response.body", "body": out, "more_body": more})

    async def _start(self, headers: list[Header]) -> None:
        assert self._head is not None
        self._started = True
        await self._send({"type": "http.response.start", "status": self._head.status, "headers": headers})

    # --- refusals -----------------------------------------------------------------------------------------------

    async def _refuse(self, refusal: Blocked, what: What, gate: Gate | None = None) -> None:
        """Put a refusal on record, and answer it where no response has begun."""
        self._refusal = refusal
        counts = gate.counts if gate is not None else None
        record = refused(self._guard, what, self._route, refusal, counts)
        self._refusal = refusal = bare(await on_record(self._guard, what, refusal, record))
        if not self._started:
            self._started = self._answered = True
            close = what == "request" and self._scope.get("http_version", "1.1").startswith("1")
            await answer(self._send, refusal, method=self._method, close=close)

    def _abandon(self, failure: BaseException | None) -> None:
        """Forget what is held; that a response did not come to its end, and what was scrubbed of it, is put on record."""
        gate, self._outgoing, self._incoming, self._body = self._outgoing, None, None, None
        if gate is None or self._done or self._refusal is not None:
            return
        recorder = self._guard.hands.recorder
        if self._started and isinstance(failure, Exception):
            recorder.commit(broken(self._guard, self._route, failure, gate.counts))
        elif gate.counts:
            recorder.commit([scrubbed(self._guard, "response", self._route, gate.counts)])
