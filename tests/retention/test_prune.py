from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support import records as r

from aiguard import retention
from aiguard.audit import story
from aiguard.audit.merkle import leaf_hash, root_hash
from aiguard.db import make_engine
from aiguard.errors import StoreUnavailable
from aiguard.retention.pace import Pace

ROOT = Path(__file__).parents[2]
DAY = timedelta(days=1)
SECOND = timedelta(microseconds=1)


def fill(writer, *, expired=0, staying=0, **changes):
    records = [r.artifact(expires_at=r.NOW - DAY, **changes) for _ in range(expired)]
    records += [r.artifact(expires_at=r.NOW + DAY, **changes) for _ in range(staying)]
    for start in range(0, len(records), 200):
        writer.commit(records[start : start + 200]).result(10)
    return [record.id for record in records[:expired]], [record.id for record in records[expired:]]


def ids(engine):
    return r.scalars(engine, "SELECT id FROM aiguard_artifacts ORDER BY id")


def test_a_plan_counts_by_class_and_rule_and_changes_nothing(engine, writer):
    fill(writer, expired=3, staying=2)
    fill(writer, expired=2, data_class="output", retention="7d", basis="contract", owner="sales")
    before = ids(engine)
    plan = retention.plan(engine, r.NOW)
    assert (plan.expired, plan.staying) == (5, 2)
    assert [(line.data_class, line.retention, line.owner, line.count) for line in plan.lines] == [
        ("output", "7d", "sales", 2),
        ("prompt", "30d", "privacy-office", 3),
    ]
    assert {line.first_expired for line in plan.lines} == {r.NOW - DAY}
    assert ids(engine) == before
    assert r.event_ids(engine) == []


def test_exactly_what_has_expired_goes(engine, writer, keyring):
    early = r.artifact(expires_at=r.NOW - SECOND)
    sharp = r.artifact(expires_at=r.NOW)
    late = r.artifact(expires_at=r.NOW + SECOND)
    writer.commit([early, sharp, late]).result(5)
    assert retention.prune(engine, keyring, r.NOW).deleted == 2
    assert ids(engine) == [late.id]
    assert retention.prune(engine, keyring, r.NOW - 365 * DAY).deleted == 0
    assert ids(engine) == [late.id]


def test_every_batch_leaves_evidence_that_the_deleted_ids_can_prove(engine, writer, keyring):
    expired, staying = fill(writer, expired=25, staying=5)
    steps: list[int] = []
    done = retention.prune(engine, keyring, r.NOW, batch_size=10, pause=0, progress=steps.append)
    assert (done.deleted, done.batches, dict(done.by_class), done.erased) == (25, 3, {"prompt": 25}, True)
    assert steps == [10, 10, 5]
    assert sorted(staying) == ids(engine)
    *batches, end = story(engine, done.run_id, keyring=keyring)
    assert [event.type for event in batches] == ["store.pruned"] * 3
    assert [event.payload["count"] for event in batches] == steps
    assert (end.type, end.payload["count"], end.payload["classes"]) == ("store.prune_completed", 25, {"prompt": 25})
    whole = retention.prune(engine, keyring, r.NOW)
    assert [event.type for event in story(engine, whole.run_id, keyring=keyring)] == ["store.prune_completed"]
    assert not any(id in str(event.payload) for event in batches for id in expired)
    r.assert_log_is_whole(engine)


def test_the_root_is_over_the_sorted_ids(engine, writer, keyring):
    expired, _ = fill(writer, expired=7)
    done = retention.prune(engine, keyring, r.NOW)
    batch = story(engine, done.run_id, keyring=keyring)[0]
    root = root_hash(leaf_hash(id.encode()) for id in sorted(expired))
    assert batch.payload["ids_root"] == f"sha256:{root.hex()}"


def test_a_deletion_that_cannot_be_recorded_does_not_happen(engine, writer, keyring, monkeypatch):
    fill(writer, expired=5)

    def broken(*_):
        raise RuntimeError

    monkeypatch.setattr("aiguard.retention.pruning.insert_rows", broken)
    with pytest.raises(RuntimeError):
        retention.prune(engine, keyring, r.NOW)
    assert len(ids(engine)) == 5


