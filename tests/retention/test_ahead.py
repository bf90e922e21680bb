"""On SQLite rows are found before the lock is taken: what comes in between counts, and nothing is told before the disk has it."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, text
from tests.support import records as r

from aiguard import retention
from aiguard.audit import story, tail
from aiguard.db import make_engine, wal
from aiguard.retention import removal
from aiguard.retention.evidence import ids_root
from aiguard.retention.planning import due
from aiguard.retention.removal import FromSqlite
from aiguard.store import Artifact

DAY = timedelta(days=1)


@pytest.fixture
def backend():
    return "sqlite"


@pytest.fixture
def file(database_url):
    return Path(database_url.removeprefix("sqlite:///"))


def keep(writer, number, **changes):
    """Rows whose times are in another order than their places."""
    records = [r.artifact(expires_at=r.NOW - DAY * (1 + 7 * place % number), **changes) for place in range(number)]
    for record in records:
        writer.commit([record]).result(5)
    return [record.id for record in records]


def ids(engine):
    return set(r.scalars(engine, "SELECT id FROM aiguard_artifacts"))


def test_the_index_of_times_finds_them_also_where_nearly_all_have_one_hash(engine):
    with engine.connect() as connection:
        query = select(Artifact.id).where(*due(connection, r.NOW, "sha256:1")).order_by(Artifact.expires_at).limit(5)
        asked = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
        steps = [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {asked}"))]
    assert [step.rpartition("INDEX ")[2] for step in steps] == ["ix_aiguard_artifacts_expires_at (expires_at<?)"]


@pytest.mark.parametrize("ahead", [1, 3, 7, 20, 1000])
def test_however_few_are_found_at_once_all_go_and_those_that_expired_first_before_others(
    engine, writer, keyring, monkeypatch, ahead
):
    monkeypatch.setattr(removal, "AHEAD_ROWS", ahead)
    expired = keep(writer, 20)
    staying = r.artifact(expires_at=r.NOW + DAY)
    writer.commit([staying]).result(5)
    oldest = r.scalars(engine, "SELECT id FROM aiguard_artifacts ORDER BY expires_at LIMIT 8")
    assert retention.prune(engine, keyring, r.NOW, batch_size=3, pause=0, at_most=8).deleted == 8
    assert ids(engine) == {*expired, staying.id} - set(oldest)
    assert retention.prune(engine, keyring, r.NOW, batch_size=3, pause=0).deleted == 12
    assert ids(engine) == {staying.id}


def test_one_moment_for_more_rows_than_are_found_at_once(engine, writer, keyring, monkeypatch):
    monkeypatch.setattr(removal, "AHEAD_ROWS", 4)
    writer.commit([r.artifact(expires_at=r.NOW) for _ in range(11)]).result(5)
    assert retention.prune(engine, keyring, r.NOW, batch_size=3, pause=0).deleted == 11


def in_between(monkeypatch, act):
    """Do something once, when the rows of the next batch are known and the lock is not taken yet."""
    foresee = FromSqlite.foresee
    done: list[removal.Gone] = []

    def foreseen(self, size, room):
        gone = foresee(self, size, room)
        if gone is not None and not done:
            done.append(gone)
            act(gone)
        return gone

    monkeypatch.setattr(FromSqlite, "foresee", foreseen)
    return done


def test_a_hold_that_is_placed_in_between_keeps_its_row_and_the_evidence_says_what_went(
    engine, writer, keyring, monkeypatch
):
    keep(writer, 6)
    held = r.artifact(feature="held", expires_at=r.NOW - DAY)
    writer.commit([held]).result(5)

    def hold(_gone):
        scope = retention.HoldScope(feature="held")
        retention.place(
            engine, keyring, scope, matter="m", custodian="c", placed_by="a", review_at=r.NOW + DAY, now=r.NOW
        )

    foreseen = in_between(monkeypatch, hold)
    went = {}
    done = retention.prune(
        engine, keyring, r.NOW, pause=0, witness=lambda number, gone: went.update({number: gone.ids})
    )
    assert held.id in foreseen[0].ids
    assert (ids(engine), done.deleted, done.left) == ({held.id}, 6, 0)
    events = [event for event in story(engine, done.run_id, keyring=keyring) if event.type == "store.pruned"]
    assert [event.payload["ids_root"] for event in events] == [ids_root(each) for each in went.values()]
    assert sum(event.payload["count"] for event in events) == 6


def test_rows_that_go_in_between_are_not_told_of(engine, writer, keyring, monkeypatch):
    keep(writer, 4)

    def take_all(_gone):
        with engine.begin() as connection:
            connection.execute(delete(Artifact))

    in_between(monkeypatch, take_all)
    done = retention.prune(engine, keyring, r.NOW, pause=0)
    assert (done.deleted, done.batches) == (0, 0)
    assert [event.type for event in tail(engine, keyring, 10)] == ["store.prune_completed"]


def test_another_row_at_the_same_place_stays(engine, writer, keyring, monkeypatch):
    keep(writer, 2)
    fresh = r.artifact(expires_at=r.NOW + DAY)

    def replace(_gone):
        with engine.begin() as connection:
            connection.execute(delete(Artifact))
        writer.commit([fresh]).result(5)

    in_between(monkeypatch, replace)
    assert retention.prune(engine, keyring, r.NOW, pause=0).deleted == 0
    assert ids(engine) == {fresh.id}


def after_a_power_cut(file, where, length):
    """An engine on a copy in which ``length`` bytes of the log reached the disk."""
    where.mkdir()
    shutil.copy(file, where / "aiguard.db")
    (where / "aiguard.db-wal").write_bytes(Path(f"{file}-wal").read_bytes()[:length])
    return make_engine(f"sqlite:///{where}/aiguard.db")


def test_what_is_told_survives_a_power_cut(engine, writer, keyring, file, tmp_path, monkeypatch):
    keep(writer, 30)
    forced = []
    force = wal._force

    def remember(descriptor):
        force(descriptor)
        forced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(wal, "_force", remember)
    told, numbers = set(), []

    def witness(number, gone):
        told.update(gone.ids)
        numbers.append(number)
        copy = after_a_power_cut(file, tmp_path / f"{number}", forced[-1])
        assert not told & ids(copy)
        copy.dispose()

    retention.prune(engine, keyring, r.NOW, batch_size=5, pause=0, witness=witness)
    assert numbers == [1, 2, 3, 4, 5, 6]
    assert forced == sorted(set(forced))


def test_wherever_a_power_cut_ends_the_log_rows_and_events_agree_and_the_next_run_ends_it(
    engine, writer, keyring, file, tmp_path
):
    keep(writer, 30)
    wal.ease(engine)
    lengths: list[int] = []

    def witness(number, _gone):
        if number == 6:
            whole = Path(f"{file}-wal").stat().st_size
            lengths.extend(range(0, whole, whole // 25))
            for length in lengths:
                after_a_power_cut(file, tmp_path / f"{length}", length).dispose()

    retention.prune(engine, keyring, r.NOW, batch_size=5, pause=0, witness=witness)
    seen = set()
    for length in lengths:
        copy = make_engine(f"sqlite:///{tmp_path}/{length}/aiguard.db")
        told = sum(event.payload["count"] for event in tail(copy, keyring, 99) if event.type == "store.pruned")
        assert len(ids(copy)) == 30 - told
        seen.add(told)
        assert retention.prune(copy, keyring, r.NOW).deleted == 30 - told
        r.assert_log_is_whole(copy)
        copy.dispose()
    assert len(seen) > 2
