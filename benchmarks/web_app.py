"""The application that ``benchmarks/web.py`` serves: ``wsgi`` and ``asgi``, guarded where ``BENCH_GUARDED`` is set."""

from __future__ import annotations

import json
import os
from typing import Any

RULES = [{"path": "/guarded/*"}]
GUARDED = os.environ.get("BENCH_GUARDED") == "1"


def _answer(path: str, body: bytes) -> bytes:
    if path.startswith("/open"):
        return b'{"hello":"world"}'
    return json.dumps({"received": json.loads(body)}).encode()


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    out = _answer(scope["path"], body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(out))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": out})


def _wsgi(environ: Any, start_response: Any) -> list[bytes]:
    out = _answer(environ["PATH_INFO"], environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(out)))])
    return [out]


asgi: Any = _asgi
wsgi: Any = _wsgi
if GUARDED:
    from aiguard.asgi import AIGuardMiddleware as AsgiMiddleware
    from aiguard.wsgi import AIGuardMiddleware as WsgiMiddleware

    asgi = AsgiMiddleware(_asgi, rules=RULES)
    wsgi = WsgiMiddleware(_wsgi, guard=asgi.guard, rules=RULES)
