"""The application that the tests put behind real servers: ``served:asgi`` and ``served:wsgi``."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from aiguard.asgi import AIGuardMiddleware as Asgi
from aiguard.wsgi import AIGuardMiddleware as Wsgi

MAIL = "jane.doe@example.org"
RULES: list[dict[str, Any]] = [
    {"path": "/guarded/socket", "websocket": "scan"},
    {"path": "/guarded/*", "max_body_seconds": 1, "redact": {"US_SSN": "block"}},
]
HELLO = b"data: hello there, friend, \n\ndata: \n\n"
CALLS = os.environ.get("SERVED_CALLS", os.devnull)


def called(path: str) -> None:
    with open(CALLS, "a", encoding="utf-8") as log:  # noqa: PTH123 - one line, appended by several processes
        log.write(path + "\n")


ANSWERS: dict[str, tuple[int, list[tuple[str, str]], list[bytes]]] = {
    "/guarded/header": (200, [("content-type", "text/plain"), ("x-a", "a\r\nset-cookie: b=c")], [b"hello"]),
    "/guarded/image": (200, [("content-type", "image/png")], [b"\x89PNG"]),
    "/guarded/empty": (204, [], [b""]),
    "/guarded/json": (
        200,
        [("content-type", "application/json"), ("etag", "x")],
        [b'{"mail":"jane.', b'doe@example.org"}'],
    ),
    "/guarded/lines": (200, [("content-type", "text/plain")], [f"line {n} by {MAIL}\n".encode() for n in range(5)]),
    "/guarded/blocked": (
        200,
        [("content-type", "text/plain")],
        [b"hello\n" * 50, b"my social security number is 536-90-4399\n", b"never\n"],
    ),
    "/guarded/events/ambiguous": (
        200,
        [("content-type", "text/event-stream")],
        [HELLO, f'data: {{"a": 1, "a": "{MAIL}"}}\n\n'.encode(), b"data: never\n\n"],
    ),
    "/guarded/events/binary": (
        200,
        [("content-type", "text/event-stream")],
        [HELLO, f"data: {MAIL} \xff\n\n".encode("latin-1"), b"data: never\n\n"],
    ),
    "/guarded/events/endless": (
        200,
        [("content-type", "text/event-stream")],
        [HELLO, f"data: {MAIL} ".encode(), b"x" * (1 << 20), b" never\n\n"],
    ),
    "/guarded/events/dies": (
        200,
        [("content-type", "text/event-stream")],
        [HELLO, b'data: {"text": "write to jane.do', b"e@exam"],
    ),
    "/guarded/document/malformed": (
        200,
        [("content-type", "application/json")],
        [b'{"text": "hello there, friend, ', f'and {MAIL}"'.encode(), b', "never" "this"}'],
    ),
    "/guarded/document/dies": (
        200,
        [("content-type", "application/json")],
        [b'{"text": "hello there, friend, ', b"write to jane.doe@exam"],
    ),
    "/open": (200, [("content-type", "text/plain")], [MAIL.encode()]),
}


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    path = scope["path"]
    called(path)
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    kind = dict(scope["headers"]).get(b"content-type", b"text/plain").decode()
    status, headers, chunks = ANSWERS.get(path, (200, [("content-type", kind)], [body]))
    await send(
        {"type": "http.response.start", "status": status, "headers": [(n.encode(), v.encode()) for n, v in headers]}
    )
    for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await asyncio.sleep(0.01)
    if path.endswith("/dies"):
        raise ConnectionError("the model server hung up")
    await send({"type": "http.response.body", "body": b""})


def wsgi_application(environ: Any, start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    called(path)
    body = environ["wsgi.input"].read()
    kind = environ.get("CONTENT_TYPE") or "text/plain"
    status, headers, chunks = ANSWERS.get(path, (200, [("content-type", kind)], [body]))
    start_response(f"{status} Fine", headers)

    def stream() -> Any:
        for chunk in chunks:
            yield chunk
            time.sleep(0.01)
        if path.endswith("/dies"):
            raise ConnectionError("the model server hung up")

    return stream()


asgi = Asgi(application, rules=RULES)
wsgi = Wsgi(wsgi_application, guard=asgi.guard, rules=RULES)
