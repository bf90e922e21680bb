"""Opening the database: SQLite in one file by default, PostgreSQL for many machines.

SQLite runs with a write-ahead log and ``synchronous = FULL`` (a commit that returned survives a power cut), foreign
keys on and ``secure_delete`` on (freed bytes are overwritten). Its file is created with mode 0600 in a directory
created with mode 0700. Statement parameters never appear in exceptions.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DisconnectionError

from aiguard.db.bulk import in_pipelines, reaches, straight, together
from aiguard.errors import MissingExtra, SettingsError

LOCK_TIMEOUT = 3.0
"""Seconds to wait for a lock. Below the writer's own timeout, so that the reason given is the lock, not the clock."""

STATEMENT_TIMEOUT = 10.0
"""Seconds one statement of a write may take on PostgreSQL."""

WAL_PAGES = 4_000
"""Pages of SQLite's write-ahead log (16 MB) before they are moved into the file: a busy page is then moved once, not at every other commit."""

CACHE_KIBIBYTES = 16_384
"""Page cache of one SQLite connection: the upper pages of the indexes that every insert walks through, of millions of rows."""

IDLE_SECONDS = 1.0
"""A connection to PostgreSQL that nobody used for so long is asked whether it is alive before it is used again."""

SCHEMA_OPTION = "aiguard_schema"
"""Execution option of an engine: the PostgreSQL schema that our tables are in."""

_BEGIN = "aiguard_begin"
_USED = "aiguard_used"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")
_TURN_SECONDS = 0.001


def make_engine(
    url: str | URL,
    *,
    lock_timeout: float = LOCK_TIMEOUT,
    create: bool = True,
    schema: str | None = None,
    setting: str = "AIGUARD_DATABASE_URL",
) -> Engine:
    """An engine for ``sqlite:///path`` or ``postgresql://…``.

    Args:
        url: where the database is.
        lock_timeout: seconds to wait for another connection's lock.
        create: make the SQLite file when there is none. Without it a missing file is a :class:`SettingsError`.
        schema: the PostgreSQL schema that our tables are in; by default the connection's own.
        setting: where the URL comes from, for messages.

    Raises:
        SettingsError: the URL cannot be read, names another database, is in memory, or its directory cannot be made.
        MissingExtra: PostgreSQL without ``aiguard[postgres]``.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError(
            f"The URL in {setting} cannot be read; write sqlite:///path/to/file.db or postgresql://…"
        ) from None
    backend = parsed.get_backend_name()
    _check_schema(schema, backend)
    if backend == "sqlite":
        return _sqlite(parsed, lock_timeout, create=create, setting=setting)
    if backend == "postgresql":
        engine = _postgresql(parsed, lock_timeout)
        return engine if schema is None else engine.execution_options(**{SCHEMA_OPTION: schema})
    raise SettingsError(f"The database {backend!r} of {setting} is not supported; use sqlite:///… or postgresql://…")


def adopt(
    engine: Engine | Callable[[], Engine], *, lock_timeout: float = LOCK_TIMEOUT, schema: str | None = None
) -> tuple[Engine, bool]:
    """Work with an application's own engine; and whether what is returned is ours to dispose of.

    On PostgreSQL its connections are shared: each of our transactions is READ COMMITTED and durable, whatever the engine's default
    is, and leaves nothing set. A SQLite file is opened beside it with connections of our own, since durability and locking are
    settings of a connection there.

    Args:
        engine: the engine, or a function that gives it, as ``lambda: db.engine`` does once there is an application context.
        lock_timeout: seconds to wait for another connection's lock.
        schema: the PostgreSQL schema that our tables are in.

    Raises:
        SettingsError: it is no engine that can be worked with.
    """
    given: Any = engine if isinstance(engine, Engine) or not callable(engine) else engine()
    if not isinstance(given, Engine):
        raise SettingsError(
            "engine= takes a SQLAlchemy Engine or a function that gives one (for an AsyncEngine, set AIGUARD_DATABASE_URL instead)."
        )
    backend = given.dialect.name
    _check_schema(schema, backend)
    if backend == "sqlite":
        return make_engine(given.url, lock_timeout=lock_timeout), True
    if backend != "postgresql":
        raise SettingsError(f"The database {backend!r} is not supported; use sqlite:///… or postgresql://…")
    if given.dialect.is_async:
        raise SettingsError(
            "An async driver cannot be shared with threads; set AIGUARD_DATABASE_URL instead of engine=."
        )
    options: dict[str, Any] = {"aiguard_lock_timeout": lock_timeout, "isolation_level": "READ COMMITTED"}
    if schema is not None:
        options[SCHEMA_OPTION] = schema
    adopted = given.execution_options(**options)
    adopted.hide_parameters = True
    return adopted, False


def schema_of(engine: Engine) -> str | None:
    """The PostgreSQL schema that our tables are in; None for the connection's own."""
    found = engine.get_execution_options().get(SCHEMA_OPTION)
    return None if found is None else str(found)


