"""Who is calling: flask-login's user or a service with its token by default, any resolver otherwise; what they say is checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from flask import Flask, current_app, request

from aiguard.errors import ConfigurationError
from aiguard.identity import carries_service_token
from aiguard.types import Actor

ActorResolver = Callable[[], Actor | None]
SubjectResolver = Callable[[], str | None]


def check_flask_login(app: Flask) -> None:
    """Whether flask-login can say who is calling; :class:`~aiguard.errors.ConfigurationError` says what is missing."""
    try:
        import flask_login  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "AIGuard asks flask-login who is calling, and flask-login is not installed; "
            "install it, or give AIGuard(app, actor=...) a function that returns an aiguard.Actor or None "
            "(aiguard.flask.service_actor where only services with tokens call)"
        ) from None
    if not hasattr(app, "login_manager"):
        raise ConfigurationError(
            "flask-login is installed but has no LoginManager on this application; set one up, or give AIGuard(app, actor=...)"
        )


def flask_login_actor() -> Actor | None:
    """flask-login's ``current_user`` as an actor; None when nobody is signed in."""
    check_flask_login(current_app)
    from flask_login import current_user

    if not current_user.is_authenticated:
        return None
    id = current_user.get_id()
    if id is None:  # as of a user who was not saved yet: everybody of that kind would be one actor
        raise TypeError("the signed-in user has no id: current_user.get_id() gives None")
    scopes = getattr(current_user, "ai_scopes", ())
    tenant = getattr(current_user, "tenant", None)
    return Actor(
        id=str(id),
        scopes=cast("frozenset[str]", scopes() if callable(scopes) else scopes),  # Actor checks, and copies
        tenant=str(tenant) if tenant is not None else None,
    )


def signed_in_actor() -> Actor | None:
    """flask-login's user, or the service whose token the request carries (``Authorization: Bearer aig_…``).

    A request that carries both is refused: the view's ``current_user`` and the actor would be two different callers.
    A Bearer credential that is no service token is flask-login's to know (with a ``request_loader``), and else refused.
    """
    if not carries_service_token(request.headers.get("Authorization")):
        user = flask_login_actor()
        return service_actor() if user is None else user
    service = service_actor()
    if service is not None and flask_login_actor() is not None:
        from aiguard.flask.state import current_state, route_names

        raise current_state().guard.tokens.ambiguous(service, route=route_names()[0])
    return service


def service_actor() -> Actor | None:
    """The service whose token the request carries, or None: ``AIGuard(app, actor=service_actor)`` where only services call.

    Raises:
        NotAuthenticated: the token is no good.
        ControlFailed: it could not be looked up.
    """
    from aiguard.flask.state import current_state, route_names

    tokens = current_state().guard.tokens
    return tokens.authenticate(request.headers.get("Authorization"), route=route_names()[0])
