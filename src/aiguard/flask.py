"""The Flask door.

::

    from aiguard.flask import AIGuard, require_ai_scope

    guard = AIGuard(app)                 # or AIGuard(); guard.init_app(app)
    client = guard.client(OpenAI)        # a real openai.OpenAI

    @app.post("/support/reply")
    @require_ai_scope("support:reply")   # below the route, so that the route registers what is guarded
    def reply(): ...

``init_app`` reads the ``AIGUARD_*`` keys of ``app.config`` and the environment (see ``docs/configuration.md``), keeps its
state in ``app.extensions["aiguard"]``, and wraps ``app.wsgi_app``: to check the registered routes before the first request, and
to end a caller's identity when the server closes the response.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any, TypeVar, cast

try:
    from flask import Flask, current_app, g, has_app_context, has_request_context, request
    from flask.wrappers import Response
    from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
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
from aiguard.hooks import Rules, ScrubRule, matches, recorded, scrub_request_body, scrub_response_body
from aiguard.identity import (
    Access,
    Authoriser,
    Conversation,
    EndingWith,
    IterateWithin,
    ScopeMarker,
    current_access,
    find_unguarded,
    has_scope,
    hold,
    mark,
    markers_of,
)
from aiguard.problems import problem, provider_failure, raised_in, unreadable_text
from aiguard.runtime import open_guard
from aiguard.settings import Settings
from aiguard.types import Actor, Decision, Effect, Reason

__all__ = ["AIGuard", "require_ai_scope"]

logger = logging.getLogger("aiguard")

EXTENSION = "aiguard"
_GRANTS = "aiguard.grants"
_READ = "aiguard.body_read"
_OURS = "_aiguard_problem"
_STREAMS = "_aiguard_streams"
_SCOPE = "_aiguard_scope"
_LOOKED_AT = "_aiguard_looked_at"
_READERS = frozenset(
    {"aiguard.flask", "flask.wrappers", "werkzeug.formparser", "werkzeug.wrappers.request", "werkzeug.wsgi"}
)
"""Modules that raise HTTP exceptions about a body; one that the application raises itself is the application's answer."""
_DETAILS = {
    400: "the body could not be read as what it claims to be",
    413: "the body is larger than is read here",
    415: "the body is of a type that is not read here",
}

ViewT = TypeVar("ViewT", bound=Callable[..., Any])
ClientT = TypeVar("ClientT")
ActorResolver = Callable[[], Actor | None]
SubjectResolver = Callable[[], str]


