"""After an erasure nothing of the person is left in anything that aiguard writes: files, logs, the outbox, temporary files, older backups."""

from __future__ import annotations

import json
import logging
import random
import sqlite3
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session
from tests.support import records as r
from tests.support.guards import POLICY, Model, user

from aiguard import Actor, audit, open_guard, retention
from aiguard.audit.outbox import outbox_aad, waiting
from aiguard.db import make_engine
from aiguard.detect import known_types
from aiguard.errors import StoreError
from aiguard.policy import parse_policy
from aiguard.retention import Backups
from aiguard.retention.erasing import IN_FLIGHT
from aiguard.settings import Environment, Settings
from aiguard.store import KeyDestroyed
from aiguard.store.tables import artifact_aad
from aiguard.store.vault import entry_aad
from aiguard.types import utc_now

SHREDDED = POLICY.replace('duration = "7d"', 'duration = "1h"').replace(
    'mechanism = "delete"', 'mechanism = "crypto-shred"'
)


def word(seed):
    return f"w{random.Random(seed).getrandbits(80):020x}"


class Person:
    """Somebody with words of their own, so that they can be looked for."""

    def __init__(self, seed):
        self.id = word(f"{seed} id")
        self.actor = Actor(id=self.id, tenant="acme", scopes=frozenset({"support:reply"}))
        self.mail = f"{word(f'{seed} mail')}@example.org"
        self.said = " ".join(word(f"{seed} said {number}") for number in range(30))
        self.told = " ".join(word(f"{seed} told {number}") for number in range(30))

    def traces(self):
        return [self.id, self.mail.split("@", maxsplit=1)[0], *self.said.split(), *self.told.split()]


JANE, TOM = Person("jane"), Person("tom")


class Temporary:
    """What SQLite writes into temporary files, which have no name any more while they are there."""

    def __init__(self):
        self.seen = b""

    def look(self, *_):
        for path in Path("/proc/self/fd").iterdir():
            try:
                if "etilqs_" in str(path.readlink()):
                    self.seen += path.read_bytes()
            except OSError:
                continue


@pytest.fixture
def folders(tmp_path):
    for name in ("data", "keys", "backup"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def guard(folders):
    settings = Settings(
        environment=Environment.TEST,
        database=f"sqlite:///{folders}/data/aiguard.db",
        key_store=f"sqlite:///{folders}/keys/keys.db",
        keys=(b"m" * 32,),
        log_protection=False,
    )
    guard = open_guard(settings, policy=parse_policy(SHREDDED, "test policy", known_types()))
    yield guard
    guard.close()


@pytest.fixture
def engine(guard, folders):
    engine = make_engine(f"sqlite:///{folders}/data/aiguard.db")
    yield engine
    engine.dispose()


def converse(guard, engine, person):
    model = Model(person.told)
    with guard.acting_as(person.actor, scope="support:reply", conversation="c1"):
        guard.call(model, user(f"{person.said} write to {person.mail}"), model="local:small")
        with Session(engine) as session:
            guard.record("app.ticket.closed", payload={"ticket": 17}, session=session)
            with pytest.raises(StoreError):
                guard.record("app.ticket.closed", payload={"who": person.mail}, session=session)
            session.commit()
    assert person.mail not in json.dumps(model.received)


def copied(source, target):
    """A backup of the data alone, while it is in use."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def opened(engine, keys):
    """Everything in a database that opens with today's keys: what somebody gets who holds all of them, and the code."""
    found, closed = [], 0
    ways = (
        ("aiguard_artifacts", "content", artifact_aad),
        ("aiguard_vault", "sealed", entry_aad),
        ("aiguard_audit_outbox", "sealed", lambda row: outbox_aad(row["event_id"])),
    )
    from aiguard.db.base import Base

    with engine.connect() as connection:
        for table, column, aad in ways:
            for row in connection.execute(Base.metadata.tables[table].select()).mappings():
                try:
                    found.append(keys.open(row[column], aad=aad(row)).decode())
                except KeyDestroyed:
                    closed += 1
    found += [f"{each.payload} {each.actor} {each.subject}" for each in audit.tail(engine, keys, 1_000)]
    return "\n".join(found), closed


def rows_of(folders, name="data"):
    return b"".join(file.read_bytes() for file in sorted((folders / name).iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="open files are looked up in /proc")
def test_nothing_of_an_erased_person_is_left_in_anything_that_is_written(guard, engine, folders, caplog):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="sqlalchemy")
    temporary = Temporary()
    apart = guard.keys.store.engine
    for each in (engine, apart):
        event.listen(each, "after_cursor_execute", temporary.look)
    for person in (JANE, TOM):
        converse(guard, engine, person)
    sealed = [
        bytes(each)
        for each in r.scalars(engine, "SELECT content FROM aiguard_artifacts UNION SELECT sealed FROM aiguard_vault")
    ]
    copied(folders / "data/aiguard.db", folders / "backup/aiguard.db")
    before, _ = opened(engine, guard.keys)
    assert all(trace in before for trace in (*JANE.said.split(), *JANE.told.split(), JANE.mail, TOM.mail))

    known = retention.find_person(guard.keys, JANE.id, tenant="acme")
    with apart.connect() as connection:
        rows = connection.execute(text("SELECT lookup, wrapped FROM aiguard_data_keys")).all()
    mine = [bytes(row.wrapped)[40:] for row in rows if row.lookup in known.lookups.values()]
    assert len(mine) == len(known.names)
    report = retention.erase(engine, guard.keys, known, requested_by="dpo", now=utc_now(), backups=Backups(keys=0))
    assert report.counts["artifacts"] == 2
    assert report.counts["vault_entries"] == 1
    guard.close()  # drains the outbox
    assert waiting(engine) == 0
    (swept,) = retention.resume(engine, guard.keys, now=utc_now() + IN_FLIGHT + timedelta(seconds=1))
    assert swept.sweep_at is None

    jane = [trace.encode() for trace in JANE.traces()]
    live = rows_of(folders) + rows_of(folders, "keys")
    logged = caplog.text.encode()
    for where in (live, rows_of(folders, "backup"), logged, temporary.seen):
        assert not [trace for trace in jane if trace in where]
        assert not [key for key in mine if key in where]
    after, _ = opened(engine, guard.keys)
    backup = make_engine(f"sqlite:///{folders}/backup/aiguard.db")
    recovered, closed = opened(backup, guard.keys)
    backup.dispose()
    assert closed >= 3  # two artifacts and a value: they are there, and open for nobody
    for text_ in (after, recovered):
        assert not [trace for trace in JANE.traces() if trace in text_]
        assert TOM.mail in text_
    names = {name.encode() for name in known.names.values()}
    assert [each for each in names if each in rows_of(folders, "backup")]  # the search finds what is there
    assert sum(each[60:] in live for each in sealed) == 3  # Tom's, and of Jane's ciphertexts none


@pytest.mark.skipif(sys.platform != "linux", reason="open files are looked up in /proc")
def test_temporary_files_are_seen_where_there_are_any(tmp_path):
    temporary = Temporary()
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("PRAGMA temp_store = FILE")
        connection.execute("CREATE TEMP TABLE t (x)")
        connection.execute("PRAGMA temp.cache_size = 1")
        connection.executemany("INSERT INTO t VALUES (?)", [(f"{JANE.said} {number}",) for number in range(500)])
        temporary.look()
    assert JANE.said.split()[0].encode() in temporary.seen
