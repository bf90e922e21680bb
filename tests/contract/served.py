"""One application for every door: ``asgi``, ``wsgi`` (Flask), ``starlette`` and ``fastapi``, each behind the same rules.

``/in`` says what it received, ``/out`` says what it was told to, and the others say it piece by piece.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, cast

import flask
from fastapi import Body, FastAPI
from fastapi.responses import StreamingResponse
from tests.contract.corpus import RULES

from aiguard.asgi import AIGuardMiddleware as AsgiMiddleware
from aiguard.guard import Guard
from aiguard.wsgi import AIGuardMiddleware as WsgiMiddleware

ROUTES: list[dict[str, Any]] = [
    {"path": "/in", "direction": "request", "redact": RULES},
    {"path": "/out", "direction": "response", "redact": RULES},
    {"path": "/live", "direction": "response", "redact": RULES},
    {"path": "/lines", "direction": "response", "redact": RULES},
    {"path": "/text", "direction": "response", "redact": RULES},
    {"path": "/document", "direction": "response", "redact": RULES},
]
TYPES = {
    "/live": "text/event-stream",
    "/lines": "application/x-ndjson",
    "/text": "text/plain; charset=utf-8",
    "/document": "application/json",
}


def frames(path: str, said: Any) -> Iterator[bytes]:
    """The chunks of a streamed answer."""
    if path == "/document":
        yield b'{"delta": "'
    for piece in said:
        if path == "/live":
            yield f"data: {json.dumps({'delta': piece})}\n\n".encode()
        elif path == "/lines":
            yield (json.dumps({"delta": piece}) + "\n").encode()
        elif path == "/document":
            yield json.dumps(piece)[1:-1].encode()
        else:
            yield piece.encode()
    if path == "/live":
        yield b"data: [DONE]\n\n"
    elif path == "/document":
        yield b'"}'


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
    path, said = scope["path"], json.loads(body or b'{"say":""}')["say"]
    kind = TYPES.get(path, "application/json")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind.encode())]})
    chunks = frames(path, said) if path in TYPES else iter([json.dumps({"say": said}).encode()])
    for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def flask_app() -> flask.Flask:
    app = flask.Flask("contract")

    @app.post("/in")
    @app.post("/out")
    def whole() -> Any:
        return flask.jsonify(say=flask.request.get_json()["say"])

    @app.post("/<any(live, lines, text, document):path>")
    def streamed(path: str) -> Any:
        said = flask.request.get_json()["say"]
        return flask.Response(frames(f"/{path}", said), content_type=TYPES[f"/{path}"])

    return app


def starlette_app(**options: Any) -> Any:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def whole(request: Request) -> JSONResponse:
        return JSONResponse({"say": (await request.json())["say"]})

    async def streamed(request: Request) -> StreamingResponse:
        said, path = (await request.json())["say"], request.url.path

        async def chunks() -> AsyncIterator[bytes]:
            for chunk in frames(path, said):
                yield chunk

        return StreamingResponse(chunks(), headers={"content-type": TYPES[path]})

    routes = [Route(path, streamed if path in TYPES else whole, methods=["POST"]) for path in ("/in", "/out", *TYPES)]
    return Starlette(routes=routes, middleware=[Middleware(cast("Any", AsgiMiddleware), rules=ROUTES, **options)])


def fastapi_app(**options: Any) -> Any:
    app = FastAPI()

    @app.post("/in")
    @app.post("/out")
    async def whole(say: Annotated[str, Body(embed=True)]) -> dict[str, str]:
        return {"say": say}

    def streamed(path: str) -> Any:
        def view(say: Annotated[list[str], Body(embed=True)]) -> StreamingResponse:
            return StreamingResponse(frames(path, say), headers={"content-type": TYPES[path]})

        return view

    for path in TYPES:
        app.post(path)(streamed(path))
    app.add_middleware(cast("Any", AsgiMiddleware), rules=ROUTES, **options)
    return app


if os.environ.get("CONTRACT_SERVED"):
    asgi = AsgiMiddleware(_asgi, rules=ROUTES)
    _guard: Guard = asgi.guard
    wsgi = WsgiMiddleware(flask_app().wsgi_app, guard=_guard, rules=ROUTES)
