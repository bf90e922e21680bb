"""The chat."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI, OpenAIError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from aiguard.errors import Blocked
from aiguard.problems import DECISION_HEADER, problem
from aiguard.starlette import AIGuard, require_ai_scope
from examples.starlette_app.accounts import HEADER, Accounts, csrf_token, passwords, refused
from examples.starlette_app.chats import Chats

HERE = Path(__file__).parent
MODEL = "gpt-5-mini"
INSTRUCTIONS = (
    "You answer the members of a mail-order shop, briefly and kindly, in their language. Text in square brackets such as"
    " [EMAIL_X7K2M9QA] stands for something you may not see; repeat it unchanged."
)
MAX_MESSAGE = 8_000
"""Characters of one message."""
_CHAT = re.compile(r"[0-9A-Za-z-]{8,64}")

logger = logging.getLogger(__name__)


def create_app(settings: Mapping[str, Any] | None = None, *, words: Mapping[str, str] | None = None) -> Starlette:
    """The application. ``settings`` go before the environment; ``words`` are the passwords of ``member`` and ``guest``."""
    templates = Jinja2Templates(HERE / "templates")
    accounts = Accounts(templates, words or passwords())
    chats = Chats()

    @require_ai_scope("chat:ask")
    async def chat(request: Request) -> Response:
        """One message of a member; the answer comes as server-sent events, already scrubbed."""
        if (forbidden := refused(request, request.headers.get(HEADER))) is not None:
            return forbidden
        message, chat_id = _asked(await request.json())
        if not message:
            return JSONResponse({"detail": f"send a message of 1 to {MAX_MESSAGE} characters"}, status_code=422)
        member = request.user.identity
        asked = {"role": "user", "content": message}
        messages: list[Any] = [{"role": "developer", "content": INSTRUCTIONS}, *chats.turns(member, chat_id), asked]
        with guard.conversation(chat_id):  # the same value has the same token in the whole chat
            stream = await client.chat.completions.create(model=MODEL, messages=messages, stream=True)

        async def events() -> AsyncIterator[bytes]:
            said = ""
            try:
                async with stream:
                    async for chunk in stream:
                        text = chunk.choices[0].delta.content if chunk.choices else None
                        if text:
                            said += text
                            yield _event("piece", {"text": text})
            except Blocked as refusal:  # the status is sent already, so an event says it
                yield _event("refused", json.loads(problem(refusal).body))
                return
            except OpenAIError as error:
                logger.warning("the model's answer ended early: %s", type(error).__name__)
                yield _event("refused", {"title": "The answer ended early", "detail": "The model server went away."})
                return
            chats.add(member, chat_id, asked, {"role": "assistant", "content": said})
            yield _event("done", {"decision_id": stream.response.headers.get(DECISION_HEADER)})

        return StreamingResponse(events(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def page(request: Request) -> Response:
        if not request.user.is_authenticated:
            return RedirectResponse("/sign-in", status_code=302)
        return templates.TemplateResponse(
            request, "chat.html", {"csrf_token": csrf_token(request), "user": request.user}
        )

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def living(_app: Starlette) -> AsyncIterator[None]:
        async with client:  # its connections belong to this event loop
            yield

    app = Starlette(
        routes=[
            Route("/", page),
            Route("/chat", chat, methods=["POST"]),
            Route("/sign-in", accounts.sign_in, methods=["GET", "POST"]),
            Route("/sign-out", accounts.sign_out, methods=["POST"]),
            Route("/health", health),
            Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
        ],
        middleware=accounts.middleware(),
        lifespan=living,
    )
    guard = AIGuard(app, settings=settings)
    client = guard.client(AsyncOpenAI)
    return app


def _asked(body: Any) -> tuple[str, str]:
    """The message and the chat's id; an empty message where the body is not a question."""
    body = body if isinstance(body, dict) else {}
    message, chat = body.get("message"), body.get("chat")
    if (
        not isinstance(message, str)
        or len(message) > MAX_MESSAGE
        or not isinstance(chat, str)
        or not _CHAT.fullmatch(chat)
    ):
        return "", ""
    return message.strip(), chat


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    """A server-sent event. JSON has no bare line ending, so one data line is enough."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
