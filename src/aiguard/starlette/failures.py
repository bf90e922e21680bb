"""From a refusal, or from an exception of a guarded endpoint, to problem+json or to the end of a socket."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from aiguard.errors import Blocked, InputRefused
from aiguard.hooks import recorded
from aiguard.problems import problem, provider_failure, scope_of, unreadable_text
from aiguard.types import Decision, Effect, Reason

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from aiguard.guard import Guard
    from aiguard.identity import Access

logger = logging.getLogger("aiguard")

POLICY_VIOLATION: Final = 1008
"""The WebSocket close code for a refusal (RFC 6455, section 7.4.1)."""
_DENIAL: Final = "websocket.http.response"


def blocked_decision(code: str, detail: str, status: int | None = None, *, guard: Guard | None = None) -> Decision:
    """A decision to block for one reason."""
    return Decision(
        effect=Effect.BLOCK,
        reasons=(Reason(code=code, detail=detail, status=status),),
        policy_hash=guard.policy.hash if guard is not None else "",
    )


def passed_on(refusal: Blocked) -> Blocked:
    """The same refusal, as an exception that FastAPI hands on while it reads a body; any other becomes a 400 of its own."""
    raised: Any = _passing(type(refusal))(refusal.decision)
    raised.status_code, raised.detail, raised.headers = refusal.http_status, refusal.title, None
    return cast("Blocked", raised)


def _passing(kind: type[Blocked]) -> Any:
    return type(kind.__name__, (kind, HTTPException), {"__module__": kind.__module__, "__doc__": kind.__doc__})


async def answer_blocked(connection: HTTPConnection, blocked: Exception) -> Response | None:
    """The exception handler for refusals: problem+json with the decision's id, or the end of a socket (1008)."""
    if not isinstance(blocked, Blocked):
        raise blocked
    document = problem(blocked, scope=scope_of(blocked))
    logger.info("answered %s for decision %s", document.status, blocked.decision_id)
    response = Response(document.body, status_code=document.status, headers=dict(document.headers))
    if not isinstance(connection, WebSocket):
        return response
    state = connection.application_state
    if state is WebSocketState.CONNECTING and _DENIAL in connection.scope.get("extensions", {}):
        await connection.send_denial_response(response)
    elif state is not WebSocketState.DISCONNECTED:
        await connection.close(POLICY_VIOLATION, reason=blocked.decision_id)
    return None


def refusal_for(error: Exception, guard: Guard, access: Access, scope: Any) -> Blocked | None:
    """The refusal that an exception of a guarded endpoint stands for; None for what the application answers itself.

    Blocks for the record of a body that cannot be read.
    """
    if isinstance(error, Blocked) or _handled_by_app(error, scope):
        return None
    unreadable = unreadable_text(error)
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)) and _reads_body(error):
        unreadable = "the body could not be read as what it claims to be"
    if unreadable is None:
        return provider_failure(error, policy_hash=guard.policy.hash)
    decision = blocked_decision("request.400", unreadable, 400, guard=guard)
    payload = {"status": 400, "route": access.route, "parent": access.decision_id}
    return recorded(guard, InputRefused(decision), "request.refused", payload, resource=access.feature)


def _handled_by_app(error: Exception, scope: Any) -> bool:
    handlers: Mapping[Any, Any] = (scope.get("starlette.exception_handlers") or ({}, {}))[0]
    return any(cls in handlers for cls in type(error).__mro__ if cls not in (Exception, BaseException, object))


def _reads_body(error: BaseException) -> bool:
    """Whether it was Starlette's request that was reading, and not the application."""
    frame, names = error.__traceback__, []
    while frame is not None:
        names.append(str(frame.tb_frame.f_globals.get("__name__", "")))
        frame = frame.tb_next
    return any(name.startswith("starlette.requests") for name in names)
