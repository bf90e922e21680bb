"""Two calls of one conversation that recall its vault at the same time."""

from __future__ import annotations

import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from tests.support.guards import MemoryRecorder

from aiguard.drivers import Hands, recall
from aiguard.errors import StoreUnavailable
from aiguard.redact import KeptVault
from aiguard.types import Recalled, utc_now

VALUE = ("EMAIL_ADDRESS", "jane@example.com")


class Archive:
    """Knows one value, but not yet when it is asked for the first time; that answer comes late."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._asked = 0
        self.first = threading.Event()
        self.second = threading.Event()

    def recall(self, *, actor: str, conversation: str, known: Collection[str]) -> Recalled:
        self._asked += 1
        if self._asked == 1:
            self.first.set()
            self.second.wait(0.3)
            return Recalled(vault="v", secret=b"s" * 32, live={}, values={})
        values = {} if self._code in known else {self._code: VALUE}
        live = {self._code: utc_now() + timedelta(hours=1)}
        return Recalled(vault="v", secret=b"s" * 32, live=live, values=values)


def test_an_older_answer_of_the_archive_does_not_undo_a_newer_one() -> None:
    archive = Archive("0123456789")
    hands = Hands(recorder=MemoryRecorder(), store_timeout=5, archive=archive)
    vault = KeptVault(actor="a", conversation="c")
    with ThreadPoolExecutor(2) as pool:
        older = pool.submit(recall, hands, vault)
        assert archive.first.wait(5)
        newer = pool.submit(recall, hands, vault)
        newer.add_done_callback(lambda _: archive.second.set())
        older.result(5)
        newer.result(5)
    assert vault.restore("[EMAIL_0123456789]").text == "jane@example.com"


def test_who_waits_too_long_for_another_ones_answer_is_told_that_the_store_is_not_there() -> None:
    hands = Hands(recorder=MemoryRecorder(), store_timeout=0.05, archive=Archive("0123456789"))
    vault = KeptVault(actor="a", conversation="c")
    with vault.recalling, pytest.raises(StoreUnavailable):
        recall(hands, vault)
