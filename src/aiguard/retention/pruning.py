"""Deleting artifacts whose time is over, in small batches, each with its evidence.

One batch is one write transaction: take the rows that expired first, delete them, append a ``store.pruned`` event with
their counts by class, the range of their expiry times and the RFC 6962 root hash over their sorted ids. Whoever kept a list
of ids can later prove that they were among the deleted; the log itself holds none. A crash between two batches loses
nothing: the next run goes on. Any number of runs may go at once, also on other machines: a row is deleted, and counted,
once.

On SQLite freed bytes are overwritten (``secure_delete``) and the write-ahead log is moved into the file and cut at the
end, so the ciphertext is in neither.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, Table, delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import append
from aiguard.audit.merkle import leaf_hash, root_hash
from aiguard.db.engine import checkpoint, reading, writing
from aiguard.db.failures import as_store_error
from aiguard.db.writer import Sealing
from aiguard.store.tables import Artifact
from aiguard.types import AuditRecord, KeyRing, new_id

BATCH_SIZE: Final = 500
"""Rows of one transaction: tens of milliseconds under the write lock, so that requests hardly notice."""

PAUSE: Final = 0.01
"""Seconds between batches in which the application's writer gets the lock."""

_ARTIFACTS: Final = cast("Table", Artifact.__table__)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanLine:
    """Expired artifacts of one class under one rule, as written with the rows."""

    data_class: str
    feature: str
    retention: str
    basis: str
    owner: str
    mechanism: str
    count: int
    first_expired: datetime
    last_expired: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What :func:`prune` would delete at ``now``, and how much would stay."""

    now: datetime
    lines: tuple[PlanLine, ...]
    expired: int
    staying: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruned:
    """What a run deleted. ``run_id`` is the decision id of its events.

    ``erased`` is False when readers kept SQLite's write-ahead log in use, so that it still holds old pages: run again.
    """

    run_id: str
    deleted: int
    by_class: MappingProxyType[str, int]
    batches: int
    erased: bool


@dataclass(slots=True)
class _Tally:
    """The growing result of one run."""

    deleted: int = 0
    batches: int = 0
    by_class: Counter[str] = field(default_factory=Counter)


def plan(engine: Engine, now: datetime) -> Plan:
    """Count what has expired at ``now`` (timezone-aware), by class, feature and rule. Changes nothing."""
    _require_zone(now)
    c = _ARTIFACTS.c
    rule = (c.data_class, c.feature, c.retention, c.basis, c.owner, c.mechanism)
    query = (
        select(
            *rule,
            func.count().label("count"),
            func.min(c.expires_at).label("first_expired"),
            func.max(c.expires_at).label("last_expired"),
        )
        .where(c.expires_at <= now)
        .group_by(*rule)
        .order_by(*rule)
    )
    try:
        with reading(engine) as connection:
            lines = tuple(PlanLine(**row) for row in connection.execute(query).mappings())
            total = connection.execute(select(func.count()).select_from(_ARTIFACTS)).scalar_one()
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
    expired = sum(line.count for line in lines)
    return Plan(now=now, lines=lines, expired=expired, staying=total - expired)


def prune(
    engine: Engine,
    keyring: KeyRing,
    now: datetime,
    *,
    batch_size: int = BATCH_SIZE,
    pause: float = PAUSE,
    progress: Callable[[int], None] | None = None,
) -> Pruned:
    """Delete every artifact that expired at or before ``now`` (timezone-aware), with evidence.

    Args:
        engine: from :func:`aiguard.db.make_engine`.
        keyring: seals the payloads of the audit events.
        now: the moment that decides. A clock that was set back deletes less, never more.
        batch_size: rows of one transaction.
        pause: seconds between transactions.
        progress: called with the number of rows deleted by each batch, after its commit.

    Raises:
        StoreUnavailable: the database cannot be used. Batches that were committed stay deleted and have their events.
    """
    _require_zone(now)
    if batch_size < 1:
        raise ValueError("batch_size is at least 1")
    sealing = Sealing(keyring=keyring, writer=new_id("wrt"))
    run_id = new_id("prn")
    tally = _Tally()
    try:
        while _batch(engine, sealing, now, run_id, tally, batch_size, progress):
            time.sleep(pause)
        erased = checkpoint(engine)
        _conclude(engine, sealing, now, run_id, tally)
    except SQLAlchemyError as error:
        raise as_store_error(error, "deleted by this batch") from None
    return Pruned(
        run_id=run_id,
        deleted=tally.deleted,
        by_class=MappingProxyType(dict(tally.by_class)),
        batches=tally.batches,
        erased=erased,
    )


def _batch(
    engine: Engine,
    sealing: Sealing,
    now: datetime,
    run_id: str,
    tally: _Tally,
    size: int,
    progress: Callable[[int], None] | None,
) -> bool:
    """Delete one batch with its event. False when there was nothing left."""
    with writing(engine) as connection:
        rows = _delete(connection, now, size)
        if not rows:
            return False
        classes = Counter(str(row.data_class) for row in rows)
        expiries = [row.expires_at for row in rows]
        root = root_hash(leaf_hash(id.encode()) for id in sorted(str(row.id) for row in rows))
        payload: dict[str, Any] = {
            "count": len(rows),
            "classes": dict(sorted(classes.items())),
            "first_expired": _instant(min(expiries)),
            "last_expired": _instant(max(expiries)),
            "ids_root": f"sha256:{root.hex()}",
            "batch": tally.batches + 1,
            "cutoff": _instant(now),
        }
        append(connection, [_event("store.pruned", run_id, payload)], sealing)
    tally.batches += 1
    tally.deleted += len(rows)
    tally.by_class.update(classes)
    if progress is not None:
        progress(len(rows))
    return True


def _delete(connection: Connection, now: datetime, size: int) -> list[Any]:
    c = _ARTIFACTS.c
    ripe = (
        select(c.id)
        .where(c.expires_at <= now)
        .order_by(c.expires_at)
        .limit(size)
        .with_for_update(skip_locked=True)  # PostgreSQL: two runs share the work; SQLite ignores it and has one writer
    )
    statement = delete(_ARTIFACTS).where(c.id.in_(ripe)).returning(c.id, c.data_class, c.expires_at)
    return list(connection.execute(statement).all())


def _conclude(engine: Engine, sealing: Sealing, now: datetime, run_id: str, tally: _Tally) -> None:
    """Say that the run came to its end, also when there was nothing to do: that the job runs is evidence too."""
    payload = {
        "count": tally.deleted,
        "classes": dict(sorted(tally.by_class.items())),
        "batches": tally.batches,
        "cutoff": _instant(now),
    }
    with writing(engine) as connection:
        append(connection, [_event("store.prune_completed", run_id, payload)], sealing)


def _event(type: str, run_id: str, payload: dict[str, Any]) -> AuditRecord:
    return AuditRecord(type=type, decision_id=run_id, resource="retention", payload=payload)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _require_zone(now: datetime) -> None:
    if now.tzinfo is None:
        raise ValueError("now needs a timezone; use datetime.now(UTC)")
