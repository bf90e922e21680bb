"""``@require_ai_scope``: an endpoint that only an admitted caller reaches."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from aiguard.errors import AIGuardError, Blocked
from aiguard.hooks import unresolved
from aiguard.identity import Access, ScopeMarker, checked_actor, checked_subject, current_access, mark
from aiguard.identity.access import resume
from aiguard.problems import name_scope
from aiguard.starlette.callers import resolved
from aiguard.starlette.current import Connection, SteppingWithin, current_connection
from aiguard.starlette.failures import refusal_for
from aiguard.starlette.state import SubjectResolver

EndpointT = TypeVar("EndpointT", bound=Callable[..., Any])


def require_ai_scope(
    scope: str, *, feature: str | None = None, subject: SubjectResolver | None = None
) -> Callable[[EndpointT], EndpointT]:
    """Let an endpoint be reached only by an actor with ``scope``, and name the feature for everything below it.

    For functions (sync ones run in a thread, as Starlette runs them), methods of ``HTTPEndpoint`` and WebSocket endpoints; FastAPI's
    parameters are injected as before. Identity ends with the response, or with the socket.

    Args:
        scope: the scope that the caller needs; it names the one feature of policy that has it.
        feature: names the feature instead; the caller then needs its scope as well.
        subject: the id of the person the data is about, for a connection; by default the extension's.
    """
    if not isinstance(scope, str):
        raise TypeError('write @require_ai_scope("the:scope"), with the scope in parentheses')
    marker = ScopeMarker(scope=scope, feature=feature)

    def decorate(endpoint: EndpointT) -> EndpointT:
        if inspect.isclass(endpoint):
            raise TypeError("put require_ai_scope on the methods of the class")
        if inspect.isgeneratorfunction(endpoint) or inspect.isasyncgenfunction(endpoint):
            raise TypeError('an endpoint that yields is guarded by a dependency: Depends(ai_scope("the:scope"))')
        is_async = inspect.iscoroutinefunction(endpoint)

        @functools.wraps(endpoint)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            connection = current_connection()
            access = await enter(connection, marker, subject)
            outer = current_access()
            resume(access)
            refusal: Blocked | None = None
            try:
                result = (
                    await endpoint(*args, **kwargs) if is_async else await run_in_threadpool(endpoint, *args, **kwargs)
                )
                await settle(connection, access)
            except Blocked as blocked:
                name_scope(blocked, scope)
                raise
            except Exception as error:
                refusal = await failed(connection, access, error)
                if refusal is None:
                    raise
            finally:
                if outer is not None:  # an endpoint that calls another guarded one goes on as itself
                    resume(outer)
            if refusal is not None:
                raise refusal
            if hasattr(result, "body_iterator"):
                result.body_iterator = SteppingWithin(access, aiter(result.body_iterator))
            return result

        mark(guarded, endpoint, marker)
        return cast("EndpointT", guarded)

    return decorate


async def enter(connection: Connection, marker: ScopeMarker, subject: SubjectResolver | None) -> Access:
    """Admit the caller of ``connection``. The grant's record may still be on its way: :func:`settle` waits for it."""
    state = connection.state
    refusal: Blocked | None = None
    actor, about = None, None
    try:
        actor = checked_actor(await resolved(state.actor(connection.http)))
        resolve = subject or state.subject
        about = checked_subject(await resolved(resolve(connection.http))) if resolve and actor is not None else None
    except Blocked as refused:  # a token that is no good
        name_scope(refused, marker.scope)
        raise
    except (AIGuardError, HTTPException):
        raise
    except Exception as error:  # noqa: BLE001 - fail closed: who is calling, or about whom, is not known
        route = connection.route
        refusal = await asyncio.to_thread(unresolved, state.guard, error, scope=marker.scope, route=route)
    if refusal is None:
        try:
            access = await asyncio.to_thread(
                lambda: state.guard.admit(
                    actor, marker.scope, feature=marker.feature, subject=about, route=connection.route, wait=False
                )
            )
        except Blocked as denied:
            refusal = denied
        else:
            connection.grants.append(access)
            return access
    name_scope(refusal, marker.scope)
    raise refusal.with_traceback(None) from None


async def settle(connection: Connection, access: Access) -> None:
    """Wait until the grant is on record; :class:`~aiguard.errors.ControlFailed` if it cannot be."""
    guard = connection.state.guard
    if access.recorded is not None and access.recorded.done():
        guard.settle(access)
    else:
        await asyncio.to_thread(guard.settle, access)


async def failed(connection: Connection, access: Access, error: Exception) -> Blocked | None:
    """The refusal that an exception of a guarded endpoint stands for, named; None where the application answers itself."""
    guard = connection.state.guard
    try:
        await settle(connection, access)
    except Blocked as unrecorded:
        refusal: Blocked | None = unrecorded
    else:
        refusal = await asyncio.to_thread(refusal_for, error, guard, access, connection.scope)
    if refusal is not None:
        name_scope(refusal, access.scope)
    return refusal
