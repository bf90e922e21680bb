"""What one application has: its guard, its resolvers, and what is known of its routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiguard.errors import Blocked, InputRefused, UnguardedRoute
from aiguard.hooks import recorded
from aiguard.identity import ScopeMarker
from aiguard.inventory import warn_at_start
from aiguard.starlette.failures import answer_blocked, blocked_decision, passed_on
from aiguard.starlette.routes import Registered, Watch, entries_of, registered, unguarded

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from aiguard.guard import Guard
    from aiguard.starlette.current import Connection
    from aiguard.types import Actor

ActorResolver = Callable[["HTTPConnection"], "Actor | Awaitable[Actor | None] | None"]
SubjectResolver = Callable[["HTTPConnection"], "str | Awaitable[str | None] | None"]


class State:
    """What one application has."""

    def __init__(self, app: Any, guard: Guard, actor: ActorResolver, subject: SubjectResolver | None) -> None:
        self.app = app
        self.guard = guard
        self.actor = actor
        self.subject = subject
        self._checked: Watch | None = None
        self._examined = False
        self._templates: dict[int, list[str]] = {}

    def check_routes(self) -> None:
        """Refuse to serve while a route lacks the guard it was meant to have, or names a scope that policy does not know."""
        watch = self._checked
        if watch is not None and watch.unchanged():
            self._check_overrides(watch)
            return
        watch, routes = Watch(self.app), list(registered(self.app))
        self._check_overrides(watch)
        self._answer_refusals_of_mounts(watch)
        for route, scope in unguarded(routes):
            raise UnguardedRoute(
                f"the route {route.path} is meant to need the scope {scope!r}, but it registered the bare function: "
                "put @require_ai_scope directly above the function, below the route's decorator"
            )
        for route in routes:
            self._check_scopes(route)
        self._templates = {}
        for route in routes:
            self._templates.setdefault(id(route.endpoint), []).append(route.path)
        if not self._examined:
            warn_at_start(entries_of(self.app), self.guard, app=self.app)
            self._examined = True
        self._checked = watch

    def _check_overrides(self, watch: Watch) -> None:
        """FastAPI's ``dependency_overrides`` are for tests; elsewhere one that replaces a guard would open its routes."""
        for owner in watch.owners:
            overrides = getattr(owner, "dependency_overrides", None)
            if not overrides or self.guard.settings.environment.relaxed:
                continue
            for call in overrides:
                if isinstance(marker := getattr(call, "marker", None), ScopeMarker):
                    raise UnguardedRoute(
                        f"dependency_overrides replaces the guard of the scope {marker.scope!r}; that is for development "
                        "and tests only, so take it out or set AIGUARD_ENVIRONMENT"
                    )

    def _answer_refusals_of_mounts(self, watch: Watch) -> None:
        """A mounted application answers its exceptions itself, so it is told how refusals are answered."""
        for owner in watch.owners:
            handlers = getattr(owner, "exception_handlers", None)
            if owner is not self.app and isinstance(handlers, dict) and Blocked not in handlers:
                handlers[Blocked] = answer_blocked
                owner.middleware_stack = None  # built again with it, if it was built already

    def _check_scopes(self, route: Registered) -> None:
        policy = self.guard.policy
        for marker in route.markers:
            if marker.feature is not None and marker.feature not in policy.features:
                raise UnguardedRoute(
                    f"the route {route.path} names the feature {marker.feature!r}, which policy does not know; "
                    "add it to the policy or correct the name"
                )
            if marker.feature is None and policy.feature_for_scope(marker.scope) is None:
                raise UnguardedRoute(
                    f"the route {route.path} needs the scope {marker.scope!r}, for which policy has no feature; "
                    "add one to the policy or correct the scope"
                )

    def template(self, endpoint: Any, matched: str) -> str:
        """The path template under which ``endpoint`` is registered; ``matched`` is the end of it that its router saw."""
        paths = self._templates.get(id(endpoint), [])
        return next((path for path in paths if path.endswith(matched)), matched)

    def too_large(self, connection: Connection) -> Blocked:
        """The refusal, on record, of a body that is larger than is read here. Blocks for the record."""
        detail = "the body is larger than is read here"
        decision = blocked_decision("request.413", detail, 413, guard=self.guard)
        payload = {"status": 413, "route": connection.route}
        return passed_on(recorded(self.guard, InputRefused(decision), "request.refused", payload))
