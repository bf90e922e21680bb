"""``AIGuardMiddleware``: finds out whether a rule is for a request, and leaves alone what none is for."""

from __future__ import annotations

from collections.abc import Iterable

from aiguard.middleware.mount import Mount
from aiguard.wsgi.exchange import Application, StartResponse, WsgiExchange, headers_of
from aiguard.wsgi.reading import Environ


class AIGuardMiddleware(Mount[Application]):
    """Guards the routes of a WSGI application that rules name; the others are passed on untouched.

    Args:
        app: any WSGI application.
        guard: the guard to use; by default one is opened, and closed by :meth:`close` or when the process ends.
        rules: route rules beside those of the policy, which come first: :class:`RouteRule`, or tables with its keys.
        options: what :func:`aiguard.runtime.open_guard` takes (``settings``, ``policy``, ``engine``, ``detector`` …).

    Raises:
        ConfigurationError: there is no rule, a rule cannot work, or the guard cannot start.
    """

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        sent = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
        raw = _text(sent.partition("?")[0]) if "%" in sent else ""
        rules = self._at(_text(environ.get("PATH_INFO", "")), raw, _text(environ.get("SCRIPT_NAME", "")))
        if not rules:
            return self.app(environ, start_response)
        plan = self.table.plan(rules, environ.get("REQUEST_METHOD", "GET"), headers_of(environ))
        if plan is None:
            return self.app(environ, start_response)
        return WsgiExchange(self.guard, plan, self.app, environ, start_response).run()


def _text(path: str) -> str:
    """A path of the environment, whose characters are bytes (PEP 3333)."""
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")
