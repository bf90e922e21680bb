"""Sign-in with flask-login, and the defence of forms and POSTs against other sites.

Two people: an agent, who may use the assistant, and a viewer, who may not. A real desk would keep them in its database.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, current_app, redirect, render_template, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response as AnyResponse

blueprint = Blueprint("accounts", __name__)
HEADER = "X-CSRF-Token"


@dataclass
class User(UserMixin):  # type: ignore[misc]  # flask-login has no types
    """Somebody with a password. ``ai_scopes`` and ``tenant`` are what aiguard reads."""

    id: str
    name: str
    password_hash: str
    ai_scopes: frozenset[str] = frozenset()
    tenant: str = "demo-shop"


def passwords() -> dict[str, str]:
    """The two passwords: from ``EXAMPLE_AGENT_PASSWORD`` and ``EXAMPLE_VIEWER_PASSWORD``, else new ones for this start."""
    found = {}
    for name in ("agent", "viewer"):
        variable = f"EXAMPLE_{name.upper()}_PASSWORD"
        found[name] = os.environ.setdefault(variable, secrets.token_urlsafe(9))
    return found


def init_app(app: Flask) -> None:
    """Give ``app`` users, sessions, the sign-in pages and the CSRF check."""
    app.config.setdefault("EXAMPLE_PASSWORDS", passwords())
    app.secret_key = app.secret_key or os.environ.get("EXAMPLE_SECRET_KEY") or secrets.token_bytes(32)
    app.config.update(SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_NAME="desk")
    words = app.config["EXAMPLE_PASSWORDS"]
    agent_scopes = frozenset({"support:reply", "support:summarize"})
    people = (
        User(
            id="agent",
            name="Mira (agent)",
            password_hash=generate_password_hash(words["agent"]),
            ai_scopes=agent_scopes,
        ),
        User(id="viewer", name="Noor (viewer)", password_hash=generate_password_hash(words["viewer"])),
    )
    app.extensions["desk_users"] = {user.id: user for user in people}

    login = LoginManager(app)
    login.login_view = "accounts.sign_in"
    login.login_message = None
    login.user_loader(app.extensions["desk_users"].get)
    app.register_blueprint(blueprint)
    app.before_request(refuse_other_sites)
    app.after_request(harden)
    app.context_processor(lambda: {"csrf_token": csrf_token})


def csrf_token() -> str:
    """The session's token, for forms and for the header of scripts."""
    return str(session.setdefault("csrf", secrets.token_urlsafe(24)))


def refuse_other_sites() -> Response | None:
    """A request that changes something must come from a page of ours: right origin, right token.

    A request without a session has nothing that another site could abuse; signing in is checked all the same.
    """
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    if not current_user.is_authenticated and request.endpoint != "accounts.sign_in":
        return None
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return _forbidden("it came from another site")
    is_form = request.mimetype == "application/x-www-form-urlencoded" and request.blueprint == "accounts"
    given = request.headers.get(HEADER) or (request.form.get("csrf_token") if is_form else None) or ""
    expected = session.get("csrf")
    if not expected or not hmac.compare_digest(given.encode(), str(expected).encode()):
        return _forbidden("its token is missing or old; reload the page")
    return None


def _forbidden(why: str) -> Response:
    document = {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": f"the request was refused: {why}"}
    return Response(json.dumps(document), status=403, content_type="application/problem+json")


def harden(response: Response) -> Response:
    """Headers that keep scripts and frames of others out."""
    response.headers.setdefault(
        "Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; form-action 'self'"
    )
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> AnyResponse | str | tuple[str, int]:
    """The sign-in page and its form."""
    if request.method == "GET":
        return (
            redirect(url_for("desk"))
            if current_user.is_authenticated
            else render_template("sign_in.html", failed=False)
        )
    users = current_app.extensions["desk_users"]
    user = users.get(request.form.get("name", ""))
    # An unknown name costs as much time as a wrong password, so names cannot be guessed by the clock.
    known = check_password_hash((user or users["viewer"]).password_hash, request.form.get("password", ""))
    if user is None or not known:
        return render_template("sign_in.html", failed=True), 401
    session.clear()
    login_user(user)
    csrf_token()
    return redirect(url_for("desk"))


@blueprint.post("/sign-out")
def sign_out() -> AnyResponse:
    """End the session."""
    logout_user()
    session.clear()
    return redirect(url_for("accounts.sign_in"))
