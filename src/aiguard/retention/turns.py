"""The batches of whatever deletes: each is one write transaction, as large as suits whoever else writes, and followed by a rest.

A run watches what its batches take and whether others write to the log, and keeps out of their way (``pace``). On SQLite a batch
commits without waiting for the disk, lets go of the lock, and is then forced to disk (``db/wal``); only after that is anybody told of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, bindparam, func, select

from aiguard.audit import AuditEvent
from aiguard.audit.erasure import TOMBSTONE
from aiguard.db.engine import reading, writing
from aiguard.db.wal import begin_anew, ease, settle
from aiguard.retention.pace import GAITS, LONG, PAUSE, Drain, Gait, Pace

PRUNED: Final = "store.pruned"
"""The type of the event that a batch of deleted rows leaves."""

_HEAD: Final = select(func.coalesce(func.max(AuditEvent.seq), -1))
_OF_RUNS: Final = select(func.count()).where(
    AuditEvent.seq > bindparam("after"),
    AuditEvent.seq <= bindparam("until"),
    AuditEvent.type.in_((PRUNED, TOMBSTONE)),
)


@dataclass(slots=True, kw_only=True)
class Turn:
    """One batch that is under way."""

    connection: Connection
    started: float
    count: int = 0
    worked: float = 0.0

    def did(self, count: int) -> None:
        """So many rows were changed. What the transaction does from here on does not grow with them."""
        self.count = count
        self.worked = time.monotonic() - self.started


class Turns:
    """The batches of one run.

    Args:
        engine: where.
        most: rows of one batch, at most; by default what suits the database.
        pause: seconds between batches, at least.
        gait: what suits the database.
    """

    def __init__(
        self, engine: Engine, *, most: int | None = None, pause: float = PAUSE, gait: Gait | None = None
    ) -> None:
        self._engine = engine
        gait = gait or GAITS[engine.dialect.name]
        self._pace = Pace(gait=gait, most=gait.rows if most is None else most, pause=pause)
        self._drain = Drain()
        self._head: int | None = None
        self._rest = (0, 0, 0.0, 0.0)
        self.taken = 0
        """Batches that changed something."""

    @property
    def rows(self) -> int:
        """How many rows the next batch may change."""
        return self._pace.rows

    def begin(self) -> None:
        """From here on it is noticed that others write."""
        with reading(self._engine) as connection:
            self._head = int(connection.execute(_HEAD).scalar_one())

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """One write transaction; on disk when it is left. Say what was done (:meth:`Turn.did`), or nothing was.

        Raises:
            StoreUnavailable: the disk refuses.
        """
        if self._head is None:
            self.begin()
        # The first commit waits for the disk, which then knows of the log's file as well.
        with writing(self._engine, late=self.taken > 0) as connection:
            turn = Turn(connection=connection, started=time.monotonic())
            yield turn
            head = int(connection.execute(_HEAD).scalar_one()) if turn.count else 0
        if not turn.count:
            return
        if self._engine.dialect.name == "sqlite":  # others waited for all of it
            turn.worked = time.monotonic() - turn.started
        self._settle()
        self.taken += 1
        self._rest = (head, turn.count, turn.worked, time.monotonic() - turn.started)

    def rest(self) -> None:
        """Rest after a batch, by what others wrote to the log since the one before.

        Another run is nobody to keep a distance from: two would both crawl.
        """
        head, count, worked, took = self._rest
        after = head if self._head is None else self._head
        others = head - after
        if others > 0:
            with reading(self._engine) as connection:
                others -= int(connection.execute(_OF_RUNS, {"after": after, "until": head}).scalar_one())
        self._head = head
        time.sleep(self._pace.after(now=time.monotonic(), deleted=count, others=others, worked=worked, took=took))

    def _settle(self) -> None:
        """Wait until the disk has the last batch. Beside others the write-ahead log is moved into the file, which comes to the same."""
        if not self._pace.beside_others or not (found := ease(self._engine)).all:
            settle(self._engine)
            return
        if found.pages >= LONG:
            ease(self._engine)  # what came meanwhile: few pages, and often nobody commits now
        if self._drain.stuck(found.pages):
            begin_anew(self._engine)
