"""``@require_ai_scope``: a view that only an admitted caller reaches, and whose response ends the admission."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from flask import current_app, g
from flask.wrappers import Response
from werkzeug.exceptions import HTTPException

from aiguard.errors import AIGuardError, Blocked, ControlFailed
from aiguard.flask.bodies import limit_body
from aiguard.flask.callers import SubjectResolver, checked_actor, checked_subject
from aiguard.flask.failures import blocked_decision, failures_reported, name_scope
from aiguard.flask.state import current_state, end_all, grants_of_context, grants_of_request, route_names
from aiguard.hooks import recorded
from aiguard.identity import Access, IterateWithin, ScopeMarker, hold, mark
from aiguard.problems import raised_in

logger = logging.getLogger("aiguard")

_STREAMS: Final = "_aiguard_streams"

ViewT = TypeVar("ViewT", bound=Callable[..., Any])


def require_ai_scope(
    scope: str, *, feature: str | None = None, subject: SubjectResolver | None = None
) -> Callable[[ViewT], ViewT]:
    """Let a view be reached only by an actor with ``scope``, and name the feature for everything below it.

    Place it directly below the route. Sync and async views, class-based views (in ``decorators`` or on a method) and
    views that stream are served alike; identity ends with the response.

    Args:
        scope: the scope that the caller needs; it names the one feature of policy that has it.
        feature: names the feature instead; the caller then needs its scope as well.
        subject: the id of the person the data is about, for the current request; by default the extension's.
    """
    if not isinstance(scope, str):
        raise TypeError('write @require_ai_scope("the:scope"), with the scope in parentheses')
    marker = ScopeMarker(scope=scope, feature=feature)

    def decorate(view: ViewT) -> ViewT:
        if inspect.isclass(view):
            raise TypeError("put require_ai_scope in the class's decorators list, or on its methods")
        if inspect.iscoroutinefunction(view):

            @functools.wraps(view)
            async def guarded_async(*args: Any, **kwargs: Any) -> Any:
                access = _enter(marker, subject)
                with failures_reported(access), hold(access):
                    limit_body()
                    return _bind(access, await view(*args, **kwargs))

            wrapper: Callable[..., Any] = guarded_async
        else:

            @functools.wraps(view)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                access = _enter(marker, subject)
                with failures_reported(access), hold(access):
                    limit_body()
                    return _bind(access, current_app.ensure_sync(view)(*args, **kwargs))

            wrapper = guarded
        mark(wrapper, view, marker)
        return cast("ViewT", wrapper)

    return decorate


def _enter(marker: ScopeMarker, subject: SubjectResolver | None) -> Access:
    """Admit the caller of the current request."""
    state = current_state()
    route, _ = route_names()
    failure, raised = None, ""
    actor, about = None, None
    try:
        actor = checked_actor(state.actor())
        resolve = subject or state.subject
        about = checked_subject(resolve()) if resolve is not None and actor is not None else None
    except (AIGuardError, HTTPException):
        raise
    except Exception as error:  # noqa: BLE001 - fail closed: who is calling, or about whom, is not known
        failure, raised = type(error).__name__, raised_in(error)
    refusal: Blocked
    if failure is not None:
        decision = blocked_decision(
            "actor.failed", f"who is calling could not be resolved ({failure})", guard=state.guard
        )
        logger.error("resolving the actor or subject raised %s in %s; decision %s", failure, raised, decision.id)
        payload = {"scope": marker.scope, "route": route}
        refusal = recorded(state.guard, ControlFailed(decision), "access.denied", payload)
    else:
        try:
            access = state.guard.admit(
                actor, marker.scope, feature=marker.feature, subject=about, route=route, wait=False
            )
        except Blocked as denied:
            refusal = denied
        else:
            grants_of_request().append(access)
            return access
    name_scope(refusal, marker.scope)
    raise refusal


def _bind(access: Access, result: Any) -> Response:
    """Turn a view's result into a response whose end is the identity's end."""
    current_state().guard.settle(access)
    response = current_app.make_response(result)
    if response.is_streamed:
        response.response = IterateWithin(access, response.response)
        setattr(g, _STREAMS, True)
    return response


def end_access(error: BaseException | None = None) -> None:
    """The request is over: so is its identity, unless its response is still streaming."""
    if error is not None or not g.get(_STREAMS):
        end_all(grants_of_context())
