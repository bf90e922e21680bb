"""SQLite's write-ahead log: committed late and forced afterwards, moved while others write, begun anew, cut."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support import records as r

from aiguard.db import make_engine, reading, wal, writing
from aiguard.errors import StoreUnavailable


@pytest.fixture
def backend():
    return "sqlite"


@pytest.fixture
def log(database_url):
    return Path(database_url.removeprefix("sqlite:///") + "-wal")


def some(writer, number=40):
    for _ in range(number):
        writer.commit(r.exchange()).result(5)


def synchronous(connection):
    return connection.execute(text("PRAGMA synchronous")).scalar_one()


def test_only_a_late_transaction_leaves_the_disk_for_later_also_where_it_fails(engine):
    with writing(engine, late=True) as connection:
        assert synchronous(connection) == 1
    with writing(engine) as connection:
        assert synchronous(connection) == 2
    with pytest.raises(RuntimeError), writing(engine, late=True):
        raise RuntimeError
    with reading(engine) as connection:
        assert synchronous(connection) == 2


def test_settling_forces_the_log(engine, writer, log, monkeypatch):
    some(writer, 1)
    forced = []
    monkeypatch.setattr(wal, "_force", lambda descriptor: forced.append(os.fstat(descriptor).st_ino))
    wal.settle(engine)
    assert forced == [log.stat().st_ino]


def test_a_disk_that_refuses_is_unavailable(engine, writer, monkeypatch):
    some(writer, 1)

    def refuse(_descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(wal, "_force", refuse)
    with pytest.raises(StoreUnavailable, match="power cut"):
        wal.settle(engine)


def test_a_log_that_is_gone_needs_no_forcing(engine, monkeypatch):
    def gone(*_):
        raise FileNotFoundError

    monkeypatch.setattr("aiguard.db.wal.os.open", gone)
    wal.settle(engine)


def test_moving_says_how_long_the_log_is(engine, writer):
    assert wal.checkpoint(engine)
    some(writer)
    first = wal.ease(engine)
    assert first.all
    assert first.pages > 40
    some(writer)
    assert (
        wal.ease(engine).pages < 2 * first.pages
    )  # all of it was moved and nobody wrote meanwhile, so it was begun anew


def test_beside_others_who_write_without_a_pause_the_log_is_begun_anew(engine, writer):
    assert wal.checkpoint(engine)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            some(writer, 1)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        some(writer, 100)
        assert wal.begin_anew(engine)
        some(writer, 1)
        short = wal.ease(engine).pages
    finally:
        stop.set()
        thread.join()
    assert short < 500  # a commit is ten pages and more


def test_what_another_connection_moves_just_now_is_not_said_to_be_on_disk():
    assert not wal.Moved(-1, -1).all
    assert not wal.Moved(9, 8).all
    assert wal.Moved(9, 9).all


def test_whoever_reads_keeps_the_log_and_that_is_said(engine, writer, database_url):
    some(writer, 1)
    other = make_engine(database_url)
    with other.connect() as reader:
        reader.execute(text("SELECT count(*) FROM aiguard_artifacts")).scalar_one()
        some(writer, 1)
        assert not wal.ease(engine).all
        assert not wal.begin_anew(engine)
    other.dispose()
    assert wal.begin_anew(engine)


def test_cutting_the_log_keeps_nobody_from_writing_while_somebody_reads(engine, writer, database_url, log):
    some(writer, 1)
    other = make_engine(database_url)
    with other.connect() as reader:
        reader.execute(text("SELECT count(*) FROM aiguard_artifacts")).scalar_one()
        some(writer, 1)
        done = []
        thread = threading.Thread(target=lambda: done.append(wal.checkpoint(engine, patience=1.5)))
        thread.start()
        slowest = 0.0
        while thread.is_alive():
            started = time.monotonic()
            some(writer, 1)
            slowest = max(slowest, time.monotonic() - started)
    other.dispose()
    assert done == [False]
    assert slowest < 1
    assert wal.checkpoint(engine)
    assert log.stat().st_size == 0
