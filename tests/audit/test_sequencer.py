from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support import records as r
from tests.support.postgres import new_postgres

from aiguard.audit import append, tables
from aiguard.db import make_engine, writing
from aiguard.db.mapping import Sealing
from aiguard.errors import StoreUnavailable


def test_many_sequencers_started_by_hand_leave_no_gap_no_repetition_and_no_fork(engine, keyring):
    def run(number):
        sealing = Sealing(keyring=keyring, writer=f"wrt_{number}")
        own = make_engine(engine.url, lock_timeout=20)
        for _ in range(15):
            with writing(own) as connection:
                append(connection, [r.event(), r.event()], sealing)
        own.dispose()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(run, range(6)))
    r.assert_log_is_whole(engine)
    assert len(r.event_ids(engine)) == 180


def test_positions_are_right_also_where_nobody_holds_the_lock(keyring, monkeypatch):
    """The lock only saves waiting: what it protects is the size, and that is compared and swapped."""
    monkeypatch.setattr(tables, "lock_sequencer", lambda connection: None)
    engine = make_engine(new_postgres(), lock_timeout=20)
    begin = threading.Barrier(8)

    def run(number):
        sealing = Sealing(keyring=keyring, writer=f"wrt_{number}")
        begin.wait()
        done = 0
        for _ in range(20):
            try:
                with writing(engine) as connection:
                    append(connection, [r.event()], sealing)
                done += 1
            except StoreUnavailable:
                continue
        return done

    with ThreadPoolExecutor(8) as pool:
        written = sum(pool.map(run, range(8)))
    r.assert_log_is_whole(engine)
    assert len(r.event_ids(engine)) == written > 0
    engine.dispose()


def test_a_size_that_does_not_stay_still_is_refused_and_nothing_is_written(keyring, engine, monkeypatch):
    monkeypatch.setattr(tables, "_GROW", tables._GROW.replace("(SELECT size FROM", "(SELECT size + 1 FROM"))
    sealing = Sealing(keyring=keyring, writer="wrt_test")
    with pytest.raises(StoreUnavailable, match="try again"), writing(engine) as connection:
        append(connection, [r.event()], sealing)
    r.assert_log_is_whole(engine)
    assert r.event_ids(engine) == []
