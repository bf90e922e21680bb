"""A person at a browser, as far as HTTP can tell: signs in, keeps cookies and the page's token, posts JSON."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An HTTP answer: status, JSON body (empty when it is none), raw body, and how long it took."""

    status: int
    body: dict[str, Any] = field(repr=False)
    content: bytes = field(repr=False)
    content_type: str
    seconds: float

    @property
    def codes(self) -> tuple[str, ...]:
        """The reason codes of a refusal."""
        return tuple(str(reason.get("code")) for reason in self.body.get("reasons", ()))

    @property
    def decision_id(self) -> str:
        """The decision id of a refusal, else empty."""
        return str(self.body.get("decision_id", ""))


class Browser:
    """One keep-alive connection with one session. Not for sharing between threads."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._connection = HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)
        self.cookies: dict[str, str] = {}
        self.token = ""

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        """Send one request. A connection that the server closed meanwhile is opened again once."""
        sent = dict(headers or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        for attempt in (1, 2):
            begin = time.perf_counter()
            try:
                self._connection.request(method, path, body=body, headers=sent)
                response = self._connection.getresponse()
                content = response.read()
            except (HTTPException, ConnectionError):
                self._connection.close()
                if attempt == 2:
                    raise
                continue
            break
        seconds = time.perf_counter() - begin
        for header in response.headers.get_all("Set-Cookie") or ():
            for name, morsel in SimpleCookie(header).items():
                self.cookies[name] = morsel.value
        kind = response.headers.get("Content-Type", "")
        data = _parsed(content) if "json" in kind else {}
        return Reply(status=response.status, body=data, content=content, content_type=kind, seconds=seconds)

    def sign_in(self, name: str, password: str) -> Browser:
        """Through the sign-in form if there is one, as a person would."""
        page = self.request("GET", "/sign-in")
        form = {"name": name, "password": password, "csrf_token": _token(page.content)}
        done = self.request(
            "POST", "/sign-in", urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
        )
        if done.status != 302:
            raise RuntimeError(f"signing in as {name} answered {done.status}")
        self.token = _token(self.request("GET", "/").content)
        return self

    def post(self, path: str, body: object) -> Reply:
        """Post JSON with the page's token."""
        return self.raw(path, json.dumps(body, ensure_ascii=False).encode("utf-8"), "application/json")

    def raw(self, path: str, body: bytes, content_type: str) -> Reply:
        """Post any bytes with the page's token."""
        return self.request("POST", path, body, {"Content-Type": content_type, "X-CSRF-Token": self.token})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _token(page: bytes) -> str:
    found = re.search(rb'name="csrf-token" content="([^"]+)"', page)
    return found[1].decode() if found else ""
