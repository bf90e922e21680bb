"""A thread that takes turns at something, for as long as a process lives, and goes on in its forked children."""

from __future__ import annotations

import os
import threading
import weakref

FORK_TIMEOUT = 5.0
"""Seconds that a fork waits for a running turn."""

JOIN_TIMEOUT = 30.0
"""Seconds that :meth:`Worker.close` waits for a running turn."""


class Worker:
    """Calls :meth:`turn` every ``interval`` seconds, and soon after :meth:`wake`, in a thread of its own.

    A fork waits for a running turn, so that a child never inherits a database connection in the middle of a transaction; the
    child then has a thread of its own.
    """

    name = "aiguard-worker"

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._reset()

    def _reset(self) -> None:
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._turning = threading.Lock()
        self._held = False
        self._thread: threading.Thread | None = None

    def turn(self) -> None:
        """Do what there is to do; must not raise."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the thread."""
        _workers.add(self)
        self._thread = threading.Thread(target=self._work, name=self.name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have the next turn begin now."""
        self._woken.set()

    def close(self) -> None:
        """Take a last turn, and stop; a turn that does not end in time was the last."""
        _workers.discard(self)
        self._stop.set()
        self._woken.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(JOIN_TIMEOUT)
            if not self._thread.is_alive():
                self._take_turn()

    def _work(self) -> None:
        while not self._stop.is_set():
            self._woken.wait(self._interval)
            self._woken.clear()
            if not self._stop.is_set():
                self._take_turn()

    def _take_turn(self) -> None:
        with self._turning:
            self.turn()

    def prepare_to_fork(self) -> None:
        """Hold still until :meth:`go_on`."""
        self._held = self._turning.acquire(timeout=FORK_TIMEOUT)

    def go_on(self) -> None:
        """Resume in the parent."""
        if self._held:  # else the wait has timed out, and the lock is the running turn's own
            self._held = False
            self._turning.release()

    def start_over(self) -> None:
        """Run on in a forked child, which inherits no threads."""
        self._reset()
        self.start()


_workers: weakref.WeakSet[Worker] = weakref.WeakSet()
_forking: list[Worker] = []
_one_fork = threading.Lock()


def _before_fork() -> None:
    _one_fork.acquire()
    _forking.extend(_workers)
    for worker in _forking:
        worker.prepare_to_fork()


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop().go_on()
    _one_fork.release()


def _after_fork_in_child() -> None:
    _forking.clear()
    _one_fork.release()
    for worker in list(_workers):
        worker.start_over()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
