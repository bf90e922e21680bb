"""Deleting artifacts whose time is over, in small batches, each with its evidence.

One batch is one write transaction: take the rows that expired first, delete them, append a ``store.pruned`` event with
their counts by class, the range of their expiry times and the RFC 6962 root hash over their sorted ids. Whoever kept a list
of ids can later prove that they were among the deleted; the log itself holds none. A crash between two batches loses
nothing: the next run goes on. Any number of runs may go at once, also on other machines: a row is deleted, and counted,
once.

A run keeps out of the way of those who write (``turns``). The rows are deleted before the event is appended, so that the log's lock is held for the shortest time.

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

from sqlalchemy import Engine, Table, func, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import append
from aiguard.audit.tables import insert_rows, prepare
from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Row, Sealing
from aiguard.db.wal import checkpoint
from aiguard.retention.evidence import ids_root, instant
from aiguard.retention.holds import latch
from aiguard.retention.pace import GAITS, PAUSE
from aiguard.retention.planning import due, require_zone
from aiguard.retention.removal import FromPostgresql, FromSqlite, Gone
from aiguard.retention.shredding import Shredded, shred
from aiguard.retention.turns import PRUNED, Turns
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
        turns=Turns(engine, most=size, pause=pause, gait=gait),
        room=at_most,
        said_to=(progress, witness),
        clock=clock,
        rows=(FromSqlite if engine.dialect.name == "sqlite" else FromPostgresql)(engine, now, rules),
    )
    try:
        run.through()
    except SQLAlchemyError as error:
        raise as_store_error(error, "deleted by this batch") from None
    try:
        left = run.left()
        shredded = run.shred(keyring)
        erased = checkpoint(engine)
        run.conclude(left, shredded)
    except SQLAlchemyError as error:
        raise as_store_error(error, f"said of the end of this run, which deleted {run.deleted} artifacts") from None
    return Pruned(
        run_id=run.id,
        deleted=run.deleted,
        by_class=MappingProxyType(dict(run.by_class)),
        batches=run.turns.taken,
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
    turns: Turns
    room: int | None
    said_to: tuple[Callable[[int], None] | None, Callable[[int, Gone], None] | None]
    clock: Clock
    rows: FromPostgresql | FromSqlite
    deleted: int = 0
    by_class: Counter[str] = field(default_factory=Counter)

    def through(self) -> None:
        """From the oldest row to ``now``, and again from the oldest while there are rows that others had locked."""
        self.turns.begin()
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
        size = self.turns.rows if room is None else min(self.turns.rows, room)
        foreseen = self.rows.foresee(size, room)
        if self.rows.over:
            return
        told = None if foreseen is None else self._told(foreseen)
        with self.turns.turn() as turn:
            latch(turn.connection, alone=False)
            gone = self.rows.take(turn.connection, size)
            if gone is None:
                return
            turn.did(len(gone.ids))
            insert_rows(turn.connection, [told if told is not None and gone is foreseen else self._told(gone)])
        self.deleted += len(gone.ids)
        self.by_class.update(gone.classes)
        progress, witness = self.said_to
        if witness is not None:
            witness(self.turns.taken, gone)
        if progress is not None:
            progress(len(gone.ids))
        self.turns.rest()

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
            "batches": self.turns.taken,
            "cutoff": instant(self.now),
            **({"left": left} if left else {}),
            **({"hour_keys": shredded.keys, "hour_keys_needed": shredded.needed} if shredded != Shredded() else {}),
        }
        with writing(self.engine) as connection:
            append(connection, [self._event("store.prune_completed", payload)], self.sealing)

    def _told(self, gone: Gone) -> Row:
        """The event of the next batch, as a row that lacks only its position."""
        return prepare(self._event(PRUNED, _said(gone, self.turns.taken + 1, self.now)), self.sealing)

    def _event(self, type: str, payload: dict[str, Any]) -> AuditRecord:
        return AuditRecord(type=type, decision_id=self.id, resource="retention", payload=payload, at=self.clock())


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
