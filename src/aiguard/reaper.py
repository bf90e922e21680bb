"""What a garbage collection finds to be closed is closed by a thread of its own.

A collection may begin between any two instructions of a thread, also while that thread holds a lock of an HTTP library. Finalisers run
within it, so one that takes that lock waits for the very thread it runs in. It hands its work over instead: a
:class:`queue.SimpleQueue` can be put into from anywhere.
"""

from __future__ import annotations

import gc
import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("aiguard")

Work = Callable[[], Any]


class _Reaper:
    """The thread and its queue, of one process."""

    def __init__(self) -> None:
        self.collecting: int | None = None
        self.start_over()

    def start_over(self) -> None:
        """Forget the parent's thread, and what the parent will do. Called in a forked child."""
        self.queue: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self.starting = threading.Lock()
        self.thread: threading.Thread | None = None
        self.collecting = None

    def watch(self, phase: str, _info: dict[str, int]) -> None:
        """Told by :mod:`gc` of every collection, in the thread that makes it."""
        self.collecting = threading.get_ident() if phase == "start" else None

    def work(self) -> None:
        """The thread."""
        mine = self.queue
        while True:
            one: Work | None = mine.get()
            try:
                if one is not None:
                    one()
            except Exception as error:  # noqa: BLE001 - nobody is there to be told, and the next one is to be closed as well
                logger.warning("what nobody had closed could not be closed (%s)", type(error).__name__)
            one = None  # what it holds goes now, not with the next one


_reaper = _Reaper()
gc.callbacks.append(_reaper.watch)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reaper.start_over)


def collecting() -> bool:
    """Whether this thread is within a garbage collection."""
    return _reaper.collecting == threading.get_ident()


def ready() -> None:
    """Have the thread run. Called where something is opened, since no thread can be started from within a collection."""
    if _reaper.thread is not None and _reaper.thread.is_alive():
        return
    with _reaper.starting:
        if _reaper.thread is None or not _reaper.thread.is_alive():
            thread = threading.Thread(target=_reaper.work, name="aiguard-reaper", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # as many threads as there may be: the next one that is opened tries again
                return
            _reaper.thread = thread


def outside(work: Work) -> None:
    """Do ``work`` now, or have the thread do it where this is within a garbage collection."""
    if collecting():
        _reaper.queue.put(work)
    else:
        work()
