"""Closing a streamed answer: at any time, from anywhere, and what happens to it afterwards."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from tests.support.guards import JANE, make_guard

from aiguard.pouring import Pour
from aiguard.types import Finding

ENDS = {"exchange.completed", "exchange.aborted", "exchange.failed", "output.blocked"}


def within_seconds(work: Callable[[], Any]) -> Any:
    """What ``work`` returns; a failure where it does not come back."""
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(work()), daemon=True)
    thread.start()
    thread.join(10)
    assert done, "it did not come back"
    return done[0]


def words(*_: Any, **__: Any) -> Iterator[str]:
    while True:
        yield "some words and more words "


async def words_later(*_: Any, **__: Any) -> AsyncIterator[str]:
    for piece in words():
        yield piece


def test_a_stream_that_was_closed_gives_nothing_more() -> None:
    guard, recorder = make_guard()
    with guard.acting_as(JANE, scope="support:reply"):
        stream = guard.stream(words, "hello", model="local:small")
        assert next(stream)
        stream.close()
        assert within_seconds(lambda: next(stream, "the end")) == "the end"
    assert [type for type in recorder.types() if type in ENDS] == ["exchange.aborted"]


def test_an_async_stream_that_was_closed_gives_nothing_more() -> None:
    guard, recorder = make_guard()

    async def read() -> Any:
        with guard.acting_as(JANE, scope="support:reply"):
            stream = await guard.astream(words_later, "hello", model="local:small")
            assert await anext(stream)
            await stream.aclose()
            return await anext(stream, "the end")

    assert within_seconds(lambda: asyncio.run(read())) == "the end"
    assert [type for type in recorder.types() if type in ENDS] == ["exchange.aborted"]


class Arriving:
    """Pieces that arrive when they are let, whoever has closed what."""

    def __init__(self, raises: Exception | None = None) -> None:
        self.asked = threading.Event()
        self.let = threading.Event()
        self._raises = raises
        self._first = True

    def __iter__(self) -> Arriving:
        return self

    def __aiter__(self) -> Arriving:
        return self

    def __next__(self) -> str:
        if not self._first:
            self.asked.set()
            assert self.let.wait(10)
            if self._raises is not None:
                raise self._raises
        self._first = False
        return "some words and more words "

    async def __anext__(self) -> str:
        return await asyncio.to_thread(self.__next__)


def closing_meanwhile(stream: Pour[str], arriving: Arriving) -> threading.Thread:
    """A thread that closes ``stream`` once it is being read, and lets the read go on after that."""

    def close() -> None:
        assert arriving.asked.wait(10)
        stream.close()
        arriving.let.set()

    thread = threading.Thread(target=close)
    thread.start()
    return thread


def test_a_read_that_waits_while_another_thread_closes_the_stream_comes_to_its_end() -> None:
    guard, recorder = make_guard()
    arriving = Arriving()
    with guard.acting_as(JANE, scope="support:reply"):
        stream = guard.stream(lambda *_, **__: arriving, "hello", model="local:small")
        assert next(stream)
        closer = closing_meanwhile(stream, arriving)
        assert within_seconds(lambda: next(stream, "the end")) == "the end"
        closer.join()
    assert [type for type in recorder.types() if type in ENDS] == ["exchange.aborted"]


def test_what_such_a_read_meets_comes_out_of_it() -> None:
    guard, recorder = make_guard()
    arriving = Arriving(OSError("the connection was closed"))
    with guard.acting_as(JANE, scope="support:reply"):
        stream = guard.stream(lambda *_, **__: arriving, "hello", model="local:small")
        assert next(stream)
        closer = closing_meanwhile(stream, arriving)
        with pytest.raises(OSError, match="was closed"):
            next(stream)
        closer.join()
    assert [type for type in recorder.types() if type in ENDS] == ["exchange.aborted"]


def test_a_read_that_waits_while_another_task_closes_the_stream_comes_to_its_end() -> None:
    guard, recorder = make_guard()
    arriving = Arriving()

    async def read() -> Any:
        with guard.acting_as(JANE, scope="support:reply"):
            stream = await guard.astream(lambda *_, **__: arriving, "hello", model="local:small")
            assert await anext(stream)
            reading = asyncio.ensure_future(anext(stream, "the end"))
            await asyncio.to_thread(arriving.asked.wait, 10)
            await stream.aclose()
            arriving.let.set()
            return await reading

    assert within_seconds(lambda: asyncio.run(read())) == "the end"
    assert [type for type in recorder.types() if type in ENDS] == ["exchange.aborted"]


class _Slow:
    """Takes its time over the answer, as a language model does, and finds nothing."""

    types: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.busy = threading.Event()
        self.done = threading.Event()

    def detect(self, text: str, *, context: str = "") -> list[Finding]:
        if "answer" in text:
            self.busy.set()
            assert self.done.wait(10)
        return []


def test_a_task_that_is_cancelled_in_the_middle_of_a_scan_leaves_one_outcome() -> None:
    slow = _Slow()
    guard, recorder = make_guard(detector=slow)

    async def answers(*_: Any, **__: Any) -> AsyncIterator[str]:
        yield "the answer"

    async def read() -> None:
        with guard.acting_as(JANE, scope="support:reply"):
            stream = await guard.astream(answers, "hello", model="local:small")
            reading = asyncio.ensure_future(anext(stream))
            await asyncio.to_thread(slow.busy.wait, 10)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            threading.Timer(0.05, slow.done.set).start()
            await stream.aclose()

    asyncio.run(read())
    assert len([type for type in recorder.types() if type in ENDS]) == 1


class Connection:
    """An answer that keeps something open, and notes where it was closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.in_thread = ""

    def __iter__(self) -> Connection:
        return self

    def __next__(self) -> str:
        return "some words and more words "

    def close(self) -> None:
        self.in_thread = threading.current_thread().name
        self.closed.set()


