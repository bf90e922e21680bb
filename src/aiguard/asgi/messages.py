"""What ASGI speaks in, and what both protocols here need: committing a record, scanning off the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

from aiguard.drivers import OFFLOAD_CHARACTERS, asettled
from aiguard.errors import Blocked, StoreError
from aiguard.guard import Guard
from aiguard.middleware.records import What, unrecorded
from aiguard.problems import Problem, problem
from aiguard.types import AuditRecord

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

T = TypeVar("T")


async def commit(guard: Guard, what: What, record: AuditRecord) -> None:
    """Put a record on the log, and wait for it; :class:`~aiguard.errors.ControlFailed` (not recorded) if that fails."""
    failed = False
    try:
        await asettled(guard.hands.recorder.commit([record]), guard.hands.store_timeout)
    except StoreError:
        failed = True
    if failed:
        raise unrecorded(guard, what, record.decision_id)


async def on_record(guard: Guard, what: What, refusal: Blocked, record: AuditRecord) -> Blocked:
    """``refusal`` once it is on record; one that cannot be recorded says so instead."""
    try:
        await commit(guard, what, record)
    except Blocked as failed:
        return failed
    return refusal


async def looked_at(step: Callable[..., T], *arguments: Any, size: int) -> T:
    """The result of a step over ``size`` bytes: in a thread where they are so many that the loop would stand still."""
    if size > OFFLOAD_CHARACTERS:
        return await asyncio.to_thread(step, *arguments)
    return step(*arguments)


async def answer(send: Send, refusal: Blocked, *, method: str = "GET", prefix: str = "", close: bool = False) -> None:
    """Send a refusal as problem+json.

    ``prefix`` is that of the message types (``websocket.``). ``close`` asks for the connection's end, since a client may
    go on with a body that nobody reads.
    """
    document: Problem = problem(refusal)
    body = document.body
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in document.headers]
    headers.append((b"content-length", b"%d" % len(body)))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": f"{prefix}http.response.start", "status": document.status, "headers": headers})
    await send({"type": f"{prefix}http.response.body", "body": b"" if method == "HEAD" else body, "more_body": False})
