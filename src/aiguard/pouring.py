"""The drivers of a streamed answer, sync and async: iterators that pull, so nothing is read ahead of its reader.

They decide nothing. However an iteration ends (its end, a refusal, an exception, ``close``, garbage collection) the connection is
let go and the outcome is on record once. What a garbage collection finds lets its connection go outside of that. After that it has nothing more to give, also to a read that was waiting while another
thread or task closed it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar, cast

from aiguard import reaper
from aiguard.drivers import Hands, advance, asettled, settled
from aiguard.effects import Commit
from aiguard.pipeline import Delivered, Opened
from aiguard.streamed import Deliver, Receive

logger = logging.getLogger("aiguard")

Item = TypeVar("Item", str, bytes)
"""A piece of a plain text, or bytes of a wire format."""

Flow = Generator[Receive | Deliver | Commit, Any, Delivered]


_closing: set[asyncio.Task[None]] = set()
"""Streams that nobody closed, while their connections are let go."""


def _closed(task: asyncio.Task[None]) -> None:
    _closing.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("a stream that nobody had closed could not be closed (%s)", type(error).__name__)


class _Pour:
    """What both drivers share: the stages, and where they stand."""

    def __init__(self, flow: Flow, hands: Hands, opened: Opened) -> None:
        self._flow = flow
        self._trail = opened.trail
        self._hands = hands
        self._close = opened.raw.close
        self._process = os.getpid()
        self._over = False
        self._handed = False
        self._closed = False
        self._turn = threading.RLock()
        """Held while the stages go on: who closes waits for that, which is no wait for anything but a scan."""
        self._effect: Any = next(flow)

    def _step(self, value: Any = None, error: BaseException | None = None) -> None:
        """Give the stages what their effect came to, and take the next one; raises what they end in."""
        with self._turn:
            if self._over:  # closed while the effect was carried out
                if error is not None:
                    raise error
                return
            try:
                effect, refusal = advance(self._flow, value, error)
            except BaseException:
                self._end()
                raise
            if refusal is not None:
                self._over = True
                raise refusal.with_traceback(None) from None
            self._effect = effect
            self._over = isinstance(effect, Delivered)

    def _commit(self, effect: Commit) -> Future[None]:
        with self._turn:
            if self._over:  # who closed it has done this too
                done: Future[None] = Future()
                done.set_result(None)
                return done
            self._effect = None
            return self._hands.recorder.commit(effect.records)

    def _due(self) -> bool:
        """Whether something is to be handed over now."""
        self._handed = not self._over and isinstance(self._effect, Deliver)
        return self._handed

    def _abandon(self) -> None:
        """Nobody reads any more. If the outcome is still open, it is put on record, and nobody waits for that."""
        if self._process != os.getpid():
            return
        with self._turn:
            if self._over:
                return
            self._flow.close()
            ended = self._trail.ended
            self._end()
            if ended and isinstance(
                self._effect, Commit
            ):  # a task was cancelled between the stages' wish and its fulfilment
                self._hands.recorder.commit(self._effect.records)

    def _end(self) -> None:
        self._over = True
        if not self._trail.ended:
            self._hands.recorder.commit([self._trail.aborted()])

    def _forgotten(self) -> bool:
        """Whether nobody has closed it. In a forked child it is not for the child to close: the parent may be reading."""
        return not getattr(self, "_closed", True) and self._process == os.getpid()


class Pour(_Pour, Iterator[Item]):
    """What may be delivered of a streamed answer."""

    def __init__(self, flow: Flow, hands: Hands, opened: Opened) -> None:
        self._chunks: Iterator[Any] = opened.raw.chunks
        reaper.ready()
        super().__init__(flow, hands, opened)

    def __next__(self) -> Item:
        try:
            if self._handed:
                self._step()
            while not self._due() and not self._over:
                value: Any = None
                error: BaseException | None = None
                try:
                    match self._effect:
                        case Receive():
                            value = next(self._chunks, None)
                        case Commit() as effect:
                            pending = self._commit(effect)
                            if effect.wait:
                                settled(pending, self._hands.store_timeout)
                except BaseException as raised:  # noqa: BLE001 - thrown into the stages, which decide
                    error = raised
                self._step(value, error)
        except BaseException:
            self._let_go()
            raise
        if self._handed:
            return cast("Item", self._effect.data)
        self._let_go()
        raise StopIteration

    def __del__(self) -> None:
        if self._forgotten():
            self.close()

    def close(self) -> None:
        """Stop reading. The connection is let go, and on record is what was delivered."""
        try:
            self._abandon()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if not self._closed:
            self._closed = True
            reaper.outside(self._close)


class AsyncPour(_Pour, AsyncIterator[Item]):
    """:class:`Pour` on an event loop."""

    def __init__(self, flow: Flow, hands: Hands, opened: Opened) -> None:
        self._chunks: AsyncIterator[Any] = opened.raw.chunks
        self._offload = opened.slow
        self._loop = asyncio.get_running_loop()
        super().__init__(flow, hands, opened)

    async def __anext__(self) -> Item:
        try:
            if self._handed:
                await self._astep()
            while not self._due() and not self._over:
                value: Any = None
                error: BaseException | None = None
                try:
                    match self._effect:
                        case Receive():
                            value = await anext(self._chunks, None)
                        case Commit() as effect:
                            pending = self._commit(effect)
                            if effect.wait:
                                await asettled(pending, self._hands.store_timeout)
                except BaseException as raised:  # noqa: BLE001 - thrown into the stages, which decide
                    error = raised
                await self._astep(value, error)
        except BaseException:
            await self._let_go()
            raise
        if self._handed:
            return cast("Item", self._effect.data)
        await self._let_go()
        raise StopAsyncIteration

    async def _astep(self, value: Any = None, error: BaseException | None = None) -> None:
        """:meth:`_step`, in a thread where a language model may take its time."""
        if self._offload:
            await asyncio.to_thread(self._step, value, error)
        else:
            self._step(value, error)

    async def aclose(self) -> None:
        """Stop reading. The connection is let go, and on record is what was delivered."""
        try:
            if self._offload:
                await asyncio.to_thread(self._abandon)
            else:
                self._abandon()
        finally:
            await self._let_go()

    def __del__(self) -> None:
        if self._forgotten():
            self._abandon()
            with suppress(RuntimeError):  # the loop has ended, and its connections with it
                self._loop.call_soon_threadsafe(self._let_go_soon)

    def _let_go_soon(self) -> None:
        task = self._loop.create_task(self._let_go())
        _closing.add(task)  # a loop itself holds tasks only weakly
        task.add_done_callback(_closed)

    async def _let_go(self) -> None:
        if not self._closed:
            self._closed = True
            await self._close()
