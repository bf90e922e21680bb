"""The one writer of a process: many callers, one thread, one transaction for whatever is waiting (group commit).

A caller hands over records and gets a future; the future resolves after the commit. While one transaction is being
forced to disk the next batch gathers by itself, so a lone caller waits for one commit and a crowd shares it. Whoever was just answered
in a crowd often has more to write, and is waited for a moment, lest two halves of the crowd take turns and each waits for two commits.

What is promised:

* The records of one ``commit`` are kept together or not at all.
* Nothing is dropped silently: a full queue, a locked, read-only or full database, a closed writer or a missed deadline is
  :class:`~aiguard.errors.StoreUnavailable` in the future. No future stays open much longer than ``2 * timeout``.
* A record that the database refuses fails alone, not the batch it happened to travel in.
* A ``fork`` waits for the running transaction. Then the child starts with an empty queue and its own thread and connections; what was waiting belongs to
  the parent.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace

from sqlalchemy import Engine

from aiguard.db.engine import writing
from aiguard.db.failures import as_store_error, unavailable
from aiguard.db.mapping import Mapper, Row, Sealing, people_of
from aiguard.db.receipt import Receipt
from aiguard.db.waiting import Item, Line
from aiguard.errors import StoreError, StoreUnavailable
from aiguard.types import KeyRing, Record, SubjectKey, SubjectKeys, new_id

QUEUE_SIZE = 10_000
"""Records that may wait. At the measured rates this is a few seconds of work; more would only hide an outage."""

BATCH_SIZE = 512
"""Records of one transaction, so that a lock is held for tens of milliseconds at most."""

TIMEOUT = 5.0
"""Seconds a caller's records may wait before they are refused."""

DRAIN_TIMEOUT = 10.0
"""Seconds that ``close`` and the end of the process wait for what is still queued."""

FORK_TIMEOUT = 5.0
"""Seconds that a fork waits for the running transaction. Longer than a lock may be waited for."""


