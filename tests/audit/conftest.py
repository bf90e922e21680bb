from __future__ import annotations

from tests.support.postgres import backend, database_url, empty_url, engine, keyring, make_writer, writer

__all__ = ["backend", "database_url", "empty_url", "engine", "keyring", "make_writer", "writer"]