def _check_schema(schema: str | None, backend: str) -> None:
    if schema is None:
        return
    if backend != "postgresql":
        raise SettingsError("AIGUARD_DATABASE_SCHEMA is for PostgreSQL; a SQLite file has no schemas")
    if not _SCHEMA.match(schema) or schema.startswith("pg_"):
        raise SettingsError(
            "AIGUARD_DATABASE_SCHEMA is a name of lower-case letters, digits and _, not beginning with pg_"
        )


@contextmanager
def writing(engine: Engine, *, ahead: bool = False, late: bool = False) -> Iterator[Connection]:
    """One write transaction: the lock is taken first, all is committed at the end or nothing is.

    SQLite: ``BEGIN IMMEDIATE``. PostgreSQL: bounded lock and statement times, and a durable commit whatever the role's
    default is.

    Args:
        engine: where.
        ahead: only :mod:`aiguard.db.bulk` asks the connection: PostgreSQL gets one statement after another, the commit too, and is
            waited for when an answer is looked at, and at the end.
        late: on SQLite the commit does not wait for the disk, so that the lock is let go sooner. After a power cut all of the
            transaction may be missing, as if it had not been, but no later one without it. Call :func:`aiguard.db.wal.settle` before
            anybody is told of it.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(engine.connect().execution_options(**{_BEGIN: "IMMEDIATE"}))
        if late and connection.dialect.name == "sqlite":
            stack.enter_context(_not_forced(connection))
        stack.enter_context(connection.begin())
        ahead = ahead and in_pipelines(connection)
        if ahead:
            stack.enter_context(together(connection))
        if connection.dialect.name == "postgresql":
            _settle(connection, engine)
        yield connection
        if ahead:
            straight(connection, "COMMIT")  # behind what was asked; whatever failed before it keeps it from being done


@contextmanager
def _not_forced(connection: Connection) -> Iterator[None]:
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    driver.execute("PRAGMA synchronous = NORMAL")
    try:
        yield
    finally:
        try:
            driver.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:  # such a connection goes back to nobody
            connection.invalidate(error)


def _settle(connection: Connection, engine: Engine) -> None:
    """The terms of one transaction that writes to PostgreSQL."""
    terms = {
        "lock": f"{int(_lock_timeout(engine) * 1000)}ms",
        "statement": f"{int(STATEMENT_TIMEOUT * 1000)}ms",
        "path": schema_of(engine),
    }
    if reaches(connection):
        with together(connection):
            straight(connection, _SETTLE.format("%s", "%s", "%s"), tuple(terms.values()))
    else:
        connection.execute(text(_SETTLE.format(":lock", ":statement", ":path")), terms)


_SETTLE = (
    "SELECT set_config('lock_timeout', {}, true), set_config('statement_timeout', {}, true),"
    " set_config('synchronous_commit', 'on', true),"
    " set_config('search_path', coalesce({}, current_setting('search_path')), true)"
)


@contextmanager
def reading(engine: Engine, *, snapshot: bool = False) -> Iterator[Connection]:
    """A transaction to read from. With ``snapshot`` all its statements see the same state; on SQLite they always do."""
    with engine.connect() as connection:
        if snapshot and connection.dialect.name == "postgresql":  # before anything else is asked
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        if (schema := schema_of(engine)) is not None:
            connection.execute(text("SELECT set_config('search_path', :path, true)"), {"path": schema})
        yield connection


def _lock_timeout(engine: Engine) -> float:
    return float(engine.get_execution_options().get("aiguard_lock_timeout", LOCK_TIMEOUT))


def _sqlite(url: URL, lock_timeout: float, *, create: bool, setting: str) -> Engine:
    database = url.database
    if not database or database == ":memory:" or "mode=memory" in database or "mode" in url.query:
        if url.query.get("mode") != "ro":
            raise SettingsError(
                "The database must be a file, or its evidence dies with the process: sqlite:///path/to/file.db"
            )
    elif not database.startswith("file:"):
        _ensure_file(Path(database), create=create, setting=setting)
    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": lock_timeout, "check_same_thread": False},
        execution_options={"aiguard_lock_timeout": lock_timeout},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver opens no transaction by itself; `begin` below does
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(lock_timeout * 1000)}")
        _use_wal(cursor, lock_timeout)
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        cursor.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")
        cursor.execute("PRAGMA trusted_schema = OFF")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get(_BEGIN, "DEFERRED")
        if mode != "DEFERRED":
            _wait_for_turn(connection, mode, lock_timeout)
        else:
            connection.exec_driver_sql("BEGIN DEFERRED")

    return engine


def _wait_for_turn(connection: Connection, mode: str, lock_timeout: float) -> None:
    """Begin a write, asking for the lock every millisecond.

    SQLite's own wait backs off to one try in 100 ms, so beside a process that writes without a pause the others would
    hardly ever find the lock free and starve until their time is over.
    """
    deadline = time.monotonic() + lock_timeout
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                driver.execute(f"BEGIN {mode}")
            except sqlite3.OperationalError as error:
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                    break
            else:
                return
            time.sleep(_TURN_SECONDS)
        connection.exec_driver_sql(f"BEGIN {mode}")  # once more, for its error is SQLAlchemy's to tell
    finally:
        driver.execute(f"PRAGMA busy_timeout = {int(lock_timeout * 1000)}")


def _use_wal(cursor: sqlite3.Cursor, lock_timeout: float) -> None:
    """Switch to WAL. Several processes may open a new file at once, and the switch does not wait by itself."""
    deadline = time.monotonic() + lock_timeout
    while True:
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname.startswith("SQLITE_READONLY"):
                return  # a read-only copy can still be read
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _ensure_file(path: Path, *, create: bool, setting: str) -> None:
    """Create the file with mode 0600 and missing directories with mode 0700. What exists is left as it is."""
    if not create:
        if not path.exists():
            raise SettingsError(f"There is no database at {path}; check {setting} or run `aiguard db upgrade`.")
        return
    try:
        _make_directories(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise SettingsError(
            f"The database file {path} cannot be created ({error.strerror}); make its directory writable or set another database URL."
        ) from None


def _make_directories(path: Path) -> None:
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(mode=0o700, exist_ok=True)


def _postgresql(url: URL, lock_timeout: float) -> Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    arguments: dict[str, Any] = {}
    if url.get_driver_name() == "psycopg":
        arguments = {"connect_timeout": max(1, int(lock_timeout)), "application_name": "aiguard"}
    try:
        engine = create_engine(
            url,
            hide_parameters=True,
            pool_timeout=lock_timeout,
            connect_args=arguments,
            execution_options={"aiguard_lock_timeout": lock_timeout},
        )
    except ModuleNotFoundError:
        raise MissingExtra("PostgreSQL needs a driver: pip install '.[postgres]' in your clone of aiguard") from None
    _ask_idle_connections(engine)
    return engine


def _ask_idle_connections(engine: Engine) -> None:
    """Ask a connection whether it still leads to the server before it is used, unless it was used a moment ago.

    As SQLAlchemy's ``pool_pre_ping``, which asks each time: a busy writer would spend a part of its time on that.
    """
    doubted = [float("-inf")]
    dialect = engine.dialect

    @event.listens_for(engine, "checkout")
    def ask(driver: Any, record: Any, _proxy: object) -> None:
        used = record.info.get(_USED, float("-inf"))
        if used > doubted[0] and time.monotonic() - used < IDLE_SECONDS:
            return
        try:
            alive = dialect.do_ping(driver)
        except dialect.loaded_dbapi.Error as error:
            if not dialect.is_disconnect(error, driver, None):
                raise
            alive = False
        if not alive:
            doubted[0] = time.monotonic()
            raise DisconnectionError

    @event.listens_for(engine, "checkin")
    def note(_driver: object, record: Any) -> None:
        record.info[_USED] = time.monotonic()

    @event.listens_for(engine, "invalidate")
    def doubt(_driver: object, _record: object, _error: object) -> None:
        doubted[0] = time.monotonic()  # the server may have gone, and every connection with it
