"""Guards that work as the workers of one application do: own memory, one database, the same keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.guards import POLICY

from aiguard import open_guard
from aiguard.detect import known_types
from aiguard.guard import Guard
from aiguard.policy import parse_policy
from aiguard.settings import Environment, Settings
from aiguard.types import utc_now


class Clock:
    """Now, and however much ``ahead`` a test sets."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@pytest.fixture
def clock() -> Clock:
    """The clock of every worker."""
    return Clock()


@pytest.fixture
def worker(database_url: str, clock: Clock) -> Iterator[Callable[..., Guard]]:
    """Makes guards; ``more`` is added to the policy."""
    guards: list[Guard] = []

    def make(more: str = "", **options: Any) -> Guard:
        settings = Settings(
            environment=Environment.TEST,
            database=database_url,
            keys=options.pop("keys", (b"m" * 32,)),
            log_protection=False,
            **options.pop("settings", {}),
        )
        policy = parse_policy(POLICY + more, "test policy", known_types())
        guards.append(open_guard(settings, policy=policy, clock=clock, **options))
        return guards[-1]

    yield make
    for guard in guards:
        guard.close()
