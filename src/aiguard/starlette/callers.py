"""Who is calling: the user of Starlette's ``AuthenticationMiddleware``, or a service with its token."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from starlette.requests import HTTPConnection

from aiguard.identity import carries_service_token
from aiguard.types import Actor


async def resolved(value: Any) -> Any:
    """A resolver's answer, awaited where it is awaitable."""
    return await value if inspect.isawaitable(value) else value


def authenticated_actor(connection: HTTPConnection) -> Actor | None:
    """``connection.user`` with the scopes of ``connection.auth``; None when nobody is signed in.

    The id is the user's ``identity``, or else its ``id`` or ``username``; ``tenant`` is optional. Without an
    ``AuthenticationMiddleware`` nobody is signed in.
    """
    user = connection.scope.get("user")
    if user is None or not getattr(user, "is_authenticated", False):
        return None
    auth = connection.scope.get("auth")
    tenant = getattr(user, "tenant", None)
    return Actor(
        id=_id_of(user),
        scopes=frozenset(getattr(auth, "scopes", ())),
        tenant=str(tenant) if tenant is not None else None,
    )


def _id_of(user: Any) -> str:
    for name in ("identity", "id", "username"):
        try:
            value = getattr(user, name, None)
        except NotImplementedError:  # BaseUser has an identity that nobody wrote
            continue
        if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value):
            return str(value)
    raise TypeError("the signed-in user has no identity, id or username; give AIGuard(app, actor=...)")


async def signed_in_actor(connection: HTTPConnection) -> Actor | None:
    """The user of ``AuthenticationMiddleware``, or the service whose token the request carries.

    A request that carries both is refused: the endpoint's ``request.user`` and the actor would be two different callers.
    """
    from aiguard.starlette.current import current_connection

    user = authenticated_actor(connection)
    if user is not None and not carries_service_token(authorization_of(connection)):
        return user
    service = await service_actor(connection)
    if service is not None and user is not None:
        current = current_connection()
        tokens = current.state.guard.tokens
        raise await asyncio.to_thread(lambda: tokens.ambiguous(service, route=current.route))
    return service


def authorization_of(connection: HTTPConnection) -> str | None:
    """The ``Authorization`` header. Several are taken for one Bearer credential that is no token: a proxy may have looked at another of them."""
    headers = connection.headers.getlist("authorization")
    return "Bearer " + ", ".join(headers) if len(headers) > 1 else next(iter(headers), None)


async def service_actor(connection: HTTPConnection) -> Actor | None:
    """The service whose token the request carries, or None: ``AIGuard(app, actor=service_actor)`` where only services call.

    Raises:
        NotAuthenticated: the token is no good.
        ControlFailed: it could not be looked up.
    """
    from aiguard.starlette.current import current_connection

    current = current_connection()
    header = authorization_of(connection)
    if header is None:
        return None
    tokens = current.state.guard.tokens
    return await asyncio.to_thread(lambda: tokens.authenticate(header, route=current.route))
