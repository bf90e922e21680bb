"""How often: at most so many uses in any window on end, counted exactly, in this process or in Redis for many.

Any use is counted under every rate that holds for it, or under none: a use that one rate refuses is not held against the
others. In memory that is one step under one lock. In Redis each rate is one atomic step (the moving window of ``limits``), taken
after a look at the others; two who race for the last use of different rates may each lose it, and never both get it.

The memory's own counters are ours: those of ``limits`` start a thread for every request and look through every caller each time.
Redis goes by the clocks of the machines that ask, so they must agree (NTP).
"""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiguard.errors import MissingExtra, StoreUnavailable
from aiguard.policy import Feature
from aiguard.types import Rate

REDIS_TIMEOUT: Final = 0.5
"""Seconds that connecting to Redis and one answer of it may take each. It answers in less than a millisecond or is away."""

MAX_CALLERS: Final = 100_000
"""Counters that a process holds. More callers than that at once need Redis; another one is refused."""

SWEEP_INTERVAL: Final = 10.0
"""Seconds between two looks through all counters for those that have run out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """One use, as one rate counts it. ``name`` says whose: a feature and a keyed pseudonym, never an id."""

    name: str
    rate: Rate


@dataclass(frozen=True, kw_only=True, slots=True)
class Exceeded:
    """The rate that refused a use, and when it may allow another: whole seconds, at least 1."""

    use: Use
    retry_after: int


class Counters(Protocol):
    """Where uses are counted."""

    def take(self, uses: Sequence[Use]) -> Exceeded | None:
        """Count one use under every rate, or say which one is used up; :class:`StoreUnavailable` where it cannot be said."""
        ...


def uses_of(feature: Feature, actor: str, tenant: str) -> tuple[Use, ...]:
    """The uses that one admission is. ``actor`` and ``tenant`` are pseudonyms; no tenant is one tenant."""
    own = [Use(name=f"{feature.name}:actor:{actor}", rate=rate) for rate in feature.rate]
    shared = [Use(name=f"{feature.name}:tenant:{tenant or '-'}", rate=rate) for rate in feature.tenant_rate]
    return tuple(sorted((*own, *shared), key=lambda use: use.rate.seconds))


class MemoryCounters:
    """Counts in this process only. A fork's child begins anew. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, size: int = MAX_CALLERS) -> None:
        self._clock = clock
        self._size = size
        self.start_over()
        _in_memory.add(self)

    def start_over(self) -> None:
        """Forget all uses. Called in a forked child, whose parent may have held the lock."""
        self._lock = threading.Lock()
        self._used: dict[Use, deque[float]] = {}
        self._swept = -math.inf

    def take(self, uses: Sequence[Use]) -> Exceeded | None:
        """Count one use under every rate, or none."""
        with self._lock:
            now = self._clock()
            for use in uses:
                moments = self._used.get(use)
                if moments is None:
                    continue
                _forget(moments, now - use.rate.seconds)
                if len(moments) >= use.rate.limit:
                    return Exceeded(use=use, retry_after=_wait(moments[0] + use.rate.seconds - now, use.rate))
            self._make_room(now, uses)
            for use in uses:
                self._used.setdefault(use, deque()).append(now)
            return None

    def _make_room(self, now: float, uses: Sequence[Use]) -> None:
        if now - self._swept >= SWEEP_INTERVAL:
            self._swept = now
            for use, moments in list(self._used.items()):
                if not moments or moments[-1] <= now - use.rate.seconds:
                    del self._used[use]
        if len(self._used) + sum(use not in self._used for use in uses) > self._size:
            raise StoreUnavailable(
                f"Uses of {self._size} callers are being counted, which is all this process has room for; set AIGUARD_REDIS_URL"
            )


_in_memory: weakref.WeakSet[MemoryCounters] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for counters in list(_in_memory):
        counters.start_over()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _forget(moments: deque[float], before: float) -> None:
    while moments and moments[0] <= before:
        moments.popleft()


def _wait(seconds: float, rate: Rate) -> int:
    return max(1, min(math.ceil(seconds), rate.seconds))


class RedisCounters:
    """Counts in Redis, for all processes that share it.

    Args:
        url: ``redis://``, ``rediss://`` or ``redis+unix://``.
        timeout: seconds for connecting, and for an answer. A connection that was lost is made once more.

    Raises:
        MissingExtra: without ``aiguard[redis]``.
    """

    def __init__(self, url: str, *, timeout: float = REDIS_TIMEOUT) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            raise MissingExtra(
                "AIGUARD_REDIS_URL needs the redis package: pip install '.[redis]' in your clone of aiguard"
            ) from None
        from limits import RateLimitItemPerSecond
        from limits.storage import RedisStorage
        from limits.strategies import MovingWindowRateLimiter

        options: dict[str, Any] = {
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry": Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        }
        self._storage = RedisStorage(url, key_prefix="aiguard", **options)
        self._window = MovingWindowRateLimiter(self._storage)
        self._item: Callable[..., Any] = RateLimitItemPerSecond

    def close(self) -> None:
        """Let the connections go; a use that is counted afterwards makes one anew."""
        self._storage.storage.connection_pool.disconnect()

    def answers(self) -> bool:
        """Whether Redis is there."""
        return bool(self._storage.check())

    def take(self, uses: Sequence[Use]) -> Exceeded | None:
        """Count one use under every rate, the shortest window first."""
        try:
            for use in uses[1:]:
                if (full := self._full(use)) is not None:
                    return full
            for use in uses:
                if not self._window.hit(self._limit(use), use.name):
                    return self._full(use) or Exceeded(use=use, retry_after=1)
        except Exception as error:  # noqa: BLE001 - whatever Redis or its client meets, the use was not allowed
            raise StoreUnavailable(
                f"Redis could not count a use ({type(error).__name__}); is AIGUARD_REDIS_URL right?"
            ) from None
        return None

    def _full(self, use: Use) -> Exceeded | None:
        stats = self._window.get_window_stats(self._limit(use), use.name)
        if stats.remaining > 0:
            return None
        return Exceeded(use=use, retry_after=_wait(stats.reset_time - time.time(), use.rate))

    def _limit(self, use: Use) -> Any:
        return self._item(use.rate.limit, use.rate.seconds, namespace="rate")


def counters_for(redis_url: str | None) -> MemoryCounters | RedisCounters:
    """Redis where it is named, else this process."""
    return RedisCounters(redis_url) if redis_url is not None else MemoryCounters()
