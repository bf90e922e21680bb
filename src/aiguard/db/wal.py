"""SQLite's write-ahead log: forced to disk, moved into the file, begun anew, cut. Nothing of it concerns other databases.

Somebody has to move what the log holds into the file, and unless it is done beforehand, it is whoever commits once the log is long: a
request. That the log is moved is not enough. It is begun anew only by a write that finds all of it moved and nobody reading it, and
beside others who write without a pause, some commit always comes in between. From :data:`~aiguard.db.engine.WAL_PAGES` on each of
their commits then moves a piece, and waits for two more files to be forced to disk.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from aiguard.db.engine import writing
from aiguard.errors import StoreUnavailable

CHECKPOINT_PATIENCE: Final = 2.0
"""Seconds to wait for readers before the write-ahead log is left as it is."""

_AGAIN: Final = 0.02
"""Seconds between two attempts. SQLite itself would wait for readers within one, and let nobody write meanwhile."""


class Moved(NamedTuple):
    """How long the log is, and how much of it is in the file, in pages; -1 where somebody else is moving it."""

    pages: int
    moved: int

    @property
    def all(self) -> bool:
        """Whether all that was committed before is in the file, and forced to disk there."""
        return self.pages == self.moved >= 0


def checkpoint(engine: Engine, *, patience: float = CHECKPOINT_PATIENCE) -> bool:
    """Move the log into the file and cut it to nothing, so that deleted bytes are gone from both.

    Returns False when readers kept the log in use for ``patience`` seconds, or when the disk has no room for it. True at once on
    other databases.
    """
    if engine.dialect.name != "sqlite":
        return True
    deadline = time.monotonic() + patience
    ease(engine)  # all but the last of it, while others write
    while True:
        with _impatient(engine) as connection:
            try:
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
            except OperationalError as error:
                if _full(error):
                    return False
                raise
        if not busy:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_AGAIN)


def ease(engine: Engine) -> Moved:
    """Move what the log holds into the file, as far as that goes without waiting for anybody. Nothing on other databases."""
    if engine.dialect.name != "sqlite":
        return Moved(0, 0)
    with _impatient(engine) as connection:
        try:
            _, pages, moved = connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").one()
        except OperationalError as error:
            if not _full(error):
                raise
            return Moved(-1, -1)
    return Moved(pages, moved)


def begin_anew(engine: Engine) -> bool:
    """Let whoever writes next begin the log anew: move its last pages in a moment in which nobody may write.

    After :func:`ease` these are few. False when a reader still needs the log. Nothing, and True, on other databases.
    """
    if engine.dialect.name != "sqlite":
        return True
    with writing(engine):
        return ease(engine).all


def settle(engine: Engine) -> None:
    """Force to disk what :func:`~aiguard.db.engine.writing` committed ``late``. On other databases it is there already.

    Nobody's lock is needed for that, and none is lost: SQLite's are on the file and its shared memory, not on the log.

    Raises:
        StoreUnavailable: the disk refuses.
    """
    if engine.dialect.name != "sqlite":
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        places = {name: path for _, name, path in connection.exec_driver_sql("PRAGMA database_list")}
    try:
        descriptor = os.open(f"{places['main']}-wal", os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            _force(descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return  # the last connection was closed meanwhile, which moves the log into the file and forces that
    except OSError as error:
        raise StoreUnavailable(f"What was committed last may not survive a power cut ({error.strerror}).") from None


_force: Final = getattr(os, "fdatasync", os.fsync)


@contextlib.contextmanager
def _impatient(engine: Engine) -> Iterator[Connection]:
    """A connection outside of any transaction that waits for nobody."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        try:
            yield connection
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience}")


def _full(error: OperationalError) -> bool:
    """Whether SQLite could not write a file. What was committed is in its log all the same."""
    return getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_IOERR"))
