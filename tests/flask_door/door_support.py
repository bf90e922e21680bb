"""An application with a real policy, a real database and the real SDK, and a model server that records what reaches it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import flask
from openai import OpenAI
from werkzeug.serving import make_server

from aiguard import Actor, audit
from aiguard.audit import Event
from aiguard.db.engine import make_engine
from aiguard.flask import AIGuard

POLICY = """
[features.support-reply]
scope = "support:reply"
owner = "support-platform"
models = ["openai:gpt-5-mini"]
max_input_tokens = 20000
redact = { EMAIL_ADDRESS = "tokenize", PHONE_NUMBER = "tokenize", CREDIT_CARD = "mask", SECRET = "block" }
keep = { prompt = "redacted", output = "redacted" }

[features.support-triage]
scope = "support:triage"
owner = "support-platform"
models = ["openai:gpt-5-mini"]

[retention.prompt]
duration = "30d"
basis = "GDPR Art. 6(1)(f)"
mechanism = "delete"
owner = "privacy-office"

[retention.output]
duration = "30d"
basis = "GDPR Art. 6(1)(f)"
mechanism = "delete"
owner = "privacy-office"
"""

EMAIL = "jane.doe@example.org"
CARD = "4111 1111 1111 1111"
JANE = {"X-User": "jane", "X-Scopes": "support:reply"}


class ModelServer:
    """Speaks Chat Completions on a loopback socket. ``answer`` makes the text from the last message; ``fault`` goes first."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.answer: Callable[[str], str] = lambda said: f"You said: {said}"
        self.fault: Callable[[BaseHTTPRequestHandler], bool] | None = None
        outer = self

        class Served(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.received.append(body)
                if outer.fault is not None and outer.fault(self):
                    return
                said = json.loads(body)["messages"][-1]["content"]
                respond(self, 200, completion(outer.answer(said)))

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Served)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def texts(self) -> str:
        return b"\n".join(self.received).decode()

    def reset(self) -> None:
        self.received.clear()
        self.fault = None
        self.answer = lambda said: f"You said: {said}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def respond(served: BaseHTTPRequestHandler, status: int, body: bytes, content_type: str = "application/json") -> bool:
    served.send_response(status)
    served.send_header("content-type", content_type)
    served.send_header("content-length", str(len(body)))
    served.end_headers()
    served.wfile.write(body)
    return True


def completion(text: str) -> bytes:
    message = {"role": "assistant", "content": text, "refusal": None}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_763_850_000,
            "model": "gpt-5-mini",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
        }
    ).encode()


def header_actor() -> Actor | None:
    headers = flask.request.headers
    if "X-User" not in headers:
        return None
    scopes = frozenset(headers.get("X-Scopes", "").split())
    return Actor(id=headers["X-User"], scopes=scopes, tenant=headers.get("X-Tenant"))


class Desk:
    """One application under test."""

    def __init__(self, folder: Path, server: ModelServer, template: Path | None, config: dict[str, Any]) -> None:
        self.folder = folder
        self.server = server
        self.database = folder / "aiguard.db"
        if template is not None:
            self.database.write_bytes(template.read_bytes())
        policy = folder / "aiguard.toml"
        policy.write_text(POLICY)
        self.app = flask.Flask("desk")
        self.app.secret_key = "only for tests"
        self.app.config.update(
            {
                "AIGUARD_ENVIRONMENT": "test",
                "AIGUARD_POLICY": policy,
                "AIGUARD_DATABASE_URL": f"sqlite:///{self.database}",
                "AIGUARD_KEY_FILE": folder / "master.key",
                "AIGUARD_OPENAI_BASE_URL": server.base_url,
                "AIGUARD_OPENAI_API_KEY": "not-a-real-key",
                "AIGUARD_STORE_TIMEOUT_SECONDS": 60,  # a busy machine is not a failure
                **config,
            }
        )
        self.guard: AIGuard

    def protect(self, **options: Any) -> Desk:
        options.setdefault("actor", header_actor)
        self.guard = AIGuard(self.app, **options)
        return self

    @cached_property
    def client(self) -> OpenAI:
        """A guarded client, made when it is first used: reading the certificates takes a while."""
        return self.guard.client(OpenAI, max_retries=0)

    def ask(self, text: str, model: str = "gpt-5-mini") -> str:
        answer = self.client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])
        return answer.choices[0].message.content or ""

    def browser(self) -> Any:
        return self.app.test_client()

    def events(self) -> list[Event]:
        engine = make_engine(f"sqlite:///{self.database}")
        try:
            return audit.tail(engine, self.guard.guard.keys, 10_000)
        finally:
            engine.dispose()

    def event_types(self) -> list[str]:
        return [event.type for event in self.events()]

    def event_of(self, response: Any) -> Event:
        """The newest event under the id of a problem answer."""
        problem = response.get_json()
        return [event for event in self.events() if event.decision_id == problem["decision_id"]][-1]

    @contextmanager
    def served(self) -> Iterator[int]:
        """The application on a real socket, a thread a request; gives the port."""
        server = make_server("127.0.0.1", 0, self.app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server.port
        finally:
            server.shutdown()
            server.server_close()
            thread.join(5)

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()
        extension = self.app.extensions.get("aiguard")
        if extension is not None:
            extension.guard.close()


def is_problem(response: Any, status: int) -> dict[str, Any]:
    """The problem document of a refusal that has ``status``, after checking what every one of them must have."""
    assert response.status_code == status, response.get_data(as_text=True)[:300]
    assert response.headers["Content-Type"] == "application/problem+json"
    document = json.loads(response.get_data())
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["decision_id"].startswith("agd_")
    assert document["reasons"]
    return dict(document)


def eventually(condition: Callable[[], bool], seconds: float = 3.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
