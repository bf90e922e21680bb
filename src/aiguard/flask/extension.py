"""``AIGuard``, the extension: one guard an application, with its hooks, error handler and commands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from flask import Flask, current_app, g, has_app_context, has_request_context, request
from flask.wrappers import Response

from aiguard.delegate import GuardDelegate
from aiguard.errors import Blocked, ConfigurationError, ControlFailed
from aiguard.flask.bodies import replace_request_body, replace_response_body
from aiguard.flask.callers import ActorResolver, SubjectResolver, signed_in_actor
from aiguard.flask.failures import answer_blocked, blocked_decision
from aiguard.flask.routes import EXTENSION
from aiguard.flask.state import GRANTS, State, current_state, end_all, route_names
from aiguard.flask.views import end_access, keep_streaming
from aiguard.guard import Guard
from aiguard.handler import connect, need_credential
from aiguard.hooks import Rules, ScrubRule, matches
from aiguard.identity import Authoriser, EndingWith, current_access, has_scope
from aiguard.identity.access import resume
from aiguard.runtime import open_guard
from aiguard.settings import Settings

_LOOKED_AT: Final = "_aiguard_looked_at"

ClientT = TypeVar("ClientT")


class AIGuard(GuardDelegate):
    """The extension: one guard an application.

    Args:
        app: the application; or call :meth:`init_app` later, once for each.
        actor: who is calling, for the current request, or None; by default flask-login's ``current_user``, with its
            ``get_id()``, ``ai_scopes`` (the scopes it has) and ``tenant`` (optional), or else the service whose token the
            request carries.
        authoriser: ``(actor, scope) -> Decision``; by default the actor must carry the scope.
        subject: the id of the person the data is about, for the current request; by default the actor's.
        options: what :func:`aiguard.runtime.open_guard` takes (``policy``, ``engine``, ``detector``, ``count_tokens``).
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        actor: ActorResolver | None = None,
        authoriser: Authoriser = has_scope,
        subject: SubjectResolver | None = None,
        **options: Any,
    ) -> None:
        self._actor = actor or signed_in_actor
        self._authoriser = authoriser
        self._subject = subject
        self._options = options
        self._request_rules: list[ScrubRule] = []
        self._response_rules: list[ScrubRule] = []
        self._states: list[State] = []
        self._early: list[Any] = []
        self._checked_rules = 0
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Guard ``app``. Reads ``AIGUARD_*`` from ``app.config`` first, then from the environment.

        Raises:
            ConfigurationError: the application is guarded already, or cannot be: bad settings, policy or database.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError("this application has an AIGuard already; create one, and call init_app once")
        if app._got_first_request:  # noqa: SLF001 - Flask has no public way to ask
            raise ConfigurationError("this application serves already; call init_app before its first request")
        settings = Settings.load({key: value for key, value in app.config.items() if key.startswith("AIGUARD_")})
        with app.app_context():  # an engine that is given as a function may ask for the current application
            guard = open_guard(settings, authoriser=self._authoriser, **self._options)
        state = State(guard, self._actor, self._subject)
        state.scrubs = (self._request_rules, self._response_rules)
        app.extensions[EXTENSION] = state
        self._states.append(state)
        for client in self._early:
            client.timeout = settings.provider_timeout_seconds
        if Blocked not in app.error_handler_spec[None][None]:  # the application's own handler stays
            app.register_error_handler(Blocked, answer_blocked)
        # First in, last out, whatever was registered before: what others read is scrubbed, what others write is too.
        app.before_request_funcs.setdefault(None, []).insert(0, self._scrub_incoming)
        app.after_request_funcs.setdefault(None, []).insert(0, self._scrub_outgoing)
        app.teardown_request(end_access)
        app.wsgi_app = self._around(app, state, app.wsgi_app)  # type: ignore[method-assign]
        _add_commands(app, settings)

    def _around(self, app: Flask, state: State, serve: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(serve)
        def guarded(environ: Any, start_response: Any) -> Any:
            state.check_routes(app)
            self._check_rules(app)

            def start(*args: Any) -> Any:
                if self._response_rules and has_request_context() and not g.get(_LOOKED_AT):
                    self._refuse_unseen()
                return start_response(*args)

            around, grants = environ.get(GRANTS), []  # type: ignore[var-annotated]
            environ[GRANTS] = grants
            end = functools.partial(end_all, grants)
            before = resume(None)  # a request begins with nobody, whoever the thread served before
            try:
                body = serve(environ, start)
            except BaseException:
                end()
                raise
            finally:
                environ[GRANTS] = around
                resume(before)
            return EndingWith(body, end) if any(access.alive for access in grants) else body

        return guarded

    def _check_rules(self, app: Flask) -> None:
        """A scrubbing rule for a route that does not exist is a misspelt one."""
        rules = (*self._request_rules, *self._response_rules)
        if len(self._states) > 1 or self._checked_rules == len(rules):
            return
        names = {name for rule in app.url_map.iter_rules() for name in (rule.rule, rule.endpoint)}
        for pattern in (pattern for rule in rules for pattern in rule.routes):
            if not any(matches(pattern, name) for name in names):
                raise ConfigurationError(
                    f"scrub_request or scrub_response names the route {pattern!r}, which does not exist; write it as "
                    "registered (/tickets/<int:id>), or as an endpoint"
                )
        self._checked_rules = len(rules)

    def _refuse_unseen(self) -> None:
        """An error page whose way out broke down before it was looked at is not shown."""
        if any(rule.applies(request.method, *route_names()) for rule in self._response_rules):
            raise ControlFailed(blocked_decision("response.unseen", "the response could not be looked at"))

    @property
    def guard(self) -> Guard:
        """The guard of the current access, else of the current application, else of the only application there is."""
        access = current_access()
        if access is not None:
            for known in self._states:
                if access.realm is known.guard:
                    return known.guard
        if has_app_context():
            state = current_app.extensions.get(EXTENSION)
            if isinstance(state, State) and state in self._states:
                return state.guard
        if len(self._states) == 1:
            return self._states[0].guard
        if not self._states:
            raise ConfigurationError("this AIGuard has no application yet; call init_app(app) first")
        raise ConfigurationError("this AIGuard has several applications; use it inside an application context")

    def client(self, cls: type[ClientT], **options: Any) -> ClientT:
        """A client of the given SDK class (``openai.OpenAI``) whose every request passes the guard of the current app."""
        settings = self.guard.settings if self._states else Settings.load()
        if self._states:
            need_credential(cls, settings)
        client = connect(cls, lambda: self.guard, settings, **options)
        if not self._states and "timeout" not in options:
            self._early.append(client)  # the application's configuration may say another time limit
        return client

    def scrub_request(self, *routes: str, methods: Sequence[str] = (), rules: Rules | None = None) -> None:
        """Scrub what comes in at ``routes`` before any view reads it, with or without a model call.

        ``routes`` are URL rules as registered (``/tickets/<int:id>``) or endpoint names; ``*`` matches anything. JSON, forms
        and text are read; any other body is refused (415). ``rules`` maps types to operators as in a
        policy; by default all is replaced.
        """
        self._request_rules.append(ScrubRule.of(routes, methods, rules, detector=self._options.get("detector")))

    def scrub_response(self, *routes: str, methods: Sequence[str] = (), rules: Rules | None = None) -> None:
        """Scrub what goes out at ``routes``; a streamed response is read in full first.

        What was restored for this request's actor stays.
        """
        self._response_rules.append(ScrubRule.of(routes, methods, rules, detector=self._options.get("detector")))

    def _scrub_incoming(self) -> None:
        for rule in self._request_rules:
            if rule.applies(request.method, *route_names()):
                replace_request_body(current_state().guard, rule)

    def _scrub_outgoing(self, response: Response) -> Response:
        keep_streaming(response)
        refusal: Blocked | None = None
        for rule in self._response_rules:
            if refusal is None and rule.applies(request.method, *route_names()):
                refusal = replace_response_body(current_state().guard, rule, response)
        setattr(g, _LOOKED_AT, True)
        if refusal is None:
            return response
        response.close()
        return answer_blocked(refusal)


def _add_commands(app: Flask, settings: Settings) -> None:
    """``flask aiguard …``: the same commands as ``aiguard …``, with this application's settings."""
    from aiguard.cli import command_group

    app.cli.add_command(command_group(settings, app=app), name="aiguard")
