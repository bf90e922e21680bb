"""The ledger of job runs: each job once for each period, however many schedulers, workers and crashes there are.

Whoever inserts the row of a job and a period has the run, under a lease. A run whose worker died is taken over once its lease
is over, a run that failed is tried again; both at most :data:`MAX_ATTEMPTS` times. The steps of a job are idempotent by themselves (a
row is deleted once), so "exactly once" is about effects: a worker that lost its lease while it worked can do no harm, and
cannot report a run that is no longer its own.

Times come from the caller: a clock that is set back finds the periods of the past done, and does nothing twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine, and_, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.errors import AIGuardError
from aiguard.retention.tables import RUNS
from aiguard.types import new_id

LEASE: Final = timedelta(minutes=3)
"""How long a worker may be silent before another takes its run over."""

MAX_ATTEMPTS: Final = 5
"""Attempts at one run; then somebody has to look, and the next period starts afresh."""


class LeaseLost(AIGuardError):
    """Another worker has taken this run over. What was committed stays; the rest is theirs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run of one job for one period, in the hands of one worker."""

    job: str
    period: str
    holder: str
    attempt: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """A row of the ledger."""

    job: str
    period: str
    state: str
    attempts: int
    holder: str = field(repr=False)
    lease_until: datetime
    started_at: datetime
    finished_at: datetime | None
    outcome: Mapping[str, Any]


def claim(engine: Engine, job: str, period: str, *, now: datetime, lease: timedelta = LEASE) -> Run | None:
    """Take the run of ``job`` for ``period``, or None when it is done, in other hands, or was tried too often."""
    holder = new_id("wrk")
    values = {
        "job": job, "period": period, "state": "running", "attempts": 1, "holder": holder,
        "lease_until": now + lease, "started_at": now, "finished_at": None, "outcome": {},
    }  # fmt: skip
    insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
    c = RUNS.c
    free = or_(c.state == "failed", and_(c.state == "running", c.lease_until <= now))
    take = (
        update(RUNS)
        .where(c.job == job, c.period == period, free, c.attempts < MAX_ATTEMPTS)
        .values(state="running", attempts=c.attempts + 1, holder=holder, lease_until=now + lease, finished_at=None)
        .returning(c.attempts)
    )
    try:
        with writing(engine) as connection:
            new = connection.execute(
                insert(RUNS).values(values).on_conflict_do_nothing().returning(c.attempts)
            ).scalar()
            attempt = new if new is not None else connection.execute(take).scalar()
    except SQLAlchemyError as error:
        raise as_store_error(error) from None
    return None if attempt is None else Run(job=job, period=period, holder=holder, attempt=int(attempt))


def renew(engine: Engine, run: Run, *, now: datetime, lease: timedelta = LEASE) -> None:
    """Say that the worker lives; :class:`LeaseLost` when the run is another's."""
    _own(engine, run, {"lease_until": now + lease})


def finish(engine: Engine, run: Run, *, now: datetime, outcome: Mapping[str, Any]) -> None:
    """The run is done; :class:`LeaseLost` when it is another's."""
    _own(engine, run, {"state": "done", "finished_at": now, "outcome": dict(outcome)})


def fail(engine: Engine, run: Run, *, now: datetime, error: str) -> None:
    """The run failed and may be tried again; ``error`` is the name of what happened."""
    _own(engine, run, {"state": "failed", "finished_at": now, "outcome": {"error": error}})


def runs(engine: Engine, *, job: str | None = None, limit: int = 100) -> list[RunRecord]:
    """The newest runs, newest first."""
    query = select(RUNS).order_by(RUNS.c.started_at.desc(), RUNS.c.job).limit(limit)
    if job is not None:
        query = query.where(RUNS.c.job == job)
    try:
        with reading(engine) as connection:
            return [RunRecord(**row) for row in connection.execute(query).mappings()]
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None


def last_success(engine: Engine, job: str) -> datetime | None:
    """When the job came to its end last."""
    query = select(func.max(RUNS.c.finished_at)).where(RUNS.c.job == job, RUNS.c.state == "done")
    try:
        with reading(engine) as connection:
            found: datetime | None = connection.execute(query).scalar()
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
    return found


def carry_out(
    engine: Engine, run: Run, work: Callable[[], Mapping[str, Any]], *, clock: Callable[[], datetime]
) -> Mapping[str, Any]:
    """Do the work of a run and write down how it ended. What it raises is raised again."""
    try:
        outcome = work()
    except Exception as error:
        with contextlib.suppress(LeaseLost):  # then it is another's to tell
            fail(engine, run, now=clock(), error=type(error).__name__)
        raise
    finish(engine, run, now=clock(), outcome=outcome)
    return outcome


def _own(engine: Engine, run: Run, values: Mapping[str, Any]) -> None:
    c = RUNS.c
    mine = update(RUNS).where(c.job == run.job, c.period == run.period, c.holder == run.holder, c.state == "running")
    try:
        with writing(engine) as connection:
            changed = connection.execute(mine.values(**values)).rowcount
    except SQLAlchemyError as error:
        raise as_store_error(error) from None
    if not changed:
        raise LeaseLost(f"The run of {run.job} for {run.period} is in other hands.")
