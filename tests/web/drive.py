"""Raw ASGI and WSGI, spoken by hand: what servers send and what they would put on the wire."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.guards import MemoryRecorder, make_guard

from aiguard.asgi import AIGuardMiddleware
from aiguard.guard import Guard

MAIL = "jane.doe@example.org"
CARD = "4111 1111 1111 1111"
GONE = "[REDACTED_EMAIL]"
RULE: dict[str, Any] = {"path": "/guarded/*", "redact": {"CREDIT_CARD": "mask", "US_SSN": "block"}}


def guarded(app: Any, *rules: dict[str, Any], **options: Any) -> tuple[AIGuardMiddleware, MemoryRecorder]:
    guard, recorder = make_guard(**options)
    return AIGuardMiddleware(app, guard=guard, rules=rules or (RULE,)), recorder


def guard_of(**options: Any) -> tuple[Guard, MemoryRecorder]:
    return make_guard(**options)


@dataclass
class Answer:
    """What a client would have got. ``whole`` is False where the response did not come to its end."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    whole: bool = False
    error: BaseException | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def http_scope(
    path: str = "/guarded/x", method: str = "POST", headers: Iterable[tuple[str, str]] = (), **more: Any
) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "extensions": {},
        "state": {},
        **more,
    }


async def acall(
    app: Any,
    chunks: Sequence[bytes] = (b"",),
    *,
    scope: dict[str, Any] | None = None,
    content_type: str | None = "application/json",
    length: bool = True,
    hang: bool = False,
    **more: Any,
) -> Answer:
    """One request. ``hang``: the client sends no more after the chunks and does not hang up either."""
    headers = list(more.pop("headers", ()))
    if content_type is not None:
        headers.append(("content-type", content_type))
    if length:
        headers.append(("content-length", str(sum(map(len, chunks)))))
    scope = scope or http_scope(headers=headers, **more)
    waiting = list(chunks)
    answer = Answer()
    over = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if waiting:
            chunk = waiting.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(waiting) or hang}
        if hang:
            await asyncio.Event().wait()
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        answer.messages.append(message)
        if message["type"] == "http.response.start":
            assert not answer.status, "a response begins once"
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            assert answer.status
            assert not answer.whole
            answer.chunks.append(message.get("body", b""))
            answer.body += message.get("body", b"")
            if not message.get("more_body", False):
                answer.whole = True
                over.set()
        await asyncio.sleep(0)

    try:
        await app(scope, receive, send)
    except Exception as error:  # noqa: BLE001 - what a server would see
        answer.error = error
    if answer.whole and "content-length" in answer.headers and scope["method"] != "HEAD":
        assert int(answer.headers["content-length"]) == len(answer.body)
    return answer


def call(app: Any, chunks: Sequence[bytes] = (b"",), **options: Any) -> Answer:
    return asyncio.run(acall(app, chunks, **options))


def cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(each % (len(data) + 1) for each in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)] or [b""]


async def whole_body(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request", message["type"]
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def answering(
    body: bytes | Sequence[bytes], content_type: str | None = "application/json", status: int = 200, headers: Any = ()
) -> Any:
    """An application that gives this answer, in these chunks."""
    chunks = [body] if isinstance(body, bytes) else list(body)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        lines = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        if content_type is not None:
            lines.append((b"content-type", content_type.encode()))
        await send({"type": "http.response.start", "status": status, "headers": lines})
        for number, chunk in enumerate(chunks):
            await send({"type": "http.response.body", "body": chunk, "more_body": number < len(chunks) - 1})

    return app


class Echo:
    """Answers with what it received, and remembers its scope and the body."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}
        self.body = b""
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        self.calls += 1
        self.body = await whole_body(receive)
        kind = dict(scope["headers"]).get(b"content-type", b"text/plain")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.scope["headers"]}
