"""Workers that run everything that is due, two at a time, are killed in the middle again and again while a hold is placed and others write."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support import records as r
from tests.support.many import keep_many, keep_values

from aiguard import retention
from aiguard.audit import tail
from aiguard.audit.note import make_signer
from aiguard.audit.signing import sign_head
from aiguard.audit.verify import Status, verify
from aiguard.policy import parse_policy
from aiguard.retention import HoldScope, ledger
from aiguard.retention.duties import run_due
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing
from aiguard.types import utc_now

ROOT = Path(__file__).parents[2]
DAY = timedelta(days=1)
EXPIRED, HELD, VALUES, PAYLOADS = 600, 120, 200, 200
RULES = (
    '[retention.prompt]\nduration = "30d"\nbasis = "law"\nmechanism = "delete"\nowner = "dpo"\n'
    '[retention.audit_payload]\nduration = "1d"\nbasis = "law"\nmechanism = "delete"\nowner = "dpo"\n'
)
WORKER = """
import sys
from dataclasses import replace
from datetime import timedelta
from aiguard.db import make_engine
from aiguard.policy import parse_policy
from aiguard.retention import duties, pace, pruning, turns
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing
from aiguard.types import utc_now
small = {name: replace(gait, rows=20, smallest=5) for name, gait in pace.GAITS.items()}
turns.GAITS = pruning.GAITS = small
engine, master = make_engine(sys.argv[1], lock_timeout=20), MasterKeyRing([b"k" * 32])
people = SubjectKeyRing(master, master, KeyStore(engine, apart=False))
ahead = timedelta(minutes=int(sys.argv[2]))  # so that the lease of who was killed is over
duties.run_due(engine, people, parse_policy(sys.argv[3], "p.toml", []), clock=lambda: utc_now() + ahead)
"""


class Workers:
    def __init__(self, engine, url):
        self.engine, self.url = engine, url
        self.running: list[subprocess.Popen[bytes]] = []
        self.killed = 0

    def start(self, attempt):
        command = [sys.executable, "-c", WORKER, self.url, str(4 * attempt), RULES]
        self.running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) for _ in range(2)]

    def wait(self, batches):
        """Until they have done so many more batches, or all that there is."""
        before, deadline = self.done(), time.monotonic() + 120
        while self.done() < before + batches and any(each.poll() is None for each in self.running):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def done(self):
        wanted = "('store.pruned', 'erasure.completed')"
        return r.scalars(self.engine, f"SELECT count(*) FROM aiguard_audit_events WHERE type IN {wanted}")[0]

    def kill(self):
        for each in self.running:
            self.killed += each.poll() is None
            each.kill()
            each.wait()


@pytest.fixture
def workers(engine, database_url):
    found = Workers(engine, database_url)
    yield found
    found.kill()


def test_nothing_that_must_stay_goes_and_nothing_that_must_go_stays_and_each_is_told_once(engine, writer, workers):
    master = MasterKeyRing([b"k" * 32])
    people = SubjectKeyRing(master, master, KeyStore(engine, apart=False))
    signer = make_signer("test/log")
    keep_many(engine, expired=EXPIRED, staying=EXPIRED + 200, size=4)
    keep_values(engine, VALUES, utc_now() - DAY)
    last = f"SELECT id FROM aiguard_artifacts WHERE id IN (SELECT id FROM aiguard_artifacts ORDER BY expires_at LIMIT {EXPIRED}) ORDER BY expires_at DESC LIMIT {HELD}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE aiguard_artifacts SET feature = 'held' WHERE id IN ({last})")
    writer.commit([r.event(at=utc_now() - 9 * DAY) for _ in range(PAYLOADS)]).result(20)
    covers = 0
    for attempt in range(3):
        workers.start(attempt)
        workers.wait(3)
        writer.commit([r.event(at=utc_now())]).result(20)
        if attempt == 1:
            covers = retention.place(
                engine, people, HoldScope(feature="held"), matter="m", custodian="c", placed_by="ann",
                review_at=utc_now() + 9 * DAY, now=utc_now(),
            ).covers  # fmt: skip
        workers.wait(2)
        workers.kill()
    assert workers.killed
    later = utc_now() + timedelta(hours=2)
    ended = {
        duty.job: duty.state for duty in run_due(engine, people, parse_policy(RULES, "p.toml", []), clock=lambda: later)
    }
    assert set(ended.values()) == {"done"}

    left = "SELECT count(*) FROM aiguard_artifacts WHERE expires_at < (SELECT max(placed_at) FROM aiguard_holds)"
    assert r.scalars(engine, "SELECT count(*) FROM aiguard_artifacts WHERE feature = 'held'") == [covers]
    assert r.scalars(engine, left) == [covers]
    assert r.scalars(engine, "SELECT count(*) FROM aiguard_artifacts") == [EXPIRED + 200 + covers]
    assert r.scalars(engine, "SELECT count(*) FROM aiguard_vault") == [0]
    told = [each for each in tail(engine, people, 5_000) if each.payload and "count" in each.payload]
    pruned = [each.payload for each in told if each.type == "store.pruned"]
    artifacts = sum(each["count"] - each["classes"].get("metadata", 0) for each in pruned if "classes" in each)
    values = sum(each["count"] for each in pruned if each.get("table") == "aiguard_vault")
    erased = sum(each.payload["count"] for each in told if each.type == "erasure.completed")
    assert (artifacts, values) == (EXPIRED - covers, VALUES)
    assert erased == r.scalars(engine, "SELECT count(*) FROM aiguard_audit_erased")[0] == PAYLOADS
    assert all(run.attempts <= ledger.MAX_ATTEMPTS for run in ledger.runs(engine))
    sign_head(engine, [signer], now=utc_now())
    report = verify(engine, [signer.verifier], origin="test/log", keyring=people, now=utc_now())
    assert (report.status, report.problems) == (Status.OK, [])
