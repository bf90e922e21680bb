"""The Flask door.

::

    from aiguard.flask import AIGuard, require_ai_scope

    guard = AIGuard(app)                 # or AIGuard(); guard.init_app(app)
    client = guard.client(OpenAI)        # a real openai.OpenAI

    @app.post("/support/reply")
    @require_ai_scope("support:reply")   # below the route, so that the route registers what is guarded
    def reply(): ...

``init_app`` reads the ``AIGUARD_*`` keys of ``app.config`` and the environment (see ``docs/configuration.md``), keeps its
state in ``app.extensions["aiguard"]``, and wraps ``app.wsgi_app`` to check the registered routes before the first request.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any, TypeVar, cast

try:
    import flask
    from flask import Flask, current_app, g, has_app_context, request
    from flask.wrappers import Response
    from werkzeug.exceptions import HTTPException
except ImportError as missing:  # pragma: no cover - exercised in a venv without Flask
    from aiguard.errors import MissingExtra

    raise MissingExtra("aiguard.flask needs Flask: pip install 'aiguard[flask]'") from missing

from aiguard.errors import (
    AIGuardError,
    Blocked,
    ConfigurationError,
    ControlFailed,
    InputRefused,
    UnguardedRoute,
)
from aiguard.guard import Guard, connect
from aiguard.hooks import ScrubRule, recorded, scrub_request_body, scrub_response_body
from aiguard.identity import (
    Access,
    Authoriser,
    Conversation,
    IterateWithin,
    ScopeMarker,
    find_unguarded,
    has_scope,
    hold,
    mark,
    marker_of,
)
from aiguard.problems import MEDIA_TYPE, problem, provider_failure
from aiguard.runtime import open_guard
from aiguard.settings import Settings
from aiguard.types import Actor, Decision, Effect, Operator, Reason

__all__ = ["AIGuard", "require_ai_scope"]

logger = logging.getLogger("aiguard")

EXTENSION = "aiguard"
_ACCESS = "_aiguard_access"
_STREAMS = "_aiguard_streams"

ViewT = TypeVar("ViewT", bound=Callable[..., Any])
ClientT = TypeVar("ClientT")
ActorResolver = Callable[[], Actor | None]
SubjectResolver = Callable[[], str]


class _State:
    """What one application has: its guard, its resolvers, and whether its routes were checked."""

    def __init__(self, guard: Guard, actor: ActorResolver, subject: SubjectResolver | None) -> None:
        self.guard = guard
        self.actor = actor
        self.subject = subject
        self.checked_views: int | None = None

    def check_routes(self, app: Flask) -> None:
        """Refuse to serve while a route lacks the guard it was meant to have, or names a scope that policy does not know."""
        if self.checked_views == len(app.view_functions):
            return
        for endpoint, scope in find_unguarded(app.view_functions):
            raise UnguardedRoute(
                f"the view {endpoint!r} is meant to need the scope {scope!r}, but its route registered the bare function: "
                "put @require_ai_scope directly below @app.route, so that the route registers what it returns"
            )
        for endpoint, view in app.view_functions.items():
            marker = marker_of(view)
            if marker is None:
                continue
            policy = self.guard.policy
            if marker.feature is not None and marker.feature not in policy.features:
                raise UnguardedRoute(
                    f"the view {endpoint!r} names the feature {marker.feature!r}, which policy does not know"
                )
            if marker.feature is None and policy.feature_for_scope(marker.scope) is None:
                raise UnguardedRoute(
                    f"the view {endpoint!r} needs the scope {marker.scope!r}, for which policy has no feature; "
                    "add one to the policy or correct the scope"
                )
        self.checked_views = len(app.view_functions)


class AIGuard:
    """The extension: one guard an application.

    Args:
        app: the application; or call :meth:`init_app` later, once for each.
        actor: who is calling, for the current request, or None; by default flask-login's ``current_user``, with its
            ``get_id()``, ``ai_scopes`` (the scopes it has) and ``tenant`` (optional).
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
        self._actor = actor or _flask_login_actor
        self._authoriser = authoriser
        self._subject = subject
        self._options = options
        self._request_rules: list[ScrubRule] = []
        self._response_rules: list[ScrubRule] = []
        self._states: list[_State] = []
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Guard ``app``. Reads ``AIGUARD_*`` from ``app.config`` first, then from the environment.

        Raises:
            ConfigurationError: the application is guarded already, or cannot be: bad settings, policy or database.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError("this application has an AIGuard already; create one, and call init_app once")
        settings = Settings.load({key: value for key, value in app.config.items() if key.startswith("AIGUARD_")})
        guard = open_guard(settings, authoriser=self._authoriser, **self._options)
        state = _State(guard, self._actor, self._subject)
        app.extensions[EXTENSION] = state
        self._states.append(state)
        app.register_error_handler(Blocked, _answer_blocked)
        app.before_request(self._scrub_incoming)
        app.after_request(self._scrub_outgoing)
        app.teardown_request(_end_access)
        serve = app.wsgi_app

        def checked(environ: Any, start_response: Any) -> Any:
            state.check_routes(app)
            return serve(environ, start_response)

        app.wsgi_app = checked  # type: ignore[method-assign]
        _add_commands(app, settings)

    @property
    def guard(self) -> Guard:
        """The guard of the current application; outside of one, of the only application there is."""
        if has_app_context():
            state = current_app.extensions.get(EXTENSION)
            if isinstance(state, _State) and state in self._states:
                return state.guard
        if len(self._states) == 1:
            return self._states[0].guard
        if not self._states:
            raise ConfigurationError("this AIGuard has no application yet; call init_app(app) first")
        raise ConfigurationError("this AIGuard has several applications; use it inside an application context")

    def client(self, cls: type[ClientT], **options: Any) -> ClientT:
        """A client of the given SDK class (``openai.OpenAI``) whose every request passes the guard of the current app."""
        settings = self.guard.settings if self._states else Settings.load()
        return connect(cls, lambda: self.guard, settings, **options)

    def call(self, fn: Callable[..., Any], messages: Any, *, model: str, **options: Any) -> Any:
        """See :meth:`aiguard.guard.Guard.call`."""
        return self.guard.call(fn, messages, model=model, **options)

    async def acall(self, fn: Callable[..., Any], messages: Any, *, model: str, **options: Any) -> Any:
        """See :meth:`aiguard.guard.Guard.acall`."""
        return await self.guard.acall(fn, messages, model=model, **options)

    @contextmanager
    def acting_as(self, actor: Actor, *, scope: str, **options: Any) -> Iterator[Access]:
        """See :meth:`aiguard.guard.Guard.acting_as`."""
        with self.guard.acting_as(actor, scope=scope, **options) as access:
            yield access

    @contextmanager
    def conversation(self, id: str) -> Iterator[Conversation]:
        """See :meth:`aiguard.guard.Guard.conversation`."""
        with self.guard.conversation(id) as conversation:
            yield conversation

    def scrub_request(
        self, *routes: str, methods: Sequence[str] = (), rules: Mapping[str, Operator | str] | None = None
    ) -> None:
        """Scrub what comes in at ``routes`` before any view reads it, with or without a model call.

        ``routes`` are URL rules as registered (``/tickets/<int:id>``) or endpoint names; ``*`` matches anything. JSON, forms
        and text are read; any other body is refused (415). ``rules`` maps types to operators; by default all is replaced.
        """
        self._request_rules.append(ScrubRule.of(routes, methods, rules))

    def scrub_response(
        self, *routes: str, methods: Sequence[str] = (), rules: Mapping[str, Operator | str] | None = None
    ) -> None:
        """Scrub what goes out at ``routes``; a streamed response is read in full first.

        What was restored for this request's actor stays.
        """
        self._response_rules.append(ScrubRule.of(routes, methods, rules))

    def _scrub_incoming(self) -> None:
        for rule in self._request_rules:
            if rule.applies(request.method, *_names()):
                _replace_request_body(_state().guard, rule)

    def _scrub_outgoing(self, response: Response) -> Response:
        for rule in self._response_rules:
            if rule.applies(request.method, *_names()):
                try:
                    _replace_response_body(_state().guard, rule, response)
                except Blocked as blocked:
                    return _answer_blocked(blocked)
        return response


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
                with _failures_reported(access), hold(access):
                    _limit_body()
                    return _bind(access, await view(*args, **kwargs))

            wrapper: Callable[..., Any] = guarded_async
        else:

            @functools.wraps(view)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                access = _enter(marker, subject)
                with _failures_reported(access), hold(access):
                    _limit_body()
                    return _bind(access, current_app.ensure_sync(view)(*args, **kwargs))

            wrapper = guarded
        mark(wrapper, view, marker)
        return cast("ViewT", wrapper)

    return decorate


