"""The application that ``benchmarks/sse.py`` serves: many guarded event streams at once, all open before any goes on."""

from __future__ import annotations

import asyncio
import json
import resource
from typing import Any

from aiguard.asgi import AIGuardMiddleware
from benchmarks.sse_text import pieces_of


class Together:
    """Lets ``count`` streams go on once all of them are there."""

    def __init__(self) -> None:
        self._there = 0
        self._open = asyncio.Event()

    async def wait(self, count: int) -> None:
        """Until they are."""
        self._there += 1
        waiting = self._open
        if self._there >= count:
            self._there, self._open = 0, asyncio.Event()
            waiting.set()
        await waiting.wait()


TOGETHER = Together()


async def _app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    number, count = (int(part) for part in scope["query_string"].decode().split("-"))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    pieces = pieces_of(number)
    for at, piece in enumerate(pieces):
        if at == len(pieces) // 2:
            await TOGETHER.wait(count)
        data = {
            "id": f"c-{number}",
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {"content": piece}}],
        }
        await send({"type": "http.response.body", "body": f"data: {json.dumps(data)}\n\n".encode(), "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": True})
    await send({"type": "http.response.body", "body": b""})


_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))
asgi = AIGuardMiddleware(_app, rules=[{"path": "/live", "direction": "response"}])
