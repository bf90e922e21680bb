"""A disk that fills up at any step of an erasure: either nothing was done, or what was begun is ended once there is room."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support import records as r

from aiguard import retention
from aiguard.audit import tail
from aiguard.identity import named
from aiguard.retention.erasing import IN_FLIGHT
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing
from aiguard.types import Actor

ROOT = Path(__file__).parents[2]
MASTER = MasterKeyRing([b"k" * 32])
SCRIPT = """
import json, resource, signal, sys
from aiguard import retention, store
from aiguard.db import make_engine
from aiguard.db.wal import checkpoint
from aiguard.errors import StoreUnavailable
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing
from tests.support import records as r
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
engine, master = make_engine(sys.argv[1]), MasterKeyRing([b"k" * 32])
people, room, tried = SubjectKeyRing(master, master, KeyStore(engine, apart=False)), 0, []
while not tried or tried[-1]["failed"]:
    person = retention.find_person(people, "jane")
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    failed = ""
    try:
        if retention.erasures(engine):
            retention.resume(engine, people, now=r.NOW)
        else:
            retention.erase(engine, people, person, requested_by="dpo", now=r.NOW)
    except StoreUnavailable as error:
        failed = str(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    checkpoint(engine)
    kept = r.scalars(engine, "SELECT count(*) FROM aiguard_artifacts")[0]
    keys = r.scalars(engine, "SELECT count(*) FROM aiguard_data_keys")[0]
    tried.append({"failed": failed, "begun": len(retention.erasures(engine)), "kept": kept, "keys": keys})
    room += 8_240
print(json.dumps(tried))
"""


@pytest.fixture
def backend():
    return "sqlite"


def test_an_erasure_that_meets_a_full_disk_is_begun_or_not_and_can_be_ended(engine, database_url, make_writer):
    people = SubjectKeyRing(MASTER, MASTER, KeyStore(engine, apart=False))
    writer = make_writer(keyring=people)
    names = named(MASTER.pseudonym, Actor(id="jane"), "jane")
    writer.commit([*(r.artifact(content="x" * 900, **names) for _ in range(60)), r.event(**names)]).result(5)
    command = [sys.executable, "-c", SCRIPT, database_url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    tried = json.loads(done.stdout)
    refused = [each for each in tried if each["failed"]]
    assert len(refused) > 2
    for each in refused:
        assert each["failed"].startswith("Nothing was")
        if not each["begun"]:
            assert (each["kept"], each["keys"]) == (60, 2)  # nothing was done
        if each["kept"] < 60:
            assert each["keys"] == 0  # rows go only once nobody can read them any more
    assert {each["begun"] for each in refused} == {0, 1}
    retention.resume(engine, people, now=r.NOW + IN_FLIGHT + timedelta(seconds=1))
    assert [report.sweep_at for report in retention.erasures(engine)] == [None]
    assert r.scalars(engine, "SELECT count(*) FROM aiguard_artifacts") == [0]
    deleted = [each.payload["count"] for each in tail(engine, people, 50) if each.type == "store.pruned"]
    assert sum(deleted) == 60
