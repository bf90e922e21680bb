from __future__ import annotations

from hypothesis import settings
from tests.support.postgres import backend, database_url, empty_url, engine, keyring, make_writer, writer
from tests.support.workers import clock, worker

__all__ = ["backend", "clock", "database_url", "empty_url", "engine", "keyring", "make_writer", "worker", "writer"]

settings.register_profile("aiguard", deadline=None)  # a busy machine is not a failure
settings.load_profile("aiguard")
