"""The thread that signs, drains and prunes: it goes on after every fork, and the end of a process does not wait for it for ever."""

from __future__ import annotations

import os
import threading
import time
import warnings

import pytest

from aiguard.audit import worker as module
from aiguard.audit.worker import Worker


class Slow(Worker):
    """Its first turn waits until it may end."""

    def __init__(self):
        super().__init__(0.01)
        self.turns = 0
        self.running, self.may_end = threading.Event(), threading.Event()

    def turn(self):
        self.turns += 1
        self.running.set()
        self.may_end.wait(30)


def forked():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of newer interpreters: other threads run
        child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


@pytest.fixture
def slow():
    worker = Slow()
    worker.start()
    assert worker.running.wait(10)
    yield worker
    worker.may_end.set()
    worker.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_that_did_not_wait_for_a_long_turn_leaves_the_thread_alive(slow, monkeypatch):
    monkeypatch.setattr(module, "FORK_TIMEOUT", 0.1)
    forked()
    slow.may_end.set()
    deadline = time.monotonic() + 10
    while slow.turns < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert slow.turns >= 3
    assert slow._thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forks_at_the_same_time_leave_the_thread_alive(slow):
    slow.may_end.set()
    threads = [threading.Thread(target=lambda: [forked() for _ in range(15)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    before, deadline = slow.turns, time.monotonic() + 10
    while slow.turns < before + 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert slow.turns >= before + 3


def test_closing_waits_for_a_turn_as_long_as_it_says_and_no_longer(slow, monkeypatch):
    monkeypatch.setattr(module, "JOIN_TIMEOUT", 0.1)
    started = time.monotonic()
    slow.close()
    assert time.monotonic() - started < 5
    assert slow.turns == 1
