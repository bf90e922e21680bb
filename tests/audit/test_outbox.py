from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from tests.support import records as r
from tests.support.postgres import new_postgres

from aiguard.audit import append, outbox, tail
from aiguard.audit.outbox import Drained, Left, Outbox, drain, left, put, waiting
from aiguard.audit.payload import PayloadRefused
from aiguard.db import make_engine, upgrade, writing
from aiguard.db.mapping import Sealing
from aiguard.errors import ConfigurationError, StoreUnavailable
from aiguard.store import MasterKeyRing


def change(engine, statement, **values):
    with writing(engine) as connection:
        connection.execute(text(statement), values)


def test_an_event_is_on_record_once_its_transaction_commits_and_never_was_when_it_rolls_back(engine, keyring):
    with Session(engine) as session:
        put(session, [r.event(payload={"count": 1})], keyring)
        session.rollback()
        kept = r.event(payload={"count": 2})
        put(session, [kept], keyring)
        session.commit()
    assert r.event_ids(engine) == []
    assert waiting(engine) == 1
    assert drain(engine, keyring) == Drained(events=1)
    (event,) = tail(engine, keyring)
    assert (event.id, event.payload, event.at, event.actor) == (kept.id, {"count": 2}, kept.at, kept.actor)
    assert waiting(engine) == 0
    r.assert_log_is_whole(engine)


def test_events_enter_the_log_in_the_order_of_the_outbox_over_many_pages(engine, keyring, monkeypatch):
    monkeypatch.setattr(outbox, "PAGE", 7)
    events = [r.event() for _ in range(40)]
    with writing(engine) as connection:
        put(connection, events, keyring)
    assert drain(engine, keyring) == Drained(events=40)
    assert r.event_ids(engine) == [event.id for event in events]


def test_what_must_not_get_into_the_log_is_refused_before_anything_is_written(engine, keyring):
    with Session(engine) as session:
        with pytest.raises(PayloadRefused):
            put(session, [r.event(), r.event(payload={"why": "mo@example.org asked"})], keyring)
        session.commit()
    assert waiting(engine) == 0


def test_the_outbox_shows_nothing_of_what_waits_in_it(engine, keyring):
    event = r.event(payload={"model": "openai:gpt-5-mini"})
    with writing(engine) as connection:
        put(connection, [event], keyring)
    (sealed,) = r.scalars(engine, "SELECT sealed FROM aiguard_audit_outbox")
    assert b"gpt-5-mini" not in bytes(sealed)
    assert event.actor.encode() not in bytes(sealed)


def test_a_row_that_was_changed_exchanged_or_made_up_stays_and_the_others_pass_it(engine, keyring):
    events = [r.event() for _ in range(4)]
    with writing(engine) as connection:
        put(connection, events, keyring)
    first, second = (event.id for event in events[:2])
    change(
        engine,
        "UPDATE aiguard_audit_outbox SET sealed = (SELECT sealed FROM aiguard_audit_outbox WHERE event_id = :other) "
        "WHERE event_id = :id",
        id=first,
        other=second,
    )
    stranger = MasterKeyRing([b"x" * 32])
    with writing(engine) as connection:
        put(connection, [r.event()], stranger)
    assert drain(engine, keyring) == Drained(events=3, refused=2)
    assert r.event_ids(engine) == [event.id for event in events[1:]]
    assert waiting(engine) == 2


def test_a_row_that_is_not_what_was_put_there_is_told_of_once_and_again_when_it_changes(engine, keyring, caplog):
    events = [r.event() for _ in range(3)]
    with writing(engine) as connection:
        put(connection, events, keyring)
    spoil = "UPDATE aiguard_audit_outbox SET sealed = :sealed WHERE event_id = :id"
    change(engine, spoil, sealed=b"x" * 80, id=events[0].id)
    change(engine, spoil, sealed=b"x" * 80, id=events[1].id)

    def told():
        drain(engine, keyring)
        return [record.args[0] for record in caplog.records if "outbox" in record.getMessage()]

    rows = list(left(engine, keyring).damaged)
    assert len(rows) == 2
    assert [told(), told(), told()] == [rows] * 3
    change(engine, spoil, sealed=b"y" * 80, id=events[1].id)
    assert told() == [*rows, rows[1]]
    assert left(engine, keyring) == Left(damaged=tuple(rows))
    assert waiting(engine) == 2


def test_a_row_whose_master_key_is_not_at_hand_is_not_called_damaged(engine, keyring):
    with writing(engine) as connection:
        put(connection, [r.event(), r.event()], MasterKeyRing([b"x" * 32]))
        put(connection, [r.event()], keyring)
    found = left(engine, keyring)
    assert (len(found.closed), found.damaged) == (2, ())
    assert drain(engine, keyring) == Drained(events=1, refused=2)
    assert drain(engine, MasterKeyRing([b"k" * 32, b"x" * 32])) == Drained(events=2)
    assert left(engine, keyring) == Left()