def test_two_runs_at_once_delete_and_count_each_row_once(engine, database_url, writer, keyring):
    expired, staying = fill(writer, expired=300, staying=10)
    other = make_engine(database_url)
    results = []

    def run(on):
        results.append(retention.prune(on, keyring, r.NOW, batch_size=20, pause=0.001))

    threads = [threading.Thread(target=run, args=(on,)) for on in (engine, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    other.dispose()
    assert sum(done.deleted for done in results) == len(expired)
    assert ids(engine) == sorted(staying)
    told = sum(
        event.payload["count"]
        for done in results
        for event in story(engine, done.run_id, keyring=keyring)
        if event.type == "store.pruned"
    )
    assert told == len(expired)
    r.assert_log_is_whole(engine)


def test_requests_are_recorded_while_a_run_goes_on(engine, writer, keyring):
    fill(writer, expired=1500)
    slowest = 0.0
    thread = threading.Thread(target=retention.prune, args=(engine, keyring, r.NOW), kwargs={"batch_size": 100})
    thread.start()
    while thread.is_alive():
        started = time.monotonic()
        writer.commit(r.exchange()).result(5)
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 2
    assert retention.plan(engine, r.NOW).expired == 0
    r.assert_log_is_whole(engine)


def test_a_run_that_is_killed_leaves_what_its_evidence_says_and_the_next_one_ends_it(
    engine, database_url, writer, keyring
):
    fill(writer, expired=600, staying=3)
    script = (
        "import sys; from datetime import datetime; from aiguard import retention; from aiguard.db import make_engine; "
        "from aiguard.store import MasterKeyRing; "
        "retention.prune(make_engine(sys.argv[1]), MasterKeyRing([b'k' * 32]), datetime.fromisoformat(sys.argv[2]), "
        "batch_size=5, pause=0, progress=lambda n: print(n, flush=True))"
    )
    command = [sys.executable, "-c", script, database_url, r.NOW.isoformat()]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    for _ in range(20):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    left = retention.plan(engine, r.NOW).expired
    deleted = 5 * len(r.event_ids(engine))
    assert 100 <= deleted == 600 - left
    assert retention.prune(engine, keyring, r.NOW).deleted == left
    assert len(ids(engine)) == 3
    r.assert_log_is_whole(engine)


def test_a_moment_without_a_zone_is_refused(engine, keyring):
    naive = datetime(2026, 3, 1)  # noqa: DTZ001
    with pytest.raises(ValueError, match="timezone"):
        retention.prune(engine, keyring, naive)
    with pytest.raises(ValueError, match="timezone"):
        retention.plan(engine, naive)


def test_a_database_that_is_gone_is_unavailable(keyring):
    engine = make_engine("postgresql://nobody@127.0.0.1:9/none", lock_timeout=1)
    with pytest.raises(StoreUnavailable):
        retention.plan(engine, r.NOW)
    with pytest.raises(StoreUnavailable):
        retention.prune(engine, keyring, r.NOW)


class TestOnSQLite:
    @pytest.fixture
    def backend(self):
        return "sqlite"

    def test_the_bytes_are_gone_from_the_file_and_its_log(self, engine, writer, keyring, database_url):
        expired, staying = fill(writer, expired=40, staying=1, content="x" * 3000)
        sealed = r.scalars(engine, "SELECT content FROM aiguard_artifacts ORDER BY expires_at")
        directory = Path(database_url.removeprefix("sqlite:///")).parent
        chunks = [bytes(each)[offset : offset + 24] for each in sealed[:40] for offset in range(0, 2900, 300)]

        def on_disk():
            files = b"".join(file.read_bytes() for file in directory.iterdir())
            return sum(chunk in files for chunk in chunks) + sum(id.encode() in files for id in expired)

        assert on_disk() > 300
        assert retention.prune(engine, keyring, r.NOW).erased
        assert on_disk() == 0
        assert ids(engine) == staying

    def test_a_reader_that_holds_the_old_pages_is_reported(self, engine, writer, keyring, database_url):
        fill(writer, expired=1)
        other = make_engine(database_url)
        with other.connect() as reader:
            reader.execute(text("SELECT count(*) FROM aiguard_artifacts")).scalar_one()
            assert not retention.prune(engine, keyring, r.NOW).erased
        other.dispose()
        assert retention.prune(engine, keyring, r.NOW).erased


def test_a_run_keeps_its_distance_from_who_writes_and_not_from_another_run(engine, writer, keyring, monkeypatch):
    fill(writer, expired=6)
    minded = []
    after = Pace.after

    def noted(self, *, others, **seen):
        minded.append(others)
        return after(self, others=others, **seen)

    meanwhile = iter([r.event(type="store.pruned", payload={"count": 1}), r.event()])

    def between(_count):
        for told in meanwhile:
            writer.commit([told]).result(10)
            return

    monkeypatch.setattr(Pace, "after", noted)
    assert retention.prune(engine, keyring, r.NOW, batch_size=2, progress=between).deleted == 6
    assert minded == [0, 0, 1]