# --- identity ---------------------------------------------------------------------------------------------------


def _state() -> _State:
    state = current_app.extensions.get(EXTENSION)
    if not isinstance(state, _State):
        raise ConfigurationError("this application has no AIGuard; call AIGuard(app) or init_app(app) before it serves")
    return state


def _enter(marker: ScopeMarker, subject: SubjectResolver | None) -> Access:
    """Admit the caller of the current request."""
    state = _state()
    failure = None
    actor, about = None, None
    try:
        actor = state.actor()
        resolve = subject or state.subject
        about = resolve() if resolve is not None and actor is not None else None
    except (AIGuardError, HTTPException):
        raise
    except Exception as error:  # noqa: BLE001 - fail closed: who is calling, or about whom, is not known
        failure = type(error).__name__
    if failure is not None:
        logger.error("the actor or subject resolver raised %s", failure)
        raise ControlFailed(
            _blocked("actor.failed", f"who is calling could not be resolved ({failure})", guard=state.guard)
        )
    route = request.url_rule.rule if request.url_rule is not None else ""
    g.setdefault("_aiguard_scope", marker.scope)
    access = state.guard.admit(actor, marker.scope, feature=marker.feature, subject=about, route=route, wait=False)
    setattr(g, _ACCESS, access)
    return access