def test_a_row_that_is_put_back_after_it_was_drained_does_not_enter_the_log_twice(engine, keyring):
    event = r.event()
    with writing(engine) as connection:
        put(connection, [event], keyring)
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT event_id, at, sealed FROM aiguard_audit_outbox")).one()
    drain(engine, keyring)
    change(
        engine,
        "INSERT INTO aiguard_audit_outbox (event_id, at, sealed) VALUES (:event_id, :at, :sealed)",
        **kept._asdict(),
    )
    assert drain(engine, keyring) == Drained(repeated=1)
    assert r.event_ids(engine) == [event.id]
    r.assert_log_is_whole(engine)


def test_what_was_put_under_the_number_of_a_row_that_is_gone_is_not_lost(engine, keyring, monkeypatch):
    """SQLite gives a row's number again: a drain that has read a row must not take away another that came in its place."""
    first, second = r.event(), r.event()
    with writing(engine) as connection:
        put(connection, [first], keyring)
    move = outbox._move

    def overtaken(*arguments):
        monkeypatch.setattr(outbox, "_move", move)
        drain(engine, keyring)
        with writing(engine) as connection:
            put(connection, [second], keyring)
        return move(*arguments)

    monkeypatch.setattr(outbox, "_move", overtaken)
    assert drain(engine, keyring).events == 0
    assert drain(engine, keyring).events == 1
    assert r.event_ids(engine) == [first.id, second.id]


def test_many_drains_at_once_move_every_event_once(engine, keyring, monkeypatch):
    monkeypatch.setattr(outbox, "PAGE", 5)
    events = [r.event() for _ in range(120)]
    with writing(engine) as connection:
        put(connection, events, keyring)
    begin = threading.Barrier(6)
    patient = make_engine(engine.url, lock_timeout=20)

    def run(_number):
        begin.wait()
        return drain(patient, keyring).events

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(run, range(6))) + drain(patient, keyring).events == 120
    patient.dispose()
    assert sorted(r.event_ids(engine)) == sorted(event.id for event in events)
    r.assert_log_is_whole(engine)


@pytest.fixture
def server():
    """A PostgreSQL database: only there can a row be held while the others go on."""
    engine = make_engine(new_postgres(), lock_timeout=0.2)
    yield engine
    engine.dispose()


def until_somebody_waits(engine):
    """Until a transaction waits for the row of another one."""
    deadline = time.monotonic() + 60
    while not r.scalars(
        engine, "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'"
    ):
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


@pytest.mark.parametrize("fate", ["commits", "fails"])
def test_a_drain_waits_for_events_that_another_one_is_moving(server, keyring, fate):
    events = [r.event() for _ in range(3)]
    with writing(server) as connection:
        put(connection, events, keyring)
    with ThreadPoolExecutor(1) as pool, server.connect() as other, other.begin() as transaction:
        assert len(outbox._take(other, [events[0].id, events[1].id], wait=False)) == 2
        waits = pool.submit(drain, server, keyring)
        until_somebody_waits(server)
        assert r.event_ids(server) == [events[2].id]  # it did what it could, and has not returned
        assert not waits.done()
        if fate == "commits":
            append(other, events[:2], Sealing(keyring=keyring, writer="wrt_other"))
            transaction.commit()
        else:
            transaction.rollback()
        assert waits.result(60) == Drained(events=1 if fate == "commits" else 3)
    assert sorted(r.event_ids(server)) == sorted(event.id for event in events)
    assert waiting(server) == 0
    r.assert_log_is_whole(server)


def test_a_drain_does_not_wait_for_ever_and_a_background_turn_not_at_all(server, keyring):
    held, free = r.event(), r.event()
    with writing(server) as connection:
        put(connection, [held, free], keyring)
    with server.connect() as other, other.begin():
        assert len(outbox._take(other, [held.id], wait=False)) == 1
        assert drain(server, keyring, patience=0) == Drained(events=1)
        with pytest.raises(StoreUnavailable, match="lock was not granted in time"):
            drain(server, keyring, patience=0.1)
    assert r.event_ids(server) == [free.id]


@pytest.mark.parametrize("kind", ["connection", "session", "scoped"])
def test_every_kind_of_session_carries_an_event(engine, keyring, kind):
    box = Outbox(engine, keyring)
    if kind == "connection":
        with writing(engine) as connection:
            box.put(connection, r.event())
    elif kind == "session":
        with Session(engine) as session:
            box.put(session, r.event())
            session.commit()
    else:
        scoped = scoped_session(sessionmaker(engine))
        box.put(scoped, r.event())
        scoped.commit()
        scoped.remove()
    box.turn()
    assert len(r.event_ids(engine)) == 1


def test_a_session_on_another_database_is_refused(engine, keyring, tmp_path):
    other = make_engine(f"sqlite:///{tmp_path}/other.db")
    upgrade(other)
    with Session(other) as session, pytest.raises(ConfigurationError, match="another database"):
        Outbox(engine, keyring).put(session, r.event())
    other.dispose()


def test_the_thread_drains_soon_after_the_commit_and_once_more_at_the_end(engine, keyring):
    box = Outbox(engine, keyring)
    box.start()
    done = threading.Event()
    try:
        with Session(engine) as session:
            box.put(session, r.event())
            session.commit()
        for _ in range(200):
            if waiting(engine) == 0:
                break
            done.wait(0.05)
        assert len(r.event_ids(engine)) == 1
        with Session(engine) as session:
            put(session, [r.event()], keyring)
            session.commit()
    finally:
        box.close()
    assert len(r.event_ids(engine)) == 2
