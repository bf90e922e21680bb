"""Sign-in with Starlette's own sessions and authentication, and the defence of forms and POSTs against other sites.

Two people: a member, who may chat, and a guest, who may not. A real shop would keep them in its database.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-csrf-token"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class User(BaseUser):
    """Somebody with a password. ``identity`` and ``tenant`` are what aiguard reads, and the scopes of their credentials."""

    tenant = "demo-shop"

    def __init__(self, identity: str, name: str, password: str, scopes: frozenset[str]) -> None:
        self._identity, self.name, self.scopes = identity, name, scopes
        self._salt = secrets.token_bytes(16)
        self._hash = self._hashed(password)

    @property
    def is_authenticated(self) -> bool:
        """They are."""
        return True

    @property
    def identity(self) -> str:
        """The id of the account."""
        return self._identity

    def _hashed(self, password: str) -> bytes:
        return hashlib.scrypt(password.encode(), salt=self._salt, n=2**14, r=8, p=1)

    def knows(self, password: str) -> bool:
        """Whether the password is theirs."""
        return hmac.compare_digest(self._hashed(password), self._hash)


def passwords() -> dict[str, str]:
    """The two passwords: from ``EXAMPLE_MEMBER_PASSWORD`` and ``EXAMPLE_GUEST_PASSWORD``, else new ones for this start."""
    return {
        name: os.environ.setdefault(f"EXAMPLE_{name.upper()}_PASSWORD", secrets.token_urlsafe(9))
        for name in ("member", "guest")
    }


@dataclass(frozen=True)
class Sessions(AuthenticationBackend):
    """The session's user, with their scopes."""

    users: Mapping[str, User]

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """Who is signed in, or nobody."""
        user = self.users.get(str(conn.session.get("user", "")))
        return (AuthCredentials(sorted(user.scopes)), user) if user is not None else None


class Harden:
    """Headers that keep scripts and frames of others out, and a refusal of what another site sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] == "http" and _from_elsewhere(scope):
            await _forbidden("it came from another site")(scope, receive, sending)
        else:
            await self.app(scope, receive, sending)


def _from_elsewhere(scope: Scope) -> bool:
    request = HTTPConnection(scope)
    origin = request.headers.get("origin")
    return (
        scope["method"] not in ("GET", "HEAD", "OPTIONS")
        and origin is not None
        and urlsplit(origin).netloc != request.headers.get("host")
    )


def _forbidden(why: str) -> Response:
    detail = f"the request was refused: {why}"
    document = {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": detail}
    return JSONResponse(document, status_code=403, media_type="application/problem+json")


def csrf_token(request: Request) -> str:
    """The session's token, for forms and for the header of scripts."""
    return str(request.session.setdefault("csrf", secrets.token_urlsafe(24)))


def refused(request: Request, given: str | None) -> Response | None:
    """A refusal unless ``given`` is the session's token; nobody signed in is for the guard to say."""
    expected = request.session.get("csrf")
    if expected and hmac.compare_digest((given or "").encode(), str(expected).encode()):
        return None
    return _forbidden("its token is missing or old; reload the page")


class Accounts:
    """The sign-in pages, over two users made for this start."""

    def __init__(self, templates: Jinja2Templates, words: Mapping[str, str]) -> None:
        self._templates = templates
        self.users = {
            "member": User("member", "Mira (member)", words["member"], frozenset({"chat:ask"})),
            "guest": User("guest", "Noor (guest)", words["guest"], frozenset()),
        }

    def middleware(self) -> list[Middleware]:
        """Headers, sessions, and who is signed in; in this order from the outside."""
        secret = os.environ.get("EXAMPLE_SECRET_KEY") or secrets.token_urlsafe(32)
        return [
            Middleware(Harden),
            Middleware(SessionMiddleware, secret_key=secret, session_cookie="chat", same_site="lax", max_age=8 * 3600),
            Middleware(AuthenticationMiddleware, backend=Sessions(self.users)),
        ]

    async def sign_in(self, request: Request) -> Response:
        """The sign-in page and its form."""
        if request.method == "GET":
            if request.user.is_authenticated:
                return RedirectResponse("/", status_code=302)
            return self._page(request, failed=False)
        form = await request.form()
        if (forbidden := refused(request, str(form.get("csrf_token", "")))) is not None:
            return forbidden
        user = self.users.get(str(form.get("name", "")))
        # An unknown name costs as much time as a wrong password, so names cannot be guessed by the clock.
        known = await run_in_threadpool((user or self.users["guest"]).knows, str(form.get("password", "")))
        if user is None or not known:
            return self._page(request, failed=True)
        request.session.clear()
        request.session["user"] = user.identity
        csrf_token(request)
        return RedirectResponse("/", status_code=302)

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        form = await request.form()
        if (forbidden := refused(request, str(form.get("csrf_token", "")))) is not None:
            return forbidden
        request.session.clear()
        return RedirectResponse("/sign-in", status_code=302)

    def _page(self, request: Request, *, failed: bool) -> Response:
        context = {"csrf_token": csrf_token(request), "failed": failed}
        return self._templates.TemplateResponse(request, "sign_in.html", context, status_code=401 if failed else 200)
