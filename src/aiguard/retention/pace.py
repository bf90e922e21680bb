"""How fast a run may go: full speed alone, small steps and long rests beside an application that writes.

Pure: it is told what a batch took and whether others wrote, and says how many rows come next and how long to rest first. What
others suffer from a batch is different on the two databases:

* SQLite has one writer at a time, so others wait for the whole batch, commit included. It has to be short, and shrinks with its rows.
* On PostgreSQL others wait for the log's lock alone, which a batch of any size holds for the same few milliseconds, and share the
  processor with the rest. So batches stay long, and are few: a small one costs others as much as a large one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

AHEAD: Final = 3
"""Rows deleted for each event that others wrote meanwhile. An exchange keeps two artifacts at most times: whoever deletes more slowly
than others write never comes to the end."""

SPREAD: Final = 10
"""Batches over which a run catches up when it has fallen behind that: a batch is never smaller than this part of what is owed."""

HURRY: Final = 0.2
"""The share of its rest that a run takes at least while it is behind. More batches harm others less than longer ones."""

REMEMBERED: Final = 2.0
"""Seconds for which others are minded after they wrote: who writes once a second is not to meet a long batch each time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gait:
    """What suits one database."""

    rows: int
    """Of a batch when nobody else writes."""
    turn: float
    """Seconds of others' waiting or of shared work that a batch may cost when somebody does; its rows follow from it."""
    rest: float
    """Seconds of rest then, for each second that the last batch took. A busy machine makes it take longer, and rest longer."""
    smallest: int
    """Rows below which a batch does not shrink, because each costs a commit."""


GAITS: Final = MappingProxyType(
    {
        "sqlite": Gait(rows=500, turn=0.001, rest=12.0, smallest=10),
        "postgresql": Gait(rows=4_000, turn=0.015, rest=5.0, smallest=200),
    }
)
"""Measured with ``make bench PART=store``: writers' p99 stays within twice of what it is without a run, where the processor is not
short for both."""

LONG: Final = 1_000
"""Pages of the log from which what was written during a move is moved at once as well."""

STUCK: Final = 3_000
"""Pages from which it is begun anew, at the cost of others' waiting, before their commits have to move it (``WAL_PAGES``)."""

PAUSE: Final = 0.002
"""Seconds between batches when nobody else writes."""


@dataclass(slots=True, kw_only=True)
class Pace:
    """The pace of one run. ``rows`` is the size of the next batch, at most ``most``; it begins small."""

    gait: Gait
    most: int
    pause: float = PAUSE
    rows: int = field(init=False)
    minded_until: float = field(init=False, default=float("-inf"))
    beside_others: bool = field(init=False, default=False)
    """Whether others wrote of late."""
    owed: int = field(init=False, default=0)
    """Rows that others' events still call for, by :data:`AHEAD`."""

    def __post_init__(self) -> None:
        self.rows = min(self.gait.smallest, self.most)

    def after(self, *, now: float, deleted: int, others: int, worked: float, took: float) -> float:
        """Choose the size of the next batch; the seconds to rest before it.

        Args:
            now: a monotonic time in seconds.
            deleted: rows of the batch.
            others: events that others wrote since the batch before.
            worked: seconds of the batch that grow with its rows.
            took: seconds of the whole batch, waiting included.
        """
        if others:
            self.minded_until = now + REMEMBERED
        if now >= self.minded_until:
            self.beside_others = False
            self.rows, self.owed = min(4 * self.rows, self.most), 0
            return self.pause
        self.beside_others = True
        self.owed = max(0, self.owed + AHEAD * others - deleted)
        fitting = min(int(deleted * self.gait.turn / max(worked, 1e-6)), 2 * self.rows)
        self.rows = min(max(fitting, self.gait.smallest, -(-self.owed // SPREAD)), self.most)
        share = max(HURRY, min(1.0, self.rows / max(self.owed, 1)))
        return max(self.pause, share * self.gait.rest * took)


@dataclass(slots=True, kw_only=True)
class Drain:
    """When a run beside others moves SQLite's write-ahead log into the file, and when it has it begun anew."""

    limit: int = field(init=False, default=STUCK)

    def stuck(self, pages: int) -> bool:
        """Whether a log of so many pages is to be begun anew. Where that fails, since somebody reads, not again soon."""
        if pages < STUCK:
            self.limit = STUCK
        if pages < self.limit:
            return False
        self.limit = pages + STUCK
        return True
