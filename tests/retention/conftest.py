from __future__ import annotations

from tests.support.postgres import backend, database_url, empty_url, engine, keyring, make_writer, writer
from tests.support.redis import redis_server, redis_url
from tests.support.workers import clock, worker

__all__ = [
    "backend", "clock", "database_url", "empty_url", "engine", "keyring", "make_writer", "redis_server", "redis_url", "worker", "writer",
]  # fmt: skip
