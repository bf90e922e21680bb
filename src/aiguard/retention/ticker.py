"""A thread of the application that does what is due, where there is neither a scheduler nor a worker.

Any number of processes may have one: the ledger lets one of them do each job. A fork does not wait for a long run, only for
the batch that is under way.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from sqlalchemy import Engine

from aiguard.audit.worker import Worker
from aiguard.errors import AIGuardError
from aiguard.policy import Policy
from aiguard.retention.clocks import refuse_ahead
from aiguard.retention.duties import Interrupted, run_due
from aiguard.store import SubjectKeyRing
from aiguard.types import Clock, utc_now

logger = logging.getLogger("aiguard")

_FORK_PAUSE: Final = 0.002


class Ticker(Worker):
    """Does what is due every ``interval`` seconds.

    Args:
        engine: the evidence database.
        keyring: people's keys.
        policy: the rules.
        interval: seconds.
        clock: where time comes from.
    """

    name = "aiguard-retention"

    def __init__(
        self,
        engine: Engine,
        keyring: SubjectKeyRing,
        policy: Policy,
        *,
        interval: float,
        clock: Clock = utc_now,
    ) -> None:
        super().__init__(interval)
        self._engine = engine
        self._keyring = keyring
        self._policy = policy
        self._clock = clock
        self._forking = False

    def turn(self) -> None:
        """Do it, and log what stands against it. At the end of the process nothing is begun."""
        if self._stop.is_set():
            return
        try:
            refuse_ahead(self._engine, self._clock())
            run_due(self._engine, self._keyring, self._policy, clock=self._clock, between=self._between)
        except Interrupted:
            logger.info("the process ends; retention goes on at the next run")
        except AIGuardError as error:
            logger.error("retention did not run: %s", error)  # noqa: TRY400 - our own sentence
        except Exception as error:  # noqa: BLE001 - the next turn tries again; overdue rows show in the figures
            logger.error("retention did not run: %s", type(error).__name__)  # noqa: TRY400 - a message may quote a row

    def _between(self) -> None:
        """Between two batches nothing is under way: the process may end, or fork."""
        if self._stop.is_set():
            raise Interrupted("the process ends")
        if self._forking:
            self._turning.release()
            while self._forking:
                time.sleep(_FORK_PAUSE)
            self._turning.acquire()

    def prepare_to_fork(self) -> None:
        """Hold still until :meth:`go_on`."""
        self._forking = True
        super().prepare_to_fork()

    def go_on(self) -> None:
        """Resume in the parent."""
        self._forking = False
        super().go_on()

    def start_over(self) -> None:
        """Run on in a forked child."""
        self._forking = False
        super().start_over()
