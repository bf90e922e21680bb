"""Deleting artifacts whose time is over, in small batches, each with its evidence.

One batch is one write transaction: take the rows that expired first, delete them, append a ``store.pruned`` event with
their counts by class, the range of their expiry times and the RFC 6962 root hash over their sorted ids. Whoever kept a list
of ids can later prove that they were among the deleted; the log itself holds none. A crash between two batches loses
nothing: the next run goes on. Any number of runs may go at once, also on other machines: a row is deleted, and counted,
once.

A run watches what its batches take and whether others write to the log, and keeps out of their way (``pace``). The rows are
deleted before the event is appended, so that the log's lock is held for the shortest time.

What ends by ``crypto-shred`` loses its key as well (``shredding``), and of what ends by ``anonymise`` a count stays (``removal``).

On SQLite freed bytes are overwritten (``secure_delete``) and the write-ahead log is moved into the file and cut at the
end, so the ciphertext is in neither.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, cast

from sqlalchemy import Engine, Table, bindparam, func, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import AuditEvent, append
from aiguard.audit.tables import insert_rows, prepare
from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Row, Sealing
from aiguard.db.wal import begin_anew, checkpoint, ease, settle
from aiguard.retention.evidence import ids_root, instant
from aiguard.retention.holds import latch
from aiguard.retention.pace import GAITS, LONG, PAUSE, Drain, Pace
from aiguard.retention.planning import due, require_zone
from aiguard.retention.removal import FromPostgresql, FromSqlite, Gone
from aiguard.retention.shredding import Shredded, shred
from aiguard.store import SubjectKeyRing
from aiguard.store.tables import Artifact
from aiguard.types import AuditRecord, Clock, KeyRing, new_id, utc_now

PASSES: Final = 20
"""How often a run begins at the oldest row again, because rows that others had locked were still there."""

PATIENCE: Final = 0.1
"""Seconds between two of those."""

COUNTED: Final = 10_000
"""How far is counted what is left: whether there is anything matters, not how many millions."""

_ARTIFACTS: Final = cast("Table", Artifact.__table__)


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
    hour_keys: int = 0
    """Keys of hours that were destroyed, so that no copy of what was to be shredded opens any more."""
    left: int = 0
    """Rows that are due all the same, counted up to 10,000: others had them locked to the end, or the run was told to stop."""


def prune(
    engine: Engine,
    keyring: KeyRing,
    now: datetime,
    *,
    rules: str | None = None,
    batch_size: int | None = None,
    pause: float = PAUSE,
    at_most: int | None = None,
    progress: Callable[[int], None] | None = None,
    witness: Callable[[int, Gone], None] | None = None,
    clock: Clock = utc_now,
) -> Pruned:
    """Delete every artifact that expired at or before ``now`` (timezone-aware), with evidence.

    Args:
        engine: from :func:`aiguard.db.make_engine`.
        keyring: seals the payloads of the audit events.
        now: the moment that decides. A clock that was set back deletes less, never more.
        rules: hash of the retention rules in force; what was kept under others waits until its time is computed anew.
            ``None`` takes each time as it is written.
        batch_size: rows of one transaction; by default what suits the database.
        pause: seconds between transactions, at least.
        at_most: rows of the whole run; what was planned.
        progress: called with the number of rows deleted by each batch, after its commit.
        witness: called with each batch's number and what it deleted, after its commit.
        clock: when the events happen.

    Raises:
        StoreUnavailable: the database cannot be used. Batches that were committed stay deleted and have their events.
    """
    require_zone(now)
    gait = GAITS[engine.dialect.name]
    size = gait.rows if batch_size is None else batch_size
    if size < 1:
        raise ValueError("batch_size is at least 1")
    run = _Run(
        engine=engine,
        sealing=Sealing(keyring=keyring, writer=new_id("wrt")),
        now=now,
        rules=rules,
        id=new_id("prn"),
        pace=Pace(gait=gait, most=size, pause=pause),
        room=at_most,
        said_to=(progress, witness),
        clock=clock,
        rows=(FromSqlite if engine.dialect.name == "sqlite" else FromPostgresql)(engine, now, rules),
    )
    try:
        run.through()
        left = run.left()
        shredded = run.shred(keyring)
        erased = checkpoint(engine)
        run.conclude(left, shredded)
    except SQLAlchemyError as error:
        raise as_store_error(error, "deleted by this batch") from None
    return Pruned(
        run_id=run.id,
        deleted=run.deleted,
        by_class=MappingProxyType(dict(run.by_class)),
        batches=run.batches,
        erased=erased,
        left=left,
        hour_keys=shredded.keys,
    )


@dataclass(slots=True, kw_only=True)
class _Run:
    """A run on its way."""

    engine: Engine
    sealing: Sealing
    now: datetime
    rules: str | None
    id: str
    pace: Pace
    room: int | None
    said_to: tuple[Callable[[int], None] | None, Callable[[int, Gone], None] | None]
    clock: Clock
    rows: FromPostgresql | FromSqlite
    drain: Drain = field(default_factory=Drain)
    deleted: int = 0
    batches: int = 0
    by_class: Counter[str] = field(default_factory=Counter)
    head: int = -1
    """Where the log ended before the run, and after each batch."""

    def through(self) -> None:
        """From the oldest row to ``now``, and again from the oldest while there are rows that others had locked."""
        with reading(self.engine) as connection:
            self.head = connection.execute(_HEAD).scalar_one()
        for _ in range(PASSES):
            self.rows.again()
            while not self.rows.over and self.deleted != self.room:
                self.batch()
            if self.deleted == self.room or not self.left():
                return
            time.sleep(PATIENCE)

    def batch(self) -> None:
        """Delete one batch with its event, if there is one."""
        room = None if self.room is None else self.room - self.deleted
        size = self.pace.rows if room is None else min(self.pace.rows, room)
        foreseen = self.rows.foresee(size, room)
        if self.rows.over:
            return
        told = None if foreseen is None else self._told(foreseen)
        # The first commit waits for the disk, which then knows of the log's file as well.
        with writing(self.engine, late=self.batches > 0) as connection:
            started = time.monotonic()
            latch(connection, alone=False)
            gone = self.rows.take(connection, size)
            if gone is None:
                return
            worked = time.monotonic() - started
            insert_rows(connection, [told if told is not None and gone is foreseen else self._told(gone)])
            head = connection.execute(_HEAD).scalar_one()
        if self.engine.dialect.name == "sqlite":  # others waited for all of it
            worked = time.monotonic() - started
        self.settle()
        took = time.monotonic() - started
        self.batches += 1
        self.deleted += len(gone.ids)
        self.by_class.update(gone.classes)
        progress, witness = self.said_to
        if witness is not None:
            witness(self.batches, gone)
        if progress is not None:
            progress(len(gone.ids))
        self.yield_to(head, len(gone.ids), worked, took)

    def settle(self) -> None:
        """Wait until the disk has the last batch. Beside others the write-ahead log is moved into the file, which comes to the same."""
        if not self.pace.beside_others or not (found := ease(self.engine)).all:
            settle(self.engine)
            return
        if found.pages >= LONG:
            ease(self.engine)  # what came meanwhile: few pages, and often nobody commits now
        if self.drain.stuck(found.pages):
            begin_anew(self.engine)

    def yield_to(self, head: int, deleted: int, worked: float, took: float) -> None:
        """Rest, by what others wrote to the log since the last batch. Another run is nobody to keep a distance from: two would both crawl."""
        others = head - self.head - 1
        if others > 0:
            with reading(self.engine) as connection:
                others -= connection.execute(_OF_RUNS, {"after": self.head, "until": head}).scalar_one()
        self.head = head
        rest = self.pace.after(now=time.monotonic(), deleted=deleted, others=others, worked=worked, took=took)
        time.sleep(rest)

    def left(self) -> int:
        """How many rows are due now, counted up to :data:`COUNTED`."""
        with reading(self.engine) as connection:
            rows = select(_ARTIFACTS.c.id).where(*due(connection, self.now, self.rules)).limit(COUNTED)
            return int(connection.execute(select(func.count()).select_from(rows.subquery())).scalar_one())

    def shred(self, keyring: KeyRing) -> Shredded:
        """Destroy the keys of hours that are over, now that their rows are gone."""
        if not isinstance(keyring, SubjectKeyRing):
            return Shredded()
        return shred(self.engine, keyring, self.now, run_id=self.id, at=self.clock())

    def conclude(self, left: int, shredded: Shredded) -> None:
        """Say that the run came to its end, also when there was nothing to do: that the job runs is evidence too."""
        payload = {
            "count": self.deleted,
            "classes": dict(sorted(self.by_class.items())),
            "batches": self.batches,
            "cutoff": instant(self.now),
            **({"left": left} if left else {}),
            **({"hour_keys": shredded.keys, "hour_keys_needed": shredded.needed} if shredded != Shredded() else {}),
        }
        with writing(self.engine) as connection:
            append(connection, [self._event("store.prune_completed", payload)], self.sealing)

    def _told(self, gone: Gone) -> Row:
        """The event of the next batch, as a row that lacks only its position."""
        return prepare(self._event("store.pruned", _said(gone, self.batches + 1, self.now)), self.sealing)

    def _event(self, type: str, payload: dict[str, Any]) -> AuditRecord:
        return AuditRecord(type=type, decision_id=self.id, resource="retention", payload=payload, at=self.clock())


_HEAD: Final = select(func.coalesce(func.max(AuditEvent.seq), -1))
_OF_RUNS: Final = select(func.count()).where(
    AuditEvent.seq > bindparam("after"), AuditEvent.seq < bindparam("until"), AuditEvent.type == "store.pruned"
)


def _said(gone: Gone, batch: int, now: datetime) -> dict[str, Any]:
    return {
        "count": len(gone.ids),
        "classes": dict(sorted(gone.classes.items())),
        "mechanisms": dict(sorted(gone.mechanisms.items())),
        "first_expired": instant(gone.first_expired),
        "last_expired": instant(gone.last_expired),
        "ids_root": ids_root(gone.ids),
        "batch": batch,
        "cutoff": instant(now),
    }
