"""Who is calling: flask-login by default, any resolver otherwise; what either says is checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from flask import Flask, current_app

from aiguard.errors import ConfigurationError
from aiguard.types import Actor

ActorResolver = Callable[[], Actor | None]
SubjectResolver = Callable[[], str | None]


def checked_actor(actor: object) -> Actor | None:
    """What an actor resolver returned; :class:`TypeError` for anything but an actor whose id and tenant are texts, or None."""
    if actor is None:
        return None
    if not isinstance(actor, Actor):
        raise TypeError("an actor resolver returns an aiguard.Actor or None")
    if not isinstance(actor.id, str) or not isinstance(actor.tenant, str | None):
        raise TypeError("an Actor's id and tenant are texts")
    return actor


def checked_subject(subject: object) -> str | None:
    """What a subject resolver returned; :class:`TypeError` for anything but an id, or None for the actor's."""
    if subject is not None and not (isinstance(subject, str) and subject):
        raise TypeError("a subject resolver returns the id of a person as a text, or None for the actor")
    return subject


def check_flask_login(app: Flask) -> None:
    """Whether flask-login can say who is calling; :class:`~aiguard.errors.ConfigurationError` says what is missing."""
    try:
        import flask_login  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "AIGuard asks flask-login who is calling, and flask-login is not installed; "
            "install it, or give AIGuard(app, actor=...) a function that returns an aiguard.Actor or None"
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
    scopes = getattr(current_user, "ai_scopes", ())
    tenant = getattr(current_user, "tenant", None)
    return Actor(
        id=str(current_user.get_id()),
        scopes=cast("frozenset[str]", scopes() if callable(scopes) else scopes),  # Actor checks, and copies
        tenant=str(tenant) if tenant is not None else None,
    )