class _State:
    """What one application has: its guard, its resolvers, and which of its routes were checked."""

    def __init__(self, guard: Guard, actor: ActorResolver, subject: SubjectResolver | None) -> None:
        self.guard = guard
        self.actor = actor
        self.subject = subject
        self._checked: dict[str, Any] | None = None

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
        wanted = [(endpoint, marker) for endpoint, view in views.items() for marker in markers_of(view)]
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
        if wanted and self.actor is _flask_login_actor:
            _check_flask_login(app)
        self._checked = views


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
        guard = open_guard(settings, authoriser=self._authoriser, **self._options)
        state = _State(guard, self._actor, self._subject)
        app.extensions[EXTENSION] = state
        self._states.append(state)
        if Blocked not in app.error_handler_spec[None][None]:  # the application's own handler stays
            app.register_error_handler(Blocked, _answer_blocked)
        # First in, last out, whatever was registered before: what others read is scrubbed, what others write is too.
        app.before_request_funcs.setdefault(None, []).insert(0, self._scrub_incoming)
        app.after_request_funcs.setdefault(None, []).insert(0, self._scrub_outgoing)
        app.teardown_request(_end_access)
        app.wsgi_app = self._around(app, state, app.wsgi_app)  # type: ignore[method-assign]
        _add_commands(app, settings)

    def _around(self, app: Flask, state: _State, serve: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(environ: Any, start_response: Any) -> Any:
            state.check_routes(app)
            self._check_rules(app)

            def start(*args: Any) -> Any:
                if self._response_rules and has_request_context() and not g.get(_LOOKED_AT):
                    self._refuse_unseen()
                return start_response(*args)

            around, grants = environ.get(_GRANTS), []  # type: ignore[var-annotated]
            environ[_GRANTS] = grants
            end = functools.partial(_end, grants)
            try:
                body = serve(environ, start)
            except BaseException:
                end()
                raise
            finally:
                environ[_GRANTS] = around
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
        if any(rule.applies(request.method, *_names()) for rule in self._response_rules):
            raise ControlFailed(_blocked("response.unseen", "the response could not be looked at"))

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
            if rule.applies(request.method, *_names()):
                _replace_request_body(_state().guard, rule)

    def _scrub_outgoing(self, response: Response) -> Response:
        refusal: Blocked | None = None
        for rule in self._response_rules:
            if refusal is None and rule.applies(request.method, *_names()):
                refusal = _replace_response_body(_state().guard, rule, response)
        setattr(g, _LOOKED_AT, True)
        if refusal is None:
            return response
        response.close()
        return _answer_blocked(refusal)


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
    route, _ = _names()
    failure, raised = None, ""
    actor, about = None, None
    try:
        actor = _checked_actor(state.actor())
        resolve = subject or state.subject
        about = _checked_subject(resolve()) if resolve is not None and actor is not None else None
    except (AIGuardError, HTTPException):
        raise
    except Exception as error:  # noqa: BLE001 - fail closed: who is calling, or about whom, is not known
        failure, raised = type(error).__name__, raised_in(error)
    refusal: Blocked
    if failure is not None:
        decision = _blocked("actor.failed", f"who is calling could not be resolved ({failure})", guard=state.guard)
        logger.error("resolving the actor or subject raised %s in %s; decision %s", failure, raised, decision.id)
        payload = {"scope": marker.scope, "route": route}
        refusal = recorded(state.guard, ControlFailed(decision), "access.denied", payload)
    else:
        try:
            access = state.guard.admit(
                actor, marker.scope, feature=marker.feature, subject=about, route=route, wait=False
            )
        except Blocked as denied:
            refusal = denied
        else:
            _grants().append(access)
            return access
    _name_scope(refusal, marker.scope)
    raise refusal


def _checked_actor(actor: object) -> Actor | None:
    if actor is None:
        return None
    if not isinstance(actor, Actor):
        raise TypeError("an actor resolver returns an aiguard.Actor or None")
    if not isinstance(actor.id, str) or not isinstance(actor.tenant, str | None):
        raise TypeError("an Actor's id and tenant are texts")
    return actor


def _checked_subject(subject: object) -> str | None:
    if subject is not None and not (isinstance(subject, str) and subject):
        raise TypeError("a subject resolver returns the id of a person as a text, or None for the actor")
    return subject


def _grants() -> list[Access]:
    """The accesses of the current request; they end together, with its response."""
    grants = request.environ.get(_GRANTS)
    if not isinstance(grants, list):  # outside of the WSGI call, as in a test's request context
        grants = request.environ[_GRANTS] = []
    return grants


def _end(grants: Sequence[Access]) -> None:
    for access in grants:
        access.end()


def _name_scope(refusal: Blocked, scope: str) -> None:
    """Say on the refusal which scope it is about; the innermost guard that it passed names it."""
    if not hasattr(refusal, _SCOPE):
        setattr(refusal, _SCOPE, scope)


def _bind(access: Access, result: Any) -> Response:
    """Turn a view's result into a response whose end is the identity's end."""
    _state().guard.settle(access)
    response = current_app.make_response(result)
    if response.is_streamed:
        response.response = IterateWithin(access, response.response)
        setattr(g, _STREAMS, True)
    return response


def _end_access(error: BaseException | None = None) -> None:
    """The request is over: so is its identity, unless its response is still streaming."""
    if error is not None or not g.get(_STREAMS):
        _end(_grants())


def _check_flask_login(app: Flask) -> None:
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


def _flask_login_actor() -> Actor | None:
    _check_flask_login(current_app)
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


# --- failures ---------------------------------------------------------------------------------------------------


@contextmanager
def _failures_reported(access: Access) -> Iterator[None]:
    """Turn failures of a guarded view that the application does not handle itself into problem+json, with the id."""
    refusal: Blocked | None = None
    try:
        yield
    except Blocked as blocked:
        access.end()
        _name_scope(blocked, access.scope)
        raise
    except Exception as error:
        refusal = _refusal_for(error, access)
        if refusal is None:
            access.end()
            raise
    except BaseException:
        access.end()
        raise
    if refusal is not None:
        access.end()
        _name_scope(refusal, access.scope)
        raise refusal


def _refusal_for(error: Exception, access: Access) -> Blocked | None:
    """The refusal that an exception of a guarded view stands for; None for what the application answers itself."""
    guard = _state().guard
    try:
        guard.settle(access)
    except Blocked as unrecorded:
        return unrecorded
    if _handled_by_app(error):
        return None
    if isinstance(error, HTTPException):
        if error.code not in _DETAILS or raised_in(error) not in _READERS:
            return None
        return _refused_input(guard, error.code, _DETAILS[error.code], access)
    unreadable = unreadable_text(error)
    if unreadable is not None:
        return _refused_input(guard, 400, unreadable, access)
    return provider_failure(error, policy_hash=guard.policy.hash)


def _refused_input(guard: Guard, status: int, detail: str, access: Access | None = None) -> Blocked:
    decision = _blocked(f"request.{status}", detail, status, guard=guard)
    payload = {"status": status, "route": _names()[0]}
    refusal = InputRefused(decision)
    if access is None:
        return recorded(guard, refusal, "request.refused", payload)
    with hold(access):
        payload["parent"] = access.decision_id
        return recorded(guard, refusal, "request.refused", payload, resource=access.feature)


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
    document = problem(blocked, scope=getattr(blocked, _SCOPE, None))
    logger.info("answered %s for decision %s", document.status, blocked.decision_id)
    response = current_app.response_class(document.body, status=document.status)
    for name, value in document.headers:
        response.headers[name] = value
    setattr(response, _OURS, True)
    return response


# --- bodies -----------------------------------------------------------------------------------------------------


def _limit_body() -> None:
    """Bound the body of a request: by its length where it says it, else by reading it here.

    Werkzeug's stream of a body without a length (in chunks) ends at the limit as if that were all, so that a view would take
    the beginning of a body for the whole.
    """
    if request.environ.get(_READ):
        return
    limit, own = _state().guard.settings.max_body_bytes, request.max_content_length
    limit = limit if own is None else min(own, limit)
    request.max_content_length = limit
    if request.content_length is not None:
        if request.content_length > limit:
            raise RequestEntityTooLarge
    elif "wsgi.input_terminated" in request.environ and "form" not in request.__dict__:
        request.max_content_length = limit + 1
        content = request.get_data(cache=False)
        if len(content) > limit:
            raise RequestEntityTooLarge
        _put_body(content)


def _put_body(content: bytes) -> None:
    """Make ``content`` what the request's body is, however it is read from now on."""
    environ = request.environ
    environ["wsgi.input"] = BytesIO(content)
    environ["CONTENT_LENGTH"] = str(len(content))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ[_READ] = True
    request.max_content_length = len(content)
    for cached in ("stream", "data", "form", "files", "values", "content_length", "_cached_data", "_cached_json"):
        request.__dict__.pop(cached, None)


def _names() -> tuple[str, str]:
    """The route template and the endpoint of the current request; empty where nothing matched."""
    return (request.url_rule.rule if request.url_rule is not None else "", request.endpoint or "")


def _replace_request_body(guard: Guard, rule: ScrubRule) -> None:
    route, _ = _names()
    if "form" in request.__dict__:
        raise ConfigurationError(
            "the form was read before it could be scrubbed, by a URL value preprocessor or a session interface; "
            "read it in a before_request function or later"
        )
    refusal: Blocked | None = None
    content = b""
    try:
        _limit_body()
        content = request.get_data(cache=False, parse_form_data=False)
    except HTTPException as error:
        status = error.code if error.code in _DETAILS else 400
        refusal = _refused_input(guard, status, _DETAILS[status])
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
    _put_body(scrubbed.content)


def _replace_response_body(guard: Guard, rule: ScrubRule, response: Response) -> Blocked | None:
    """Scrub a response in place, or give the refusal to answer instead."""
    if hasattr(response, _OURS) or (request.method == "HEAD" and response.is_streamed):
        return None
    grants = list(_grants())
    try:
        scrubbed = scrub_response_body(
            guard,
            rule,
            _whole(response, guard.settings.max_response_bytes),
            content_type=response.headers.get("Content-Type", ""),
            encoding="partial" if response.status_code == 206 else response.headers.get("Content-Encoding", ""),
            route=_names()[0],
            exempt=lambda value: any(access.lease.was_restored(value) for access in grants),
        )
    except Blocked as blocked:
        return blocked
    if scrubbed.counts:
        for name in ("ETag", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges"):
            response.headers.pop(name, None)
        response.set_data(scrubbed.content)
    return None


def _whole(response: Response, limit: int) -> bytes:
    """A response's body, read in full where it streams; only so far past ``limit`` that it is known to be too large."""
    if not response.is_streamed:
        return response.get_data()
    response.direct_passthrough = False
    body = bytearray()
    for chunk in response.iter_encoded():
        body += chunk
        if len(body) > limit:
            break
    close = getattr(response.response, "close", None)
    if close is not None:
        response.call_on_close(close)
    response.response = [bytes(body)]
    return bytes(body)


# --- commands ---------------------------------------------------------------------------------------------------


def _add_commands(app: Flask, settings: Settings) -> None:
    """``flask aiguard …``: the same commands as ``aiguard …``, with this application's settings."""
    from aiguard.cli import command_group

    app.cli.add_command(command_group(settings), name="aiguard")
