"""What every table is made of: one metadata with named constraints, and a time type that is always UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

PREFIX = "aiguard_"
"""Every table, index and trigger begins with this, so that the tables can live in the application's own database."""


class UtcTime(TypeDecorator[datetime]):
    """A timezone-aware instant. ``timestamptz`` on PostgreSQL; fixed-width, sortable UTC text on SQLite.

    A naive ``datetime`` is refused with :class:`ValueError`: guessing its zone would move an expiry by hours.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; SQLite's text carries no zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a timezone; use datetime.now(UTC)")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - theirs
        """Back to an aware instant."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def utc_text(at: datetime) -> str:
    """An instant as :class:`UtcTime` keeps it on SQLite: sortable, to the microsecond, in UTC. ``ValueError`` for a naive one."""
    if at.tzinfo is None:
        raise ValueError("a stored time needs a timezone; use datetime.now(UTC)")
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(" ", "microseconds")[:-6]


LeafIndex = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit position. SQLite keeps rows in order of an ``INTEGER`` key without a second index; a commit writes less."""


class Base(DeclarativeBase):
    """Base of the models in each room's ``tables.py``."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
