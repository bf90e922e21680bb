"""Full disks, databases that cannot be written, wrong clocks and wrong rules: a clear error, nothing lost, nothing half-deleted."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text
from tests.support import records as r
from tests.support.many import keep_many

from aiguard import retention
from aiguard.audit import tail
from aiguard.db import make_engine
from aiguard.errors import StoreUnavailable
from aiguard.policy import parse_policy
from aiguard.retention import ledger
from aiguard.retention.clocks import ClockWrong, refuse_ahead
from aiguard.retention.duties import run_due
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing
from aiguard.types import utc_now

ROOT = Path(__file__).parents[2]
DAY = timedelta(days=1)
MASTER = MasterKeyRing([b"k" * 32])
RULE = 'basis = "law"\nmechanism = "delete"\nowner = "dpo"\n'


def policy(duration="30d"):
    return parse_policy(f'[retention.prompt]\nduration = "{duration}"\n{RULE}', "p.toml", [])


@pytest.fixture
def people(engine):
    return SubjectKeyRing(MASTER, MASTER, KeyStore(engine, apart=False))


def count(engine):
    return r.scalars(engine, "SELECT count(*) FROM aiguard_artifacts")[0]


def told(engine, keyring):
    return sum(event.payload["count"] for event in tail(engine, keyring, 10_000) if event.type == "store.pruned")


def states(engine, people, rules, moment):
    return {duty.job: duty for duty in run_due(engine, people, rules, clock=lambda: moment)}


def test_a_database_that_can_only_be_read_is_unavailable_for_everything_that_deletes(
    engine, database_url, people, make_writer
):
    writer = make_writer(keyring=people)
    writer.commit([r.artifact(expires_at=r.NOW - DAY, subject=r.ACTOR, actor=r.ACTOR)]).result(5)
    person = retention.Person(lookups={"subject": r.ACTOR}, names={"subject": r.scalars(engine, "SELECT subject FROM aiguard_artifacts")[0]})  # fmt: skip
    engine.dispose()
    if engine.dialect.name == "sqlite":
        path = database_url.removeprefix("sqlite:///")
        closed = make_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    else:
        name = make_url(database_url).database
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
        engine.dispose()
        closed = make_engine(database_url)
    ring = SubjectKeyRing(MASTER, MASTER, KeyStore(closed, apart=False))
    hold: dict[str, Any] = {"matter": "m", "custodian": "c", "placed_by": "a", "review_at": r.NOW + DAY, "now": r.NOW}
    for attempt in (
        lambda: retention.prune(closed, ring, r.NOW),
        lambda: run_due(closed, ring, policy(), clock=lambda: r.NOW),
        lambda: retention.erase(closed, ring, person, requested_by="dpo", now=r.NOW),
        lambda: retention.place(closed, ring, retention.HoldScope(feature="f"), **hold),
        lambda: ledger.claim(closed, "prune", "p", now=r.NOW),
    ):
        with pytest.raises(StoreUnavailable, match="read-only"):
            attempt()
    assert retention.plan(closed, r.NOW).expired == 1
    closed.dispose()


def test_a_clock_that_is_set_back_a_year_is_told_and_costs_nothing(engine, people, make_writer):
    writer = make_writer(keyring=people)
    writer.commit([r.event(at=r.NOW), *(r.artifact(expires_at=r.NOW + n * DAY) for n in range(5))]).result(5)
    assert "clock" not in states(engine, people, policy(), r.NOW)
    assert count(engine) == 4
    early = states(engine, people, policy(), r.NOW - 365 * DAY)
    assert early["clock"].state == "failed"
    assert "behind" in early["clock"].outcome["detail"]
    assert (early["prune"].state, count(engine)) == ("done", 4)
    assert states(engine, people, policy(), r.NOW + 2 * DAY)["prune"].outcome["deleted"] == 2


def test_a_clock_that_is_ahead_of_the_server_deletes_nothing(engine):
    refuse_ahead(engine, utc_now())
    if engine.dialect.name == "postgresql":
        with pytest.raises(ClockWrong, match="Nothing was deleted"):
            refuse_ahead(engine, utc_now() + 365 * DAY)


def test_rules_that_shorten_retention_to_almost_nothing_delete_nothing_on_their_own(
    engine, people, make_writer, monkeypatch
):
    monkeypatch.setattr("aiguard.retention.planning.SWEEPING_ROWS", 20)
    rules = policy()
    writer = make_writer(keyring=people)
    writer.commit([r.artifact(retention_hash=rules.retention_hash) for _ in range(40)]).result(5)
    done = states(engine, people, policy("1h"), r.NOW + timedelta(hours=2))
    assert done["recompute"].outcome["changed"] == 40
    assert (done["prune"].outcome["error"], count(engine)) == ("TooMuchIsDue", 40)
    back = states(engine, people, rules, r.NOW + timedelta(hours=3))
    assert (back["prune"].state, back["prune"].outcome["deleted"], count(engine)) == ("done", 0, 40)


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_disk_that_fills_up_in_the_middle_leaves_what_the_evidence_says(engine, database_url, keyring, backend):
    keep_many(engine, expired=4_000, staying=500)
    engine.dispose()
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))\n"
        "from aiguard import retention; from aiguard.db import make_engine; from aiguard.store import MasterKeyRing\n"
        "from aiguard.types import utc_now\n"
        "retention.prune(make_engine(sys.argv[1]), MasterKeyRing([b'k' * 32]), utc_now(), batch_size=50, pause=0)\n"
    )
    seen = set()
    for limit in (200_000, 2_000_000):
        command = [sys.executable, "-c", script, database_url, str(limit)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        seen.add(done.returncode)
        assert done.returncode == 0 or "StoreUnavailable" in done.stderr, done.stderr
        assert count(engine) == 4_500 - told(engine, keyring)
        r.assert_log_is_whole(engine)
        engine.dispose()
    assert 1 in seen
    retention.prune(engine, keyring, utc_now())
    assert (count(engine), told(engine, keyring)) == (500, 4_000)
