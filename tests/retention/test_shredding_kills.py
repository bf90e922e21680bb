"""A key store apart is another database: whatever dies between its transaction and the event's, each key that went is told of once."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support import records as r

from aiguard import retention
from aiguard.audit import tail
from aiguard.db import make_engine
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing

ROOT = Path(__file__).parents[2]
MASTER = MasterKeyRing([b"k" * 32])
HOUR = timedelta(hours=1)
LATER = r.NOW + 10 * HOUR
SCRIPT = """
import os, signal, sys
from datetime import datetime
from aiguard import retention
from aiguard.db import make_engine
from aiguard.retention import shredding
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing

def dies(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

url, keys, now, step = sys.argv[1:]
master = MasterKeyRing([b"k" * 32])
if step == "before the keys":
    KeyStore.destroy = dies
elif step == "after the keys":
    shredding._accounted = dies
elif step == "after the event":
    KeyStore.scrub = dies
people = SubjectKeyRing(master, master, KeyStore(make_engine(keys), apart=True))
retention.prune(make_engine(url), people, datetime.fromisoformat(now))
"""


@pytest.fixture
def keys(tmp_path):
    return f"sqlite:///{tmp_path}/keys.db"


@pytest.fixture
def people(keys):
    apart = KeyStore(make_engine(keys), apart=True)
    apart.prepare()
    yield SubjectKeyRing(MASTER, MASTER, apart)
    apart.close()


def keep(make_writer, people, *hours):
    writer = make_writer(keyring=people)
    writer.commit([r.artifact(mechanism="crypto-shred", expires_at=r.NOW + hour * HOUR) for hour in hours]).result(5)


def killed(database_url, keys, step, now=LATER):
    command = [sys.executable, "-c", SCRIPT, database_url, keys, now.isoformat(), step]
    return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False).returncode == -signal.SIGKILL


def told(engine, people):
    return [event.payload for event in tail(engine, people, 100) if event.type == "store.shredded"]


def intents(engine):
    return r.scalars(engine, "SELECT count(*) FROM aiguard_job_runs WHERE job = 'shred'")[0]


@pytest.mark.parametrize(
    ("step", "left", "before"), [("before the keys", 3, 0), ("after the keys", 0, 0), ("after the event", 0, 3)]
)
def test_a_run_that_is_killed_around_the_destruction_is_told_to_its_end_by_the_next(
    engine, database_url, make_writer, people, keys, step, left, before
):
    keep(make_writer, people, 0, 1, 5)
    assert killed(database_url, keys, step)
    assert len(people.store.hours()) == left
    assert sum(each["keys"] for each in told(engine, people)) == before
    assert intents(engine) == (0 if before else 1)

    done = retention.prune(engine, people, LATER)
    assert done.hour_keys == 3 - before
    assert people.store.hours() == []
    [event] = told(engine, people)
    assert (event["keys"], event["key_store"], event["needed"]) == (3, "apart", 0)
    assert event["first_hour"] == r.NOW.isoformat(timespec="microseconds")
    assert event["last_hour"] == (r.NOW + 5 * HOUR).isoformat(timespec="microseconds")
    assert intents(engine) == 0
    assert retention.prune(engine, people, LATER).hour_keys == 0
    assert len(told(engine, people)) == 1
    r.assert_log_is_whole(engine)


def test_killed_again_and_again_it_is_told_once(engine, database_url, make_writer, people, keys):
    keep(make_writer, people, 0, 1)
    assert killed(database_url, keys, "before the keys")
    assert killed(database_url, keys, "after the keys")
    assert killed(database_url, keys, "after the keys")
    keep(make_writer, people, 2)
    assert retention.prune(engine, people, LATER).hour_keys == 3
    assert [each["keys"] for each in told(engine, people)] == [3]
    assert intents(engine) == 0


def test_an_hour_that_got_another_key_meanwhile_is_told_for_the_one_that_went(
    engine, database_url, make_writer, people, keys
):
    keep(make_writer, people, 0)
    assert killed(database_url, keys, "after the keys")
    people.forget()
    keep(make_writer, people, 0)  # late, in an hour that is over: it gets a key of its own
    with engine.begin() as connection:
        connection.execute(text("UPDATE aiguard_artifacts SET retention_hash = 'other'"))
    assert len(people.store.hours()) == 1
    first = retention.prune(engine, people, LATER, rules="sha256:these")
    assert (first.deleted, first.hour_keys) == (0, 1)
    assert retention.prune(engine, people, LATER).hour_keys == 1
    assert [each["keys"] for each in told(engine, people)] == [1, 1]
