"""From a refusal, or from an exception of a guarded view, to problem+json."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from flask import current_app, request
from flask.wrappers import Response
from werkzeug.exceptions import HTTPException

from aiguard.errors import Blocked, InputRefused
from aiguard.flask.state import current_state, route_names
from aiguard.guard import Guard
from aiguard.hooks import recorded
from aiguard.identity import Access, hold
from aiguard.problems import name_scope, problem, provider_failure, raised_in, scope_of, unreadable_text
from aiguard.types import Decision, Effect, Reason

logger = logging.getLogger("aiguard")

OURS: Final = "_aiguard_problem"
"""Set on the responses that are made here, to their body: nothing of the input is in it."""
DETAILS: Final = {
    400: "the body could not be read as what it claims to be",
    413: "the body is larger than is read here",
    415: "the body is of a type that is not read here",
}
_READERS: Final = frozenset(
    {"aiguard.flask.bodies", "flask.wrappers", "werkzeug.formparser", "werkzeug.wrappers.request", "werkzeug.wsgi"}
)
"""Modules that raise HTTP exceptions about a body; one that the application raises itself is the application's answer."""


@contextmanager
def failures_reported(access: Access) -> Iterator[None]:
    """Turn failures of a guarded view that the application does not handle itself into problem+json, with the id."""
    refusal: Blocked | None = None
    try:
        yield
    except Blocked as blocked:
        access.end()
        name_scope(blocked, access.scope)
        raise
    except Exception as error:
        refusal = _refusal_for(error, access)
        if refusal is None:
            access.end()
            raise
    except BaseException:
        access.end()
        raise
    if refusal is not None:
        access.end()
        name_scope(refusal, access.scope)
        raise refusal


def _refusal_for(error: Exception, access: Access) -> Blocked | None:
    """The refusal that an exception of a guarded view stands for; None for what the application answers itself."""
    guard = current_state().guard
    try:
        guard.settle(access)
    except Blocked as unrecorded:
        return unrecorded
    if _handled_by_app(error):
        return None
    if isinstance(error, HTTPException):
        if error.code not in DETAILS or raised_in(error) not in _READERS:
            return None
        return refused_input(guard, error.code, DETAILS[error.code], access)
    unreadable = unreadable_text(error)
    if unreadable is not None:
        return refused_input(guard, 400, unreadable, access)
    return provider_failure(error, policy_hash=guard.policy.hash)


def refused_input(guard: Guard, status: int, detail: str, access: Access | None = None) -> Blocked:
    """The refusal of a body, on record; under ``access`` where there is one."""
    decision = blocked_decision(f"request.{status}", detail, status, guard=guard)
    payload = {"status": status, "route": route_names()[0]}
    refusal = InputRefused(decision)
    if access is None:
        return recorded(guard, refusal, "request.refused", payload)
    with hold(access):
        payload["parent"] = access.decision_id
        return recorded(guard, refusal, "request.refused", payload, resource=access.feature)


def _handled_by_app(error: Exception) -> bool:
    find = current_app._find_error_handler  # noqa: SLF001 - Flask has no public way to ask
    return find(error, request.blueprints) is not None


def blocked_decision(code: str, detail: str, status: int | None = None, *, guard: Guard | None = None) -> Decision:
    """A decision to block for one reason."""
    return Decision(
        effect=Effect.BLOCK,
        reasons=(Reason(code=code, detail=detail, status=status),),
        policy_hash=guard.policy.hash if guard is not None else "",
    )


def answer_blocked(blocked: Blocked) -> Response:
    """The error handler for refusals: problem+json, and a log line with the id."""
    document = problem(blocked, scope=scope_of(blocked))
    logger.info("answered %s for decision %s", document.status, blocked.decision_id)
    response = current_app.response_class(document.body, status=document.status)
    for name, value in document.headers:
        response.headers[name] = value
    setattr(response, OURS, document.body)
    return response


def is_ours(response: Response) -> bool:
    """Whether a response still says what was made here, and nothing that another function put in its place."""
    body: bytes | None = getattr(response, OURS, None)
    return body is not None and not response.is_streamed and response.get_data() == body