def _bind(access: Access, result: Any) -> Response:
    """Turn a view's result into a response whose end is the identity's end."""
    _state().guard.settle(access)
    response = current_app.make_response(result)
    if response.is_streamed:
        response.response = IterateWithin(access, response.response)
        setattr(g, _STREAMS, True)
    response.call_on_close(access.end)
    return response


def _end_access(error: BaseException | None = None) -> None:
    """The request is over: so is its identity, unless its response is still streaming."""
    access = g.get(_ACCESS)
    if isinstance(access, Access) and (error is not None or not g.get(_STREAMS)):
        access.end()


def _flask_login_actor() -> Actor | None:
    try:
        from flask_login import current_user
    except ImportError:
        raise ConfigurationError(
            "AIGuard asks flask-login who is calling, and flask-login is not installed; "
            "install it, or give AIGuard(app, actor=...) a function that returns an aiguard.Actor or None"
        ) from None
    if not hasattr(current_app, "login_manager"):
        raise ConfigurationError(
            "flask-login is installed but has no LoginManager on this application; set one up, or give AIGuard(app, actor=...)"
        )
    if not current_user.is_authenticated:
        return None
    scopes = getattr(current_user, "ai_scopes", ())
    return Actor(
        id=str(current_user.get_id()),
        scopes=frozenset(scopes() if callable(scopes) else scopes),
        tenant=getattr(current_user, "tenant", None),
    )


# --- failures ---------------------------------------------------------------------------------------------------


@contextmanager
def _failures_reported(access: Access) -> Iterator[None]:
    """Turn failures of a guarded view that the application does not handle itself into problem+json, with the id."""
    refusal: Blocked | None = None
    try:
        yield
    except Blocked:
        access.end()
        raise
    except HTTPException as error:
        if error.code not in (400, 413, 415, 422) or _handled_by_app(error):
            access.end()
            raise
        refusal = _refused_input(_state().guard, error.code, access.route, access)
    except Exception as error:
        refusal = provider_failure(error, policy_hash=_state().guard.policy.hash)
        if refusal is None or _handled_by_app(error):
            access.end()
            raise
    except BaseException:
        access.end()
        raise
    if refusal is not None:
        access.end()
        raise refusal


