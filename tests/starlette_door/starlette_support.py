"""Guarded Starlette and FastAPI applications for tests, and what they left on record."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from aiguard.audit import read
from aiguard.db.engine import make_engine
from aiguard.starlette import AIGuard
from aiguard.types import Actor

POLICY = """
[features.support-reply]
scope = "support:reply"
owner = "support-platform"
models = ["local:small", "openai:small"]
redact = { EMAIL_ADDRESS = "tokenize", SECRET = "block" }
rate = ["50/minute"]

[features.summary]
scope = "support:summary"
owner = "support-platform"
models = ["local:small"]
"""
SCOPES: Mapping[str, frozenset[str]] = {
    "jane": frozenset({"support:reply", "support:summary"}),
    "ada": frozenset({"support:reply"}),
    "bob": frozenset(),
}
KEY = "AKIAQ3EGRNUMKHDZ5WT2"
JANE = {"x-user": "jane"}
ADA = {"x-user": "ada"}


def caller(connection: HTTPConnection) -> Actor | None:
    """Whoever the request says it is."""
    name = connection.headers.get("x-user")
    return Actor(id=name, scopes=SCOPES[name]) if name else None


async def echo(messages: Any, **_: Any) -> str:
    """A model that repeats what it was told."""
    return f"you said {messages}"


def repeat(messages: Any, **_: Any) -> str:
    """The same, sync."""
    return f"you said {messages}"


class Desk:
    """A guarded application with a database of its own."""

    def __init__(self, folder: Path, template: Path, app: Any, options: dict[str, Any]) -> None:
        self.folder = folder
        self.database = folder / "aiguard.db"
        shutil.copy(template, self.database)
        (folder / "aiguard.toml").write_text(options.pop("policy", POLICY), encoding="utf-8")
        self.app = app
        self.settings = {
            "AIGUARD_ENVIRONMENT": "test",
            "AIGUARD_POLICY": str(folder / "aiguard.toml"),
            "AIGUARD_DATABASE_URL": f"sqlite:///{self.database}",
            "AIGUARD_KEY_FILE": str(folder / "master.key"),
            "AIGUARD_STORE_TIMEOUT_SECONDS": "60",  # a busy machine is not a failure
            **options.pop("settings", {}),
        }
        options.setdefault("actor", caller)
        if options["actor"] is None:
            del options["actor"]
        self.guard = AIGuard(app, settings=self.settings, **options)

    def client(self) -> TestClient:
        """A client that does not run the lifespan, and whose exceptions are the application's."""
        return TestClient(self.app, raise_server_exceptions=False)

    def events(self) -> list[Any]:
        """The audit events, oldest first."""
        engine = make_engine(f"sqlite:///{self.database}")
        try:
            return list(read.tail(engine, self.guard.guard.keys, limit=1000))
        finally:
            engine.dispose()

    def close(self) -> None:
        self.guard.close()
