"""``@require_ai_scope``: a view that only an admitted caller reaches, and whose response ends the admission."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from flask import current_app, g
from flask.wrappers import Response
from werkzeug.exceptions import HTTPException

from aiguard.errors import AIGuardError, Blocked
from aiguard.flask.bodies import limit_body
from aiguard.flask.callers import SubjectResolver
from aiguard.flask.failures import failures_reported
from aiguard.flask.state import current_state, end_all, grants_of_context, grants_of_request, route_names
from aiguard.hooks import unresolved
from aiguard.identity import Access, IterateWithin, ScopeMarker, checked_actor, checked_subject, hold, mark
from aiguard.identity.access import resume
from aiguard.problems import name_scope

_STREAMS: Final = "_aiguard_streams"
_WHOLE: Final = "_aiguard_whole"

ViewT = TypeVar("ViewT", bound=Callable[..., Any])


def require_ai_scope(
    scope: str, *, feature: str | None = None, subject: SubjectResolver | None = None
) -> Callable[[ViewT], ViewT]:
    """Let a view be reached only by an actor with ``scope``, and name the feature for everything below it.

    Place it directly below the route. Sync and async views, class-based views (in ``decorators`` or on a method) and
    views that stream are served alike; identity ends with the response. Below ``@blueprint.before_request`` it guards the whole
    blueprint.

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
                with failures_reported(access):
                    with hold(access):
                        limit_body()
                        response = _bind(access, await view(*args, **kwargs))
                    return response if response is not None else _go_on(access)

            wrapper: Callable[..., Any] = guarded_async
        else:

            @functools.wraps(view)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                access = _enter(marker, subject)
                with failures_reported(access):
                    with hold(access):
                        limit_body()
                        response = _bind(access, current_app.ensure_sync(view)(*args, **kwargs))
                    return response if response is not None else _go_on(access)

            wrapper = guarded
        mark(wrapper, view, marker)
        return cast("ViewT", wrapper)

    return decorate


def _enter(marker: ScopeMarker, subject: SubjectResolver | None) -> Access:
    """Admit the caller of the current request."""
    state = current_state()
    route, _ = route_names()
    refusal: Blocked | None = None
    actor, about = None, None
    try:
        actor = checked_actor(state.actor())
        resolve = subject or state.subject
        about = checked_subject(resolve()) if resolve is not None and actor is not None else None
    except Blocked as refused:  # a token that is no good
        name_scope(refused, marker.scope)
        raise
    except (AIGuardError, HTTPException):
        raise
    except Exception as error:  # noqa: BLE001 - fail closed: who is calling, or about whom, is not known
        refusal = unresolved(state.guard, error, scope=marker.scope, route=route)
    if refusal is None:
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


def _go_on(access: Access) -> None:
    """A ``before_request`` function has nothing to answer: what comes after it in this request goes on as its caller.

    A view that returns None gets here too, and is Flask's to complain about.
    """
    resume(access)
    setattr(g, _WHOLE, access)


def keep_streaming(response: Response) -> None:
    """Let a stream have the identity that a ``before_request`` function got."""
    access: Access | None = g.get(_WHOLE)
    if access is not None and response.is_streamed and not isinstance(response.response, IterateWithin):
        response.response = IterateWithin(access, response.response)
        setattr(g, _STREAMS, True)


def _bind(access: Access, result: Any) -> Response | None:
    """Turn a view's result into a response whose end is the identity's end; None stays None."""
    current_state().guard.settle(access)
    if result is None:
        return None
    response = current_app.make_response(result)
    if response.is_streamed:
        response.response = IterateWithin(access, response.response)
        setattr(g, _STREAMS, True)
    return response


def end_access(error: BaseException | None = None) -> None:
    """The request is over: so is its identity, unless its response is still streaming."""
    if error is not None or not g.get(_STREAMS):
        end_all(grants_of_context())
