"""One WSGI request through the middleware: what comes before the application runs, and what is said when it may not."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from aiguard.drivers import settle
from aiguard.errors import Blocked, MalformedInput, StoreError
from aiguard.framing.jsontree import TooLarge
from aiguard.guard import Guard
from aiguard.middleware.gates import Gate, read_ahead, scrubbed_query
from aiguard.middleware.heads import BodyHead, Header, asking_plainly, body_head, scrubbed_request
from aiguard.middleware.records import (
    Unheard,
    What,
    bare,
    decided,
    no_websocket,
    refused,
    scrubbed,
    too_slow,
    unreadable,
    unrecorded,
)
from aiguard.middleware.table import Plan
from aiguard.policy.routes import RouteRule
from aiguard.problems import Problem, problem
from aiguard.types import AuditRecord
from aiguard.wsgi.reading import SOCKETS, Arriving, Environ, Limit, connection_of, pieces
from aiguard.wsgi.response import GuardedResponse

StartResponse = Callable[..., Any]
Application = Callable[[Any, Any], Iterable[bytes]]

_BARE_NAMES = {"CONTENT_TYPE": b"content-type", "CONTENT_LENGTH": b"content-length"}


class WsgiExchange:
    """Runs ``app`` for one request that a rule is for."""

    def __init__(
        self, guard: Guard, plan: Plan, app: Application, environ: Environ, start_response: StartResponse
    ) -> None:
        self.guard = guard
        self.plan = plan
        self.start_response = start_response
        self.method: str = environ.get("REQUEST_METHOD", "GET")
        self.refusal: Blocked | None = None
        self._app = app
        self._environ = environ
        self._incoming: Gate | None = None

    def run(self) -> Iterable[bytes]:
        """Serve the request; a refusal is answered, or ends a response that has begun by being raised."""
        refusal: Blocked | None = None
        try:
            self._ahead()
        except Blocked as blocked:
            refusal = bare(blocked)
        if refusal is not None:
            return self.answer(self.refuse(refusal, "request"))
        if self.plan.response is None and self._incoming is None:
            return self._app(self._environ, self.start_response)
        return GuardedResponse(self, self._app, self._environ)

    # --- the request --------------------------------------------------------------------------------------------

    def _ahead(self) -> None:
        """Look at what comes before the application may run, and put it in the place of what was sent."""
        environ = self._environ
        headers = headers_of(environ)
        if "websocket" in environ.get("HTTP_UPGRADE", "").lower():
            raise no_websocket(self.guard)
        if (rule := self.plan.request) is not None:
            counts: Counter[tuple[str, str]] = Counter()
            with decided(self.guard, "request"):
                head = body_head(headers)
            if rule.query == "scan" and (query := environ.get("QUERY_STRING")):
                clean, found = scrubbed_query(self.guard, rule, query.encode("latin-1", "replace"))
                environ["QUERY_STRING"] = clean.decode("ascii")
                for name in ("RAW_URI", "REQUEST_URI"):
                    if name in environ:
                        environ[name] = environ[name].partition("?")[0] + "?" + environ["QUERY_STRING"]
                counts.update(found)
            headers = self._ahead_of_body(rule, head, headers, counts)
            if counts:
                self.commit("request", scrubbed(self.guard, "request", self.plan.rule.path, counts))
        if self.plan.response is not None:
            headers = asking_plainly(headers)
            for name in (*SOCKETS, "wsgi.early_hints"):
                environ.pop(name, None)  # what is sent there goes past the middleware
        _put_headers(environ, headers)

    def _ahead_of_body(
        self, rule: RouteRule, head: BodyHead, headers: list[Header], counts: Counter[tuple[str, str]]
    ) -> list[Header]:
        environ = self._environ
        limit = Limit(ends=time.monotonic() + rule.max_body_seconds)
        if head.length is None and not environ.get("wsgi.input_terminated"):
            if head.chunked:
                raise unreadable(self.guard, "request", "the body has no length; send Content-Length", status=411)
            environ["wsgi.input"] = io.BytesIO()  # PEP 3333: without a length there is no body
            return headers
        gate = Gate(self.guard, rule, "request", head, whole=read_ahead(head))
        if not gate.whole:
            self._incoming = gate
            arriving = Arriving(environ, limit, lambda piece: self._arrived(rule, limit, piece))
            environ["wsgi.input"] = io.BufferedReader(arriving)
            return scrubbed_request(headers, None)
        size = self._read(rule, gate, head, limit)
        content = gate.finish()
        counts.update(gate.counts)
        environ["wsgi.input"] = io.BytesIO(content)
        had = head.length is not None or head.chunked
        return scrubbed_request(headers, len(content)) if had or size else headers

    def _read(self, rule: RouteRule, gate: Gate, head: BodyHead, limit: Limit) -> int:
        """Read the whole body into the gate; its size in bytes, as it came."""
        most = rule.max_body_bytes or self.guard.settings.max_body_bytes
        size = 0
        with decided(self.guard, "request"):
            if head.length is not None and head.length > most:
                raise TooLarge(f"the body is {head.length} bytes; at most {most} are read")
            for piece in pieces(self._environ, head.length, limit, connection_of(self._environ)):
                size += len(piece)
                if size > most:
                    raise TooLarge(f"the body is more than {most} bytes, which is the most that is read")
                gate.feed(piece)
        if limit.over:
            raise too_slow(self.guard, rule.max_body_seconds)
        with decided(self.guard, "request"):
            if head.length is not None and size != head.length:
                raise MalformedInput("the body is not as long as its Content-Length says")
        return size

    def _arrived(self, rule: RouteRule, limit: Limit, piece: bytes) -> bytes:
        """What may go on of a body that arrives; the application's read fails where nothing may."""
        gate, refusal = self._incoming, None
        if gate is None or self.refusal is not None:
            return b""
        try:
            if limit.passed:
                raise too_slow(self.guard, rule.max_body_seconds)
            if piece:
                return gate.feed(piece)
            self._incoming = None
            out = gate.finish()
            if gate.counts:
                self.commit("request", scrubbed(self.guard, "request", self.plan.rule.path, gate.counts))
        except Blocked as blocked:
            refusal = bare(blocked)
        if refusal is None:
            return out
        self._incoming = None
        self.refuse(refusal, "request", gate)
        raise Unheard(f"the request is not read any more: decision {refusal.decision_id}")

    # --- records and refusals -----------------------------------------------------------------------------------

    def commit(self, what: What, record: AuditRecord) -> None:
        """Put a record on the log, and wait for it; :class:`~aiguard.errors.ControlFailed` (not recorded) if that fails."""
        failed = False
        try:
            settle(self.guard.hands.recorder, [record], self.guard.hands.store_timeout)
        except StoreError:
            failed = True
        if failed:
            raise unrecorded(self.guard, what, record.decision_id)

    def refuse(self, refusal: Blocked, what: What, gate: Gate | None = None) -> Blocked:
        """``refusal`` once it is on record; one that cannot be recorded says so instead."""
        self.refusal = refusal
        record = refused(self.guard, what, self.plan.rule.path, refusal, gate.counts if gate is not None else None)
        try:
            self.commit(what, record)
        except Blocked as failed:
            self.refusal = bare(failed)
        return self.refusal

    def answer(self, refusal: Blocked) -> list[bytes]:
        """Answer a refusal as problem+json."""
        document: Problem = problem(refusal)
        headers = [*document.headers, ("Content-Length", str(len(document.body)))]
        self.start_response(f"{document.status} {refusal.title}", headers)
        return [] if self.method == "HEAD" else [document.body]


def headers_of(environ: Environ) -> list[Header]:
    """A request's headers as pairs of bytes, their names in lower case."""
    headers: list[Header] = []
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            headers.append(
                (name[5:].replace("_", "-").lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            )
        elif name in _BARE_NAMES and value:
            headers.append((_BARE_NAMES[name], value.encode("latin-1", "replace")))
    return headers


def _put_headers(environ: Environ, headers: Iterable[Header]) -> None:
    """Make ``headers`` those of the request."""
    for old in [name for name in environ if name.startswith("HTTP_") or name in _BARE_NAMES]:
        del environ[old]
    for name, value in headers:
        key = name.decode("latin-1").replace("-", "_").upper()
        environ[key if key in _BARE_NAMES else f"HTTP_{key}"] = value.decode("latin-1")
