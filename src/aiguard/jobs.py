"""RQ's door: retention's jobs on workers that a team has anyway.

One function, :func:`tick`, does whatever is due; the ledger in the database sees to it that each job runs once in its period,
however many workers and schedulers there are. Ticks stand in RQ's own schedule, an hour ahead, in UTC and in JSON, and each puts
the next ones there. (``rq cron`` is not used: in RQ 3.0 it enqueues with pickle whatever serializer is asked for, has no lock
among several schedulers, and evaluates in local time.)

.. code-block:: console

    $ aiguard jobs start
    $ rq worker aiguard --url redis://… --serializer json --job-class aiguard.jobs.RetentionJob --with-scheduler

In Redis a job names the function that a worker calls, so whoever can write to that Redis can run code in a plain RQ worker.
:class:`RetentionJob` calls :func:`tick` and nothing else. Still give RQ a Redis of its own, with a password.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiguard.errors import AIGuardError, MissingExtra
from aiguard.types import Clock, utc_now

try:
    from redis import Redis, RedisError
    from rq import Queue, get_current_job
    from rq.exceptions import DuplicateJobError
    from rq.job import Job
    from rq.serializers import JSONSerializer
except ModuleNotFoundError as missing:
    raise MissingExtra("aiguard.jobs needs RQ: pip install '.[rq]' in your clone of aiguard") from missing

__all__ = [
    "DutyFailed", "JobRefused", "RedisError", "RetentionJob", "connect", "retention_queue", "start", "tick",
]  # fmt: skip

QUEUE: Final = "aiguard"
"""Name of the queue, unless another is given."""

EVERY: Final = timedelta(minutes=5)
"""Time between two ticks. Deleting is hourly; interrupted work and erasures are taken up at the next tick."""

AHEAD: Final = 12
"""Ticks that stand in the schedule, so that none has to survive for the next one to come."""

TIMEOUT: Final = 6 * 3_600
"""Seconds that RQ gives a tick. What it does not end, the next one goes on with."""

KEPT: Final = 86_400
"""Seconds for which RQ remembers how a tick ended."""

PATIENCE: Final = 5.0
"""Seconds to wait for Redis when ticks are scheduled by hand."""

TICK: Final = "aiguard.jobs.tick"


class JobRefused(AIGuardError):
    """Redis holds a job that is not a tick. It was not run."""


class DutyFailed(AIGuardError):
    """A job of retention failed; the ledger has it, and the next tick tries again."""


class RetentionJob(Job):
    """A job that can be nothing but a tick: no other function, argument, callback or webhook that Redis names is used."""

    @property
    def func(self) -> Callable[[], Any]:
        """:func:`tick`, or :class:`JobRefused`."""
        if self.func_name != TICK or self.instance or self.args or self.kwargs:
            raise JobRefused(
                "The queue of retention holds a job that is not a tick; look at who can write to this Redis."
            )
        return tick

    @property
    def success_callback(self) -> None:
        """None is ever called."""
        return

    @property
    def failure_callback(self) -> None:
        """None is ever called."""
        return

    @property
    def stopped_callback(self) -> None:
        """None is ever called."""
        return

    def send_webhooks(self, status: object, *, exc_string: str | None = None) -> None:
        """Send none."""


def connect(url: str) -> Redis:
    """A connection to the Redis of that URL, which gives up after :data:`PATIENCE`."""
    return Redis.from_url(
        url.replace("redis+unix://", "unix://", 1), socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
    )


def retention_queue(connection: Redis, name: str = QUEUE) -> Queue:
    """The queue of ticks, which speaks JSON."""
    return Queue(name, connection=connection, serializer=JSONSerializer, job_class=RetentionJob)


def start(queue: Queue, *, now: datetime) -> int:
    """Put the next ticks into RQ's schedule; how many were not there. Do it as often as you like, from anywhere."""
    slot = int(now.timestamp() // EVERY.total_seconds())
    added = 0
    for number in range(slot, slot + AHEAD):
        at = datetime.fromtimestamp(number * EVERY.total_seconds(), UTC)
        with contextlib.suppress(DuplicateJobError):
            queue.enqueue_at(
                at, tick, job_id=f"{queue.name}-tick-{at:%Y%m%dT%H%MZ}", unique=True, job_timeout=TIMEOUT,
                result_ttl=KEPT, failure_ttl=KEPT, description="retention",
            )  # fmt: skip
            added += 1
    return added


def tick(*, clock: Clock = utc_now) -> list[dict[str, str]]:
    """Put the next ticks into the schedule, and do what is due; what was done, without anything but names and states.

    Raises:
        DutyFailed: at least one job failed. The others were done all the same.
        AIGuardError: settings, policy or database cannot be used.
    """
    from aiguard.retention.clocks import refuse_ahead
    from aiguard.retention.duties import run_due
    from aiguard.runtime import open_evidence, read_policy
    from aiguard.settings import Settings

    job = get_current_job()
    if job is not None:
        start(retention_queue(job.connection, job.origin or QUEUE), now=clock())
    settings = Settings.load()
    policy = read_policy(settings)
    with open_evidence(settings) as (engine, keyring):
        refuse_ahead(engine, clock())
        done = run_due(engine, keyring, policy, clock=clock)
    failed = sorted({duty.job for duty in done if duty.state == "failed"})
    if failed:
        raise DutyFailed(f"{', '.join(failed)} failed; `aiguard retention runs` shows why.")
    return [{"job": duty.job, "period": duty.period, "state": duty.state} for duty in done]
