"""A clock that is wrong: noticed by what others wrote, and by the database server's own.

A clock that is behind deletes less than is due, which harms nobody at once but must not go unnoticed. One that is ahead
would delete what is not due.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import AuditEvent
from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error
from aiguard.errors import AIGuardError

TOLERANCE: Final = timedelta(hours=1)
"""Clocks of machines that are kept in time differ by far less."""

LOOKED_AT: Final = 1_000
"""Events of the log, the newest by position, whose times are compared: one that was written by a wrong clock long ago does not count."""


class ClockWrong(AIGuardError):
    """This machine's clock is ahead of the database server's. Nothing was deleted."""


def behind(engine: Engine, now: datetime) -> timedelta | None:
    """By how much ``now`` lies before what was written last, where that is more than :data:`TOLERANCE`; else ``None``."""
    newest = select(AuditEvent.at).order_by(AuditEvent.seq.desc()).limit(LOOKED_AT).subquery()
    latest = _one(engine, select(func.max(newest.c.at)))
    return latest - now if latest is not None and latest - now > TOLERANCE else None


def refuse_ahead(engine: Engine, now: datetime) -> None:
    """:class:`ClockWrong` when ``now`` is ahead of the server's clock by more than :data:`TOLERANCE`.

    SQLite has no clock of its own, so nothing is compared there.
    """
    if engine.dialect.name != "postgresql":
        return
    there = _one(engine, select(func.clock_timestamp()))
    if now - there > TOLERANCE:
        raise ClockWrong(
            "This machine's clock is ahead of the database server's, so things would be deleted before their time. Nothing "
            "was deleted; set the clock."
        )


def _one(engine: Engine, query: Any) -> Any:
    try:
        with reading(engine) as connection:
            return connection.execute(query).scalar()
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