class AsyncConnection(Connection):
    def __aiter__(self) -> AsyncConnection:
        return self

    async def __anext__(self) -> str:
        return next(self)

    async def aclose(self) -> None:
        self.close()


def round_and_round(stream: Any) -> list[Any]:
    """Something that only the garbage collector can find."""
    again: list[Any] = [stream]
    again.append(again)
    return again


def test_a_stream_that_the_garbage_collector_finds_is_closed_outside_of_it() -> None:
    guard, recorder = make_guard()
    connection = Connection()
    with guard.acting_as(JANE, scope="support:reply"):
        again = round_and_round(guard.stream(lambda *_, **__: connection, "hello", model="local:small"))
        assert next(again[0])
        del again
        gc.collect()
    assert connection.closed.wait(5)
    assert connection.in_thread == "aiguard-reaper"
    assert [type for type in recorder.types() if type in ENDS] == ["exchange.aborted"]


def test_a_stream_that_is_forgotten_is_closed_where_it_was_forgotten() -> None:
    guard, _ = make_guard()
    connection = Connection()
    with guard.acting_as(JANE, scope="support:reply"):
        stream = guard.stream(lambda *_, **__: connection, "hello", model="local:small")
        assert next(stream)
        del stream
    assert connection.in_thread == threading.current_thread().name


def test_one_that_cannot_be_closed_keeps_no_other_from_it(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Connection):
        def close(self) -> None:
            super().close()
            raise OSError("jane.doe@example.org")

    guard, _ = make_guard()
    connections = [Broken(), Connection()]
    with guard.acting_as(JANE, scope="support:reply"):
        for connection in connections:
            again = round_and_round(
                guard.stream(lambda *_, connection=connection, **__: connection, "hello", model="local:small")
            )
            del again
            gc.collect()
    assert all(connection.closed.wait(5) for connection in connections)
    assert "could not be closed (OSError)" in caplog.text
    assert "jane.doe" not in caplog.text


def test_an_async_stream_that_the_garbage_collector_finds_is_closed_by_its_loop() -> None:
    guard, recorder = make_guard()
    connection = AsyncConnection()

    async def forget() -> None:
        with guard.acting_as(JANE, scope="support:reply"):
            again = round_and_round(await guard.astream(lambda *_, **__: connection, "hello", model="local:small"))
            assert await anext(again[0])
            del again
            gc.collect()
            assert not connection.closed.is_set()
            assert await asyncio.to_thread(connection.closed.wait, 5)

    asyncio.run(forget())
    assert [type for type in recorder.types() if type in ENDS] == ["exchange.aborted"]


def test_an_async_stream_that_outlives_its_loop_is_on_record_all_the_same() -> None:
    guard, recorder = make_guard()

    async def open() -> Any:
        with guard.acting_as(JANE, scope="support:reply"):
            return await guard.astream(lambda *_, **__: AsyncConnection(), "hello", model="local:small")

    again = round_and_round(asyncio.run(open()))
    del again
    gc.collect()
    assert [type for type in recorder.types() if type in ENDS] == ["exchange.aborted"]


def test_a_forked_child_leaves_the_parents_streams_to_the_parent() -> None:
    guard, recorder = make_guard()
    connection = Connection()
    with guard.acting_as(JANE, scope="support:reply"):
        stream = guard.stream(lambda *_, **__: connection, "hello", model="local:small")
        assert next(stream)
        child = os.fork()
        if child == 0:
            right = False
            try:
                del stream
                own = Connection()
                again = round_and_round(guard.stream(lambda *_, **__: own, "hello", model="local:small"))
                del again
                gc.collect()
                ended = [type for type in recorder.types() if type in ENDS]
                right = own.closed.wait(5) and not connection.closed.is_set() and ended == ["exchange.aborted"]
            finally:
                os._exit(0 if right else 1)
        _, status = os.waitpid(child, 0)
        assert status == 0
        stream.close()
    assert connection.closed.is_set()
    assert [type for type in recorder.types() if type in ENDS] == ["exchange.aborted"]