class Writer:
    """Commits records; implements :class:`aiguard.types.Recorder`. Starts its thread at the first record.

    Args:
        engine: from :func:`aiguard.db.make_engine`, at the current schema revision.
        keyring: seals what the mappers seal.
        mappers: record type to :class:`Mapper`; a record of another type is refused with :class:`StoreError`.
        timeout: seconds after which waiting records are refused.
    """

    def __init__(
        self,
        engine: Engine,
        keyring: KeyRing,
        mappers: Mapping[type, Mapper],
        *,
        queue_size: int = QUEUE_SIZE,
        batch_size: int = BATCH_SIZE,
        timeout: float = TIMEOUT,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._people = keyring if isinstance(keyring, SubjectKeys) else None
        self._mappers = dict(mappers)
        self._queue_size = queue_size
        self._batch_size = batch_size
        self._timeout = timeout
        self._closed = False
        self._reset()
        _writers.add(self)

    def _reset(self) -> None:
        """The state that belongs to one process."""
        self._sealing = Sealing(keyring=self._keyring, writer=new_id("wrt"))
        self._line = Line(limit=self._queue_size, batch=self._batch_size)
        if self._closed:
            self._line.close()
        self._served = False
        self._starting = threading.RLock()  # as that of the line
        self._busy = threading.Lock()
        self._held = False
        self._thread: threading.Thread | None = None
        self._watch: threading.Thread | None = None

    @property
    def backlog(self) -> int:
        """Records waiting for their transaction."""
        return self._line.waiting

    def commit(self, records: Sequence[Record]) -> Future[None]:
        """Commit all of ``records`` in one transaction, or none.

        Never blocks on the database. Nobody may change the records until it is done. The future raises :class:`~aiguard.errors.StoreError` for a record that cannot
        be stored and :class:`~aiguard.errors.StoreUnavailable` when the database cannot be used in time. Cancelling
        it before its transaction begins withdraws the records.
        """
        kept = tuple(records)
        item = Item(kept, len(kept), time.monotonic() + self._timeout, Receipt(self._line.chain))
        if not kept:
            item.future.set_result(None)
            return item.future
        refusal = (not self._served and self._serve()) or self._line.put(item)
        if refusal:
            item.future.set_exception(StoreUnavailable(f"Nothing was written: {refusal}."))
        return item.future

    def _serve(self) -> str:
        """Have the threads run; or why that cannot be."""
        with self._starting:
            if self._served or self._closed:
                return ""
            self._served = True
            try:
                if self._watch is None or not self._watch.is_alive():
                    self._watch = self._start(self._watch_deadlines, "aiguard-writer-watch")
                self._thread = self._start(self._work, "aiguard-writer")
            except RuntimeError:
                self._served = False
                return "no thread could be started"
        return ""

    @staticmethod
    def _start(target: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread

    def close(self, timeout: float = DRAIN_TIMEOUT) -> None:
        """Take no more records, commit what is waiting, and stop. What cannot be committed in ``timeout`` is refused."""
        with self._starting:
            self._closed = True
            self._line.close()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        self._refuse_all("the process is ending and the database did not answer in time")
        _writers.discard(self)

    def prepare_to_fork(self) -> None:
        """Let the running transaction end and close SQLite's connections, then hold still until :meth:`go_on`.

        SQLite keeps the state of its locks in the memory of the process. A child that inherited it in the middle of a
        transaction would believe for ever that the database is locked, or worse, that it holds the lock.
        """
        self._held = self._busy.acquire(timeout=FORK_TIMEOUT)
        if self._engine.dialect.name == "sqlite":
            self._engine.dispose()

    def go_on(self) -> None:
        """Resume in the parent."""
        if self._held:  # else the wait has timed out, and the lock is the running transaction's own
            self._held = False
            self._busy.release()

    def start_over(self) -> None:
        """Forget everything that belongs to the parent process. Called in a forked child."""
        _inherited.append((self._engine.pool, self._line))
        self._engine.dispose(close=False)
        self._reset()

    def _refuse_all(self, reason: str) -> None:
        for item in self._line.clear():
            item.fail(StoreUnavailable(f"It is not known that anything was written: {reason}."))

    # The writer's thread ---------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while (taken := self._line.take()) is not None:
                batch, late = taken
                self._refuse_late(late)
                began = time.monotonic()
                try:
                    with self._busy:
                        self._write(batch)
                except BaseException as error:  # noqa: BLE001 - nothing may leave a caller waiting, and the thread must live on
                    for item in batch:
                        item.fail(as_store_error(error))
                finally:
                    self._line.answered(began)
        finally:
            self._served = False

    def _write(self, batch: Sequence[Item]) -> None:
        batch = self._ready(batch)
        if not batch:
            return
        try:
            self._transaction([row for item in batch for row in item.rows])
        except Exception as error:  # noqa: BLE001 - told to the callers
            if len(batch) == 1 or unavailable(error):
                for item in batch:
                    item.fail(as_store_error(error))
                return
        else:
            self._line.kept(batch)
            return
        self._write_one_by_one(batch)

    def _ready(self, batch: Sequence[Item]) -> Sequence[Item]:
        """Make rows of all records, asking for the keys of everybody whom they name at once; what cannot be made rows of fails here."""
        keys: Mapping[str, SubjectKey] = {}
        if self._people is not None:
            named = people_of([record for item in batch for record in item.records])
            try:
                keys = self._people.subject_keys(named)
            except Exception as error:  # noqa: BLE001 - told to the callers
                return self._ready_without(batch, error)
        sealing = self._sealing_with(keys)
        return [item for item in batch if self._prepares(item, sealing)]

    def _ready_without(self, batch: Sequence[Item], error: Exception) -> Sequence[Item]:
        """The keys of all could not be had at once: nobody fails for another's damaged key, or for one that is not needed."""
        if self._people is None:
            return batch
        ready: list[Item] = []
        for item in batch:
            named = people_of(item.records)
            keys = self._people.cached_keys(named)
            failure = error
            if keys is None and not isinstance(error, StoreUnavailable):
                try:
                    keys = self._people.subject_keys(named)
                except Exception as own:  # noqa: BLE001 - told to the caller
                    failure = own
            if keys is None:
                item.fail(as_store_error(failure))
            elif self._prepares(item, self._sealing_with(keys)):
                ready.append(item)
        return ready

    def _sealing_with(self, keys: Mapping[str, SubjectKey]) -> Sealing:
        return replace(self._sealing, subjects=keys) if keys else self._sealing

    def _prepares(self, item: Item, sealing: Sealing) -> bool:
        try:
            item.rows = [self._row(record, sealing) for record in item.records]
        except Exception as error:  # noqa: BLE001 - whatever a mapper meets, the caller learns of it in the future
            item.fail(as_store_error(error))
            return False
        return True

    def _row(self, record: Record, sealing: Sealing) -> tuple[type, Row]:
        kind = type(record)
        mapper = self._mappers.get(kind)
        if mapper is None:
            raise StoreError(f"No table was registered for records of type {kind.__name__}.")
        return kind, mapper.prepare(record, sealing)

    def _write_one_by_one(self, batch: Sequence[Item]) -> None:
        """One of the batch was refused: let it fail alone. An outage on the way fails what is left."""
        for position, item in enumerate(batch):
            try:
                self._transaction(item.rows)
            except Exception as error:  # noqa: BLE001 - told to the callers
                refused = batch[position:] if unavailable(error) else [item]
                for each in refused:
                    each.fail(as_store_error(error))
                if len(refused) > 1:
                    return
            else:
                self._line.kept([item])

    def _transaction(self, rows: Sequence[tuple[type, Row]]) -> None:
        grouped: dict[type, list[Row]] = {}
        for kind, row in rows:
            grouped.setdefault(kind, []).append(row)
        ahead = all(self._mappers[kind].straight for kind in grouped)
        with writing(self._engine, ahead=ahead) as connection:
            for kind, mapper in self._mappers.items():  # always in this order: two writers cannot deadlock
                if kind in grouped:
                    mapper.insert(connection, grouped[kind])

    # The watch -------------------------------------------------------------------------------------------------------

    def _watch_deadlines(self) -> None:
        """Refuse what waited too long even when the writer's thread hangs inside the driver."""
        pause = min(0.25, self._timeout / 4)
        while not self._line.over:
            time.sleep(pause)
            late, lost = self._line.late(time.monotonic(), self._timeout)
            self._refuse_late(late)
            for item in lost:
                item.fail(
                    StoreUnavailable(
                        "The database stopped answering during a commit; it is not known whether it was kept."
                    )
                )

    def _refuse_late(self, late: Sequence[Item]) -> None:
        for item in late:
            item.fail(StoreUnavailable(f"Nothing was written: the database was busy for {self._timeout:g} s."))


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()
_inherited: list[object] = []
"""Pools of the parent. Kept alive in a forked child, since closing their connections would disturb the parent's."""


_forking: list[Writer] = []
_one_fork = threading.Lock()


def _before_fork() -> None:
    _one_fork.acquire()
    _forking.extend(_writers)
    for writer in _forking:
        writer.prepare_to_fork()


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop().go_on()
    _one_fork.release()


def _after_fork_in_child() -> None:
    _forking.clear()
    _one_fork.release()
    for writer in list(_writers):
        writer.start_over()


def _drain_at_exit() -> None:
    for writer in list(_writers):
        writer.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
atexit.register(_drain_at_exit)
