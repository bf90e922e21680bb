from __future__ import annotations

from tests.support.postgres import backend, database_url, empty_url, engine, keyring, make_writer, writer
from tests.support.redis import redis_server, redis_url

__all__ = [
    "backend", "database_url", "empty_url", "engine", "keyring", "make_writer", "redis_server", "redis_url", "writer",
]  # fmt: skip
