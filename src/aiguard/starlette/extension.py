"""``AIGuard``, for a Starlette or FastAPI application: one guard, its middleware, its error handler and its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiguard.delegate import GuardDelegate
from aiguard.errors import Blocked, ConfigurationError
from aiguard.guard import Guard
from aiguard.handler import connect, need_credential
from aiguard.identity import Authoriser, has_scope
from aiguard.runtime import open_guard
from aiguard.settings import Settings
from aiguard.starlette.callers import signed_in_actor
from aiguard.starlette.current import Lease
from aiguard.starlette.failures import answer_blocked
from aiguard.starlette.openapi import document_refusals
from aiguard.starlette.state import ActorResolver, State, SubjectResolver

ClientT = TypeVar("ClientT")


class AIGuard(GuardDelegate):
    """Guards an application. Call it once, after the application's own middleware was added.

    Args:
        app: a ``Starlette`` or ``FastAPI`` application that does not serve yet.
        settings: where things are: :class:`~aiguard.settings.Settings`, or a mapping of ``AIGUARD_*`` names that go before the
            environment; by default the environment.
        actor: who is calling, for a connection, or None; sync or async. By default the user of ``AuthenticationMiddleware``
            with the scopes of ``auth``, or else the service whose token the request carries.
        authoriser: ``(actor, scope) -> Decision``; by default the actor must carry the scope.
        subject: the id of the person the data is about, for a connection; by default the actor's.
        options: what :func:`aiguard.runtime.open_guard` takes (``policy``, ``engine``, ``detector``, ``models`` …).

    Raises:
        ConfigurationError: the application is guarded already, serves already, or cannot be: bad settings, policy or database.
    """

    def __init__(
        self,
        app: Any,
        *,
        settings: Settings | Mapping[str, Any] | None = None,
        actor: ActorResolver = signed_in_actor,
        authoriser: Authoriser = has_scope,
        subject: SubjectResolver | None = None,
        **options: Any,
    ) -> None:
        if not hasattr(app, "add_middleware") or not hasattr(app, "router"):
            raise ConfigurationError(
                "AIGuard(app) takes a Starlette or FastAPI application; around another ASGI application put aiguard.asgi"
            )
        if isinstance(getattr(app.state, "aiguard", None), State):
            raise ConfigurationError("this application has an AIGuard already; create one")
        if getattr(app, "middleware_stack", None) is not None:
            raise ConfigurationError("this application serves already; call AIGuard(app) before its first request")
        self._settings = settings if isinstance(settings, Settings) else Settings.load(dict(settings or {}))
        self._open: Callable[[], Guard] = lambda: open_guard(self._settings, authoriser=authoriser, **options)
        self._closed = False
        self.state = State(app, self._open(), actor, subject)
        app.state.aiguard = self.state
        if Blocked not in app.exception_handlers:  # the application's own handler stays
            app.add_exception_handler(Blocked, answer_blocked)
        app.add_middleware(Lease, state=self.state)
        app.router.lifespan_context = self._around(app.router.lifespan_context)
        document_refusals(app, self.state)

    def _around(self, lifespan: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Check the routes before the first request, and close the guard after the last."""

        @asynccontextmanager
        async def guarded(app: Any) -> AsyncIterator[Any]:
            if self._closed:  # an application that is started again, as tests do
                self.state.guard, self._closed = self._open(), False
            self.state.check_routes()
            try:
                async with lifespan(app) as state:
                    yield state
            finally:
                self.close()

        return guarded

    @property
    def guard(self) -> Guard:
        """The application's guard."""
        return self.state.guard

    def client(self, cls: type[ClientT], **options: Any) -> ClientT:
        """A client of the given SDK class (``openai.AsyncOpenAI``) whose every request passes the guard."""
        need_credential(cls, self._settings)
        return connect(cls, lambda: self.guard, self._settings, **options)

    def close(self) -> None:
        """Write what is queued and let the database go. The end of the application's lifespan does it."""
        if not self._closed:
            self._closed = True
            self.guard.close()
