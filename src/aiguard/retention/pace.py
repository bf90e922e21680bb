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
"""Rows deleted for each event that others wrote meanwhile, at least. An exchange keeps two artifacts at most times: whoever deletes
more slowly than others write never comes to the end."""

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
        "sqlite": Gait(rows=500, turn=0.004, rest=2.5, smallest=20),
        "postgresql": Gait(rows=4_000, turn=0.015, rest=5.0, smallest=200),
    }
)
"""Measured with ``make bench PART=store``: on PostgreSQL writers' p99 stays within twice of what it is without a run. On SQLite it grows
from some 4 ms to some 15: smaller batches help little, since moving the write-ahead log into the file keeps the same disk busy."""

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

    def __post_init__(self) -> None:
        self.rows = min(self.gait.smallest, self.most)

    def after(self, *, now: float, others: int, worked: float, took: float) -> float:
        """Choose the size of the next batch; the seconds to rest before it.

        Args:
            now: a monotonic time in seconds.
            others: events that others wrote since the batch before.
            worked: seconds of the batch that grow with its rows.
            took: seconds of the whole batch, waiting included.
        """
        if others:
            self.minded_until = now + REMEMBERED
        if now >= self.minded_until:
            self.rows = min(4 * self.rows, self.most)
            return self.pause
        fitting = int(self.rows * self.gait.turn / max(worked, 1e-6))
        least = max(self.gait.smallest, AHEAD * others)
        self.rows = min(max(min(fitting, 2 * self.rows), least), self.most)
        return max(self.pause, self.gait.rest * took)
