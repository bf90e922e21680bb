"""Exchanges that end from outside: a cancelled task, an interrupt, a record that somebody else gave up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from tests.support.guards import JANE, MemoryRecorder, Model, make_guard, user

from aiguard.errors import ControlFailed
from aiguard.identity import acting
from aiguard.types import Finding, Record


class _Watching:
    """A detector of the application's own; ``when`` is called with every text it is asked about."""

    types: frozenset[str] = frozenset()

    def __init__(self, when: Any) -> None:
        self._when = when

    def detect(self, text: str, *, context: str = "") -> list[Finding]:
        self._when(text)
        return []


class _Stuck(MemoryRecorder):
    """Holds the commits from number ``since`` on until they are let go."""

    def __init__(self, since: int) -> None:
        super().__init__()
        self._since = since
        self.held: list[Future[None]] = []
        self.holds = threading.Event()

    def commit(self, records: Sequence[Record]) -> Future[None]:
        done = super().commit(records)
        if len(self.commits) != self._since:
            return done
        self.held.append(Future())
        self.holds.set()
        return self.held[-1]


def interrupt(text: str) -> None:
    if "answer" in text:
        raise KeyboardInterrupt


def test_an_interrupt_while_an_answer_is_scanned_leaves_an_outcome() -> None:
    guard, recorder = make_guard(detector=_Watching(interrupt))
    with guard.acting_as(JANE, scope="support:reply"), pytest.raises(KeyboardInterrupt):
        guard.call(Model("the answer"), user("hello"), model="local:small")
    assert recorder.types() == ["access.allowed", "exchange.decided", "exchange.failed"]
    assert recorder.events[-1].payload["error"] == "KeyboardInterrupt"


def test_an_interrupt_while_a_streamed_answer_is_scanned_leaves_an_outcome() -> None:
    guard, recorder = make_guard(detector=_Watching(interrupt))

    def answers(*_: Any, **__: Any) -> Iterator[str]:
        yield "the answer"

    with guard.acting_as(JANE, scope="support:reply"), pytest.raises(KeyboardInterrupt):
        list(guard.stream(answers, user("hello"), model="local:small"))
    assert recorder.types() == ["access.allowed", "exchange.decided", "exchange.aborted"]


def test_a_task_that_is_cancelled_while_an_answer_is_scanned_leaves_an_outcome() -> None:
    busy, done = threading.Event(), threading.Event()

    def wait(text: str) -> None:
        if "answer" in text:
            busy.set()
            assert done.wait(10)

    guard, recorder = make_guard(detector=_Watching(wait))

    async def main() -> None:
        with guard.acting_as(JANE, scope="support:reply"):
            calling = guard.acall(Model("the answer").asynchronously, user("hello"), model="local:small")
            task = asyncio.ensure_future(calling)
            await asyncio.to_thread(busy.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            done.set()

    asyncio.run(main())
    assert recorder.types() == ["access.allowed", "exchange.decided", "exchange.failed"]


def test_a_task_that_is_cancelled_while_its_decision_is_recorded_sends_nothing_and_leaves_an_outcome() -> None:
    recorder = _Stuck(since=2)
    guard, _ = make_guard(recorder=recorder)
    model = Model()

    async def main() -> None:
        with guard.acting_as(JANE, scope="support:reply"):
            task = asyncio.ensure_future(guard.acall(model.asynchronously, user("hello"), model="local:small"))
            assert await asyncio.to_thread(recorder.holds.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert model.received == []
    assert recorder.types() == ["access.allowed", "exchange.decided", "exchange.failed"]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_record_that_another_call_gave_up_is_a_refusal_and_no_cancelled_task(*, asynchronous: bool) -> None:
    recorder = _Stuck(since=1)
    guard, _ = make_guard(recorder=recorder)
    model = Model()
    access = guard.admit(JANE, "support:reply", wait=False)
    recorder.held[0].cancel()

    def call() -> Any:
        if asynchronous:
            return asyncio.run(guard.acall(model.asynchronously, user("hello"), model="local:small"))
        return guard.call(model, user("hello"), model="local:small")

    with acting(access), pytest.raises(ControlFailed) as caught:
        call()
    assert caught.value.reasons[0].code == "store.unavailable"
    assert model.received == []
