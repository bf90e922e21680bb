"""Who waits for the writer's next transaction, and who of a crowd is waited for.

Many threads put and one takes. Nothing of anybody else's runs while the line is locked: futures are answered
outside, since what hangs on them may come back for more.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import InvalidStateError
from dataclasses import dataclass
from typing import Final

from aiguard.db.mapping import Row
from aiguard.db.receipt import Chain, Receipt, Sleeper
from aiguard.errors import StoreError
from aiguard.types import Record

WAKING: Final = 0.005
"""Seconds in which those who have an answer wake one another; after that the line wakes them."""

GATHER_SHARE: Final = 1.0
GATHER_LIMIT: Final = 0.005
"""How long after a transaction those whom it answered are waited for: at most so many times what it took, and this many seconds."""


@dataclass(slots=True, eq=False)
class Item:
    """Records that are kept together, and the future of whoever handed them over."""

    records: tuple[Record, ...]
    size: int
    deadline: float
    """By :func:`time.monotonic`. Items come in this order, give or take what a thread is held up on its way."""
    future: Receipt
    rows: Sequence[tuple[type, Row]] = ()
    """What the records became, once the writer has come to them."""

    def fail(self, error: StoreError) -> None:
        """Tell that they are not, or that it is not known."""
        with contextlib.suppress(InvalidStateError):  # as above, or its caller did
            self.future.set_exception(error)


class Line:
    """Items in the order in which they came.

    Args:
        limit: records that may wait; a single item may be larger.
        batch: records that are taken at once; a single item may be larger.
    """

    def __init__(self, *, limit: int, batch: int) -> None:
        self.waiting = 0
        """Records that wait."""
        self.chain = Chain()
        """Wakes whoever has an answer."""
        self._limit = limit
        self._batch = batch
        # Of the thread that holds it, the collector may ask for it again: a stream that nobody reads puts its record in line when it is found.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._items: deque[Item] = deque()
        self._running: list[Item] = []
        self._closed = False
        self._crowd = 0
        self._wanted = 1
        self._gather_until = 0.0

    def put(self, item: Item) -> str:
        """Wait for the next transaction; or why that cannot be."""
        with self._lock:
            if self._closed:
                return "the writer is closed; records must be handed over before close()"
            if self._items and self.waiting + item.size > self._limit:
                return f"{self.waiting} records are already waiting; the database is slower than the traffic"
            self._items.append(item)
            self.waiting += item.size
            if len(self._items) in (1, self._wanted):
                self._changed.notify()
        return ""

    def take(self) -> tuple[list[Item], list[Item]] | None:
        """The items of the next transaction, and those whose time is over, as soon as there is one; None once all are taken and the line is closed.

        Whoever was cancelled is left out. Nobody can be from here on.
        """
        with self._lock:
            while not self._items and not self._closed:
                if not self._changed.wait(WAKING if self.chain else None):
                    self.chain.rest()
            if not self._items:
                return None
            self._gather()
            self.chain.rest()
            late = self._late(time.monotonic())
            self._running = self._pop()
            return self._running, late

    def kept(self, items: Sequence[Item]) -> None:
        """Tell those whose items these are that the records are kept."""
        sleepers: list[Sleeper] = []
        for item in items:
            try:  # noqa: SIM105 - done for every record, and `suppress` takes as long as answering does
                sleepers += item.future.finish(None)
            except InvalidStateError:  # the watch gave up on it
                pass
        self.chain.wake(sleepers)

    def answered(self, began: float) -> None:
        """The transaction of what was taken is over; it began at that time (:func:`time.monotonic`)."""
        ended = time.monotonic()
        with self._lock:
            self._crowd = len(self._running) + len(self._items)
            self._running = []
            self._gather_until = ended + min(GATHER_LIMIT, GATHER_SHARE * (ended - began))

    def late(self, now: float, patience: float) -> tuple[list[Item], list[Item]]:
        """What waited for too long, which does not wait any more; and what is being written and was to be done ``patience`` seconds ago."""
        with self._lock:
            return self._late(now), [item for item in self._running if now > item.deadline + patience]

    def close(self) -> None:
        """Let nobody in any more."""
        with self._lock:
            self._closed = True
            self._changed.notify()

    def clear(self) -> list[Item]:
        """Everybody who has no answer yet; nobody waits any more."""
        with self._lock:
            left = [*self._running, *self._items]
            self._items.clear()
            self.waiting = 0
        return left

    @property
    def over(self) -> bool:
        """Whether nobody waits for an answer and nobody can come."""
        with self._lock:
            return self._closed and not self._items and not self._running

    def _gather(self) -> None:
        """Give those who were just answered a moment to come back, as long as fewer wait than did, and not enough for a transaction."""
        self._wanted = self._crowd
        while len(self._items) < self._wanted and self.waiting < self._batch and not self._closed:
            left = self._gather_until - time.monotonic()
            if left <= 0:
                break
            self._changed.wait(left)
        self._wanted = 1

    def _late(self, now: float) -> list[Item]:
        late: list[Item] = []
        while self._items and now > self._items[0].deadline:
            late.append(self._first())
        return late

    def _pop(self) -> list[Item]:
        batch: list[Item] = []
        size = 0
        while self._items and (not batch or size + self._items[0].size <= self._batch):
            item = self._first()
            if item.future.set_running_or_notify_cancel():
                batch.append(item)
                size += item.size
        return batch

    def _first(self) -> Item:
        item = self._items.popleft()
        self.waiting -= item.size
        return item
