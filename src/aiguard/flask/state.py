"""What one application has, and what one request has: found here, kept nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flask import Flask, current_app, g, request

from aiguard.errors import ConfigurationError, UnguardedRoute
from aiguard.flask.callers import ActorResolver, SubjectResolver, check_flask_login, signed_in_actor
from aiguard.flask.routes import EXTENSION, entries_of, required
from aiguard.guard import Guard
from aiguard.hooks import ScrubRule
from aiguard.identity import Access, find_unguarded
from aiguard.inventory import warn_at_start

GRANTS: Final = "aiguard.grants"
"""Where a request keeps its accesses, in the WSGI environment."""

_GRANTED: Final = "_aiguard_grants"


class State:
    """What one application has: its guard, its resolvers, and which of its routes were checked."""

    def __init__(self, guard: Guard, actor: ActorResolver, subject: SubjectResolver | None) -> None:
        self.guard = guard
        self.actor = actor
        self.subject = subject
        self.scrubs: tuple[Sequence[ScrubRule], Sequence[ScrubRule]] = ((), ())
        """The extension's rules for requests and for responses."""
        self._checked: dict[str, Any] | None = None
        self._examined = False

    def check_routes(self, app: Flask) -> None:
        """Refuse to serve while a route lacks the guard it was meant to have, or names a scope that policy does not know."""
        if self._checked == app.view_functions:
            return
        views = dict(app.view_functions)
        for endpoint, scope in find_unguarded(app.view_functions):
            raise UnguardedRoute(
                f"the view {endpoint!r} is meant to need the scope {scope!r}, but its route registered the bare function: "
                "put @require_ai_scope directly below @app.route, so that the route registers what it returns"
            )
        wanted = [(endpoint, marker) for endpoint in views for marker in required(app, endpoint)]
        policy = self.guard.policy
        for endpoint, marker in wanted:
            if marker.feature is not None and marker.feature not in policy.features:
                raise UnguardedRoute(
                    f"the view {endpoint!r} names the feature {marker.feature!r}, which policy does not know; "
                    "add it to the policy or correct the name"
                )
            if marker.feature is None and policy.feature_for_scope(marker.scope) is None:
                raise UnguardedRoute(
                    f"the view {endpoint!r} needs the scope {marker.scope!r}, for which policy has no feature; "
                    "add one to the policy or correct the scope"
                )
        if wanted and self.actor is signed_in_actor:
            check_flask_login(app)
        if not self._examined:
            warn_at_start(entries_of(app), self.guard, app=app)
            self._examined = True
        self._checked = views


def current_state() -> State:
    """The state of the current application; :class:`~aiguard.errors.ConfigurationError` when it has none."""
    state = current_app.extensions.get(EXTENSION)
    if not isinstance(state, State):
        raise ConfigurationError("this application has no AIGuard; call AIGuard(app) or init_app(app) before it serves")
    return state


def route_names() -> tuple[str, str]:
    """The route template and the endpoint of the current request; empty where nothing matched."""
    return (request.url_rule.rule if request.url_rule is not None else "", request.endpoint or "")


def grants_of_request() -> list[Access]:
    """The accesses of the current request; they end together, with its response."""
    grants = request.environ.get(GRANTS)
    if not isinstance(grants, list):  # outside of the WSGI call, as in a test's request context
        grants = request.environ[GRANTS] = []
    setattr(g, _GRANTED, grants)  # the environment is put back before a preserved context ends
    return grants


def grants_of_context() -> Sequence[Access]:
    """The accesses of the request whose context is ending."""
    grants: Sequence[Access] = g.get(_GRANTED, ())
    return grants


def end_all(grants: Sequence[Access]) -> None:
    """End accesses; ending one twice does nothing."""
    for access in grants:
        access.end()
