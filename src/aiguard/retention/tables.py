"""What retention remembers: legal holds, the runs of its jobs, erasures, and counts of what was anonymised."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import JSON, BigInteger, Boolean, Integer, SmallInteger, String, Table, Text
from sqlalchemy.orm import Mapped, mapped_column

from aiguard.db.base import PREFIX, Base, UtcTime


class Hold(Base):
    """Artifacts that must stay whatever their time is. An empty selector means any; all of them have to fit.

    ``subject`` and ``actor`` are one person's two pseudonyms and count as one selector: either fits.
    """

    __tablename__ = f"{PREFIX}holds"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    matter: Mapped[str] = mapped_column(Text)
    custodian: Mapped[str] = mapped_column(Text)
    placed_by: Mapped[str] = mapped_column(Text)
    placed_at: Mapped[datetime] = mapped_column(UtcTime)
    review_at: Mapped[datetime] = mapped_column(UtcTime)
    subject: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(64))
    tenant: Mapped[str] = mapped_column(String(64))
    feature: Mapped[str] = mapped_column(String(128))
    data_class: Mapped[str] = mapped_column(String(64))
    decision_id: Mapped[str] = mapped_column(String(64))
    created_from: Mapped[datetime | None] = mapped_column(UtcTime)
    created_until: Mapped[datetime | None] = mapped_column(UtcTime)
    released_by: Mapped[str] = mapped_column(Text)
    released_at: Mapped[datetime | None] = mapped_column(UtcTime)

    def __repr__(self) -> str:
        return f"Hold(id={self.id!r})"


class Latch(Base):
    """One row whose lock says who may change what is held: a deletion shares it, placing a hold has it alone."""

    __tablename__ = f"{PREFIX}retention_latch"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    turns: Mapped[int] = mapped_column(Integer)


class JobRun(Base):
    """One run of a job for one period. Whoever inserts the row, or takes over one whose lease is over, has the run."""

    __tablename__ = f"{PREFIX}job_runs"

    job: Mapped[str] = mapped_column(String(64), primary_key=True)
    period: Mapped[str] = mapped_column(String(32), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    """``running``, ``done`` or ``failed``."""
    attempts: Mapped[int] = mapped_column(Integer)
    holder: Mapped[str] = mapped_column(String(64))
    lease_until: Mapped[datetime] = mapped_column(UtcTime)
    started_at: Mapped[datetime] = mapped_column(UtcTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcTime)
    outcome: Mapped[Any] = mapped_column(JSON)
    """Counts and ids, or the name of the error."""


class Erasure(Base):
    """One erasure of a person: what was done, and what is still pending. ``names`` can no longer be linked to anybody."""

    __tablename__ = f"{PREFIX}erasures"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcTime)
    requested_by: Mapped[str] = mapped_column(Text)
    names: Mapped[Any] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    """``held``, ``pending`` or ``completed``."""
    keys_apart: Mapped[bool] = mapped_column(Boolean)
    pending_until: Mapped[datetime | None] = mapped_column(UtcTime)
    sweep_at: Mapped[datetime | None] = mapped_column(UtcTime)
    """When what was in flight during the erasure is deleted too; None when it was."""
    counts: Mapped[Any] = mapped_column(JSON)
    providers: Mapped[Any] = mapped_column(JSON)
    """Provider to ``pending``, ``confirmed`` or ``unverifiable``."""


class AnonymisedCount(Base):
    """What stays of artifacts whose rule says ``anonymise``: how many there were, with nothing that leads to anybody.

    One row for each day of creation, class, feature and sensitivity; nobody's name, tenant, decision, time of day or text.
    """

    __tablename__ = f"{PREFIX}anonymised"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    """UTC, as ``2026-03-01``."""
    data_class: Mapped[str] = mapped_column(String(64), primary_key=True)
    feature: Mapped[str] = mapped_column(String(128), primary_key=True)
    sensitivity: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(BigInteger)


HOLDS: Final = cast("Table", Hold.__table__)
LATCH: Final = cast("Table", Latch.__table__)
RUNS: Final = cast("Table", JobRun.__table__)
ERASURES: Final = cast("Table", Erasure.__table__)
ANONYMISED: Final = cast("Table", AnonymisedCount.__table__)
