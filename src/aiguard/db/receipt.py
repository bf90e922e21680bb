"""What a caller of the writer holds until its records are kept: a future that costs less, and whose waiters wake one after another.

A transaction answers many threads at once. Woken all together, each would run only to queue for the interpreter's lock, which one of them
has: twice the changes of threads, and on a busy machine most of the time. So two are woken, and whoever wakes
wakes the next before anything else. Who was to be woken and has gone is passed over, and the writer wakes whoever is
left after a moment, so that nobody's answer depends on what another thread does.

:class:`concurrent.futures.Future` keeps a re-entrant condition; a bare lock does in its place, since nothing foreign runs under it. What
:mod:`concurrent.futures` and :mod:`asyncio` do with a future they can do with a receipt, which the tests hold for each.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING
from typing import Final

AT_ONCE: Final = 2
"""Threads that are woken together. The second has the processor while the first gives it away."""

_OVER: Final = frozenset({CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED})
_new_lock: Final = threading.Lock


class Sleeper:
    """A thread that waits for one answer."""

    __slots__ = ("gate", "gone")

    def __init__(self) -> None:
        self.gate = _new_lock()
        self.gate.acquire()
        self.gone = False
        """Whether it waits no more, and has passed its turn on or is about to."""


class Chain:
    """Those who have an answer and sleep still."""

    def __init__(self) -> None:
        self._asleep: deque[Sleeper] = deque()

    def wake(self, sleepers: Sequence[Sleeper]) -> None:
        """Wake these, one after another."""
        self._asleep.extend(sleepers)
        for _ in range(AT_ONCE):
            self.next()

    def next(self) -> bool:
        """Wake one more; False where nobody is left."""
        try:
            while (sleeper := self._asleep.popleft()).gone:
                pass
        except IndexError:
            return False
        sleeper.gate.release()
        return True

    def rest(self) -> None:
        """Wake all who are left."""
        while self.next():
            pass

    def __bool__(self) -> bool:
        return bool(self._asleep)


class Receipt(Future[None]):
    """A future of the writer's.

    Args:
        chain: wakes whoever waits for it.
    """

    _sleepers: Sequence[Sleeper]

    def __init__(self, chain: Chain) -> None:
        self._condition = _new_lock()  # type: ignore[assignment]  # and all else that `Future` has
        self._state = PENDING
        self._result = None
        self._exception = None
        self._waiters = []
        self._done_callbacks: list[Callable[[Future[None]], object]] = []
        self._sleepers = ()
        self._chain = chain

    def result(self, timeout: float | None = None) -> None:
        """None once the records are kept. Raises what :meth:`concurrent.futures.Future.result` raises."""
        if self._state not in _OVER:
            self._sleep(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Why they are not kept, or None. Raises what :meth:`concurrent.futures.Future.exception` raises."""
        if self._state not in _OVER:
            self._sleep(timeout)
        return super().exception(0)

    def cancel(self) -> bool:
        """Whether the records are withdrawn, which they are unless their transaction has begun."""
        with self._condition:
            if self._state in (CANCELLED, CANCELLED_AND_NOTIFIED):
                return True
            if self._state != PENDING:
                return False
            self._state = CANCELLED
            sleepers, self._sleepers = self._sleepers, ()
        self._chain.wake(sleepers)
        self._call_back()
        return True

    def set_result(self, result: None) -> None:  # noqa: ARG002 - there is one only
        """The records are kept."""
        self._chain.wake(self.finish(None))

    def set_exception(self, exception: BaseException | None) -> None:
        """They are not, or nobody knows."""
        self._chain.wake(self.finish(exception))

    def finish(self, exception: BaseException | None) -> Sequence[Sleeper]:
        """Set the answer and leave the waking to the caller: who is to be woken by :meth:`Chain.wake`.

        Raises:
            InvalidStateError: there is an answer already.
        """
        with self._condition:
            if self._state in _OVER:
                raise InvalidStateError(f"{self._state}: a receipt has one answer")
            self._exception = exception
            self._state = FINISHED
            for waiter in self._waiters:
                waiter.add_exception(self) if exception else waiter.add_result(self)
            sleepers, self._sleepers = self._sleepers, ()
        self._call_back()
        return sleepers

    def _call_back(self) -> None:
        if self._done_callbacks:
            self._invoke_callbacks()  # type: ignore[attr-defined]

    def _sleep(self, timeout: float | None) -> None:
        sleeper = Sleeper()
        with self._condition:
            if self._state in _OVER:
                return
            self._sleepers = (*self._sleepers, sleeper)  # hardly ever more than one
        woken = False
        try:
            woken = sleeper.gate.acquire(True, -1 if timeout is None else min(max(timeout, 0), threading.TIMEOUT_MAX))
        finally:
            sleeper.gone = True
            self._chain.next()
            if not woken:
                with self._condition:
                    self._sleepers = tuple(each for each in self._sleepers if each is not sleeper)
        if not woken and self._state not in _OVER:
            raise TimeoutError