def _refused_input(guard: Guard, status: int, route: str, access: Access | None = None) -> Blocked:
    details = {
        413: "the body is larger than is read here",
        415: "the body is of a type that is not read here",
        422: "the body could not be processed",
    }
    detail = details.get(status, "the body could not be read as what it claims to be")
    decision = _blocked(f"request.{status}", detail, status, guard=guard)
    payload = {"status": status, "route": route, "parent": access.decision_id if access is not None else ""}
    resource = access.feature if access is not None else ""
    return recorded(guard, InputRefused(decision), "request.refused", payload, resource=resource)


def _handled_by_app(error: Exception) -> bool:
    find = current_app._find_error_handler  # noqa: SLF001 - Flask has no public way to ask
    return find(error, request.blueprints) is not None


def _blocked(code: str, detail: str, status: int | None = None, *, guard: Guard | None = None) -> Decision:
    return Decision(
        effect=Effect.BLOCK,
        reasons=(Reason(code=code, detail=detail, status=status),),
        policy_hash=guard.policy.hash if guard is not None else "",
    )


def _answer_blocked(blocked: Blocked) -> Response:
    document = problem(blocked, scope=g.get("_aiguard_scope"))
    logger.info("answered %s for decision %s", document.status, blocked.decision_id)
    response = current_app.response_class(document.body, status=document.status)
    for name, value in document.headers:
        response.headers[name] = value
    return response


# --- bodies -----------------------------------------------------------------------------------------------------


def _limit_body() -> None:
    """Bound the body of a guarded view: by its length where it says it, else while it is read."""
    limit = _state().guard.settings.max_body_bytes
    own = request.max_content_length
    request.max_content_length = limit if own is None else min(own, limit)
    if request.content_length is not None and request.content_length > request.max_content_length:
        flask.abort(413)


def _names() -> tuple[str, str]:
    """The route template and the endpoint of the current request; empty where nothing matched."""
    return (request.url_rule.rule if request.url_rule is not None else "", request.endpoint or "")


def _replace_request_body(guard: Guard, rule: ScrubRule) -> None:
    route, _ = _names()
    refusal: Blocked | None = None
    content = b""
    try:
        _limit_body()
        content = request.get_data(cache=False, parse_form_data=False)
    except HTTPException as error:
        refusal = _refused_input(guard, error.code or 400, route)
    if refusal is not None:
        raise refusal
    scrubbed = scrub_request_body(
        guard,
        rule,
        content,
        content_type=request.headers.get("Content-Type", ""),
        encoding=request.headers.get("Content-Encoding", ""),
        route=route,
    )
    request.environ["wsgi.input"] = BytesIO(scrubbed.content)
    request.environ["CONTENT_LENGTH"] = str(len(scrubbed.content))
    request.environ.pop("HTTP_TRANSFER_ENCODING", None)
    for cached in ("stream", "data", "form", "files", "values", "content_length", "_cached_data", "_cached_json"):
        request.__dict__.pop(cached, None)


def _replace_response_body(guard: Guard, rule: ScrubRule, response: Response) -> None:
    if response.mimetype == MEDIA_TYPE or request.method == "HEAD":
        return
    access = g.get(_ACCESS)
    response.direct_passthrough = False
    scrubbed = scrub_response_body(
        guard,
        rule,
        response.get_data(),
        content_type=response.headers.get("Content-Type", ""),
        encoding="partial" if response.status_code == 206 else response.headers.get("Content-Encoding", ""),
        route=_names()[0],
        exempt=access.lease.was_restored if isinstance(access, Access) else None,
    )
    if scrubbed.counts:
        for name in ("ETag", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges"):
            response.headers.pop(name, None)
        response.set_data(scrubbed.content)


# --- commands ---------------------------------------------------------------------------------------------------


def _add_commands(app: Flask, settings: Settings) -> None:
    """``flask aiguard …``: the same commands as ``aiguard …``, with this application's settings."""
    from aiguard.cli import command_group

    app.cli.add_command(command_group(settings), name="aiguard")
