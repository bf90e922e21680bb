from __future__ import annotations

import asyncio
import gc
import threading
import time
from concurrent.futures import Future, wait
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event, text
from tests.support import records as r

from aiguard import audit, store
from aiguard.db import Mapper, Writer, make_engine
from aiguard.errors import StoreError, StoreUnavailable
from aiguard.types import ArtifactRecord, AuditRecord, Recorder


@contextmanager
def locked(engine: Engine, seconds: float | None = None):
    """Another connection holds the database, so that no writer gets in."""
    with engine.connect().execution_options(aiguard_begin="EXCLUSIVE") as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE aiguard_audit_logs IN ACCESS EXCLUSIVE MODE"))
        else:
            connection.execute(text("SELECT 1"))
        yield


@pytest.fixture
def outsider(database_url):
    """A connection pool of somebody else."""
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


def artifact_count(engine):
    return r.scalars(engine, "SELECT count(*) FROM aiguard_artifacts")[0]


def wait_until(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_writer_is_a_recorder(writer):
    assert isinstance(writer, Recorder)


class Abandoned:
    """Like a stream that nobody reads any more: it has something to record when the collector finds it."""

    def __init__(self, writer, id):
        self.itself = self
        self._writer, self._id = writer, id

    def __del__(self):
        self._writer.commit([r.event(id=self._id)])


@pytest.mark.parametrize("within", ["the line", "the start"])
def test_what_the_collector_finds_while_records_are_handed_over_is_recorded_too(writer, outsider, monkeypatch, within):
    found, own = r.event(), r.event()
    if within == "the line":
        writer.commit([r.event()]).result(5)
        owner, name = writer._line._changed, "notify"
    else:
        owner, name = writer, "_start"
    inner = getattr(owner, name)

    def collecting(*arguments):
        monkeypatch.setattr(owner, name, inner)
        gc.collect()
        return inner(*arguments)

    gc.disable()
    try:
        Abandoned(writer, found.id)
        monkeypatch.setattr(owner, name, collecting)
        handed = threading.Thread(target=lambda: writer.commit([own]).result(5), daemon=True)
        handed.start()
        handed.join(10)
    finally:
        gc.enable()
    assert not handed.is_alive()
    writer.close()
    assert {found.id, own.id} <= set(r.event_ids(outsider))
    r.assert_log_is_whole(outsider)


def test_what_is_committed_can_be_read_by_others_at_once(writer, outsider):
    wanted = [r.event().id for _ in range(3)]
    for id in wanted:
        writer.commit([r.event(id=id)]).result(5)
        assert r.event_ids(outsider)[-1] == id
    r.assert_log_is_whole(outsider)


def test_no_records_are_committed_at_once_without_a_thread(writer):
    assert writer.commit([]).result(0) is None
    assert not any(thread.name == "aiguard-writer" for thread in threading.enumerate() if thread.is_alive())


def test_a_commit_can_be_awaited(writer, outsider):
    async def many():
        await asyncio.gather(*(asyncio.wrap_future(writer.commit(r.exchange())) for _ in range(50)))

    asyncio.run(many())
    assert len(r.event_ids(outsider)) == 50


def test_records_of_one_commit_are_kept_together_or_not_at_all(writer, outsider):
    first = r.event()
    writer.commit([first]).result(5)
    with pytest.raises(StoreError) as refused:
        writer.commit([r.artifact(), r.event(), r.event(id=first.id), r.artifact()]).result(5)
    assert not isinstance(refused.value, StoreUnavailable)
    assert r.event_ids(outsider) == [first.id]
    assert artifact_count(outsider) == 0
    r.assert_log_is_whole(outsider)


def test_a_refused_record_fails_alone_and_not_its_batch(make_writer, database_url, outsider):
    patient = make_engine(database_url, lock_timeout=60)
    writer = make_writer(patient, timeout=120.0)
    first = r.event()
    writer.commit([first]).result(120)
    with locked(outsider):
        blocker = writer.commit([r.event()])  # occupies the writer's thread, so that the rest gathers to one batch
        wait_until(lambda: writer.backlog == 0)
        good = [writer.commit(r.exchange()) for _ in range(10)]
        poison = writer.commit([r.artifact(), r.event(id=first.id)])
        good += [writer.commit(r.exchange()) for _ in range(10)]
    wait([blocker, poison, *good], timeout=120)
    assert [future.exception(0) for future in good] == [None] * 20
    assert isinstance(poison.exception(0), StoreError)
    assert len(r.event_ids(outsider)) == 22
    assert artifact_count(outsider) == 40
    r.assert_log_is_whole(outsider)
    patient.dispose()


def test_a_record_that_nobody_registered_is_refused(make_writer):
    with pytest.raises(StoreError, match="ArtifactRecord"):
        make_writer(mappers=audit.MAPPERS).commit([r.artifact()]).result(1)


def test_many_threads_share_transactions_and_lose_nothing(engine, writer, outsider):
    transactions: list[object] = []
    event.listen(engine, "commit", transactions.append)
    futures: list[Future[None]] = []

    def work():
        for _ in range(100):
            future = writer.commit(r.exchange())
            future.result(10)
            futures.append(future)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(futures) == 800
    assert artifact_count(outsider) == 1600
    assert len(r.event_ids(outsider)) == 800
    assert len(transactions) < 800
    r.assert_log_is_whole(outsider)


def sizes_of(writer, monkeypatch):
    """How many records each transaction of ``writer`` has, while it has them."""
    sizes: list[int] = []
    write = writer._write

    def noted(batch):
        sizes.append(len(batch))
        write(batch)

    monkeypatch.setattr(writer, "_write", noted)
    return sizes


def in_a_crowd(writer, sizes):
    """Three records that come while the writer is busy with the first; only that one is answered for sure."""
    with writer._busy:
        first = writer.commit([r.event()])
        wait_until(lambda: writer.backlog == 0)
        others = [writer.commit([r.event()]) for _ in range(2)]
        assert sizes == []
    first.result(60)
    return others


def test_who_was_just_answered_in_a_crowd_is_waited_for(make_writer, monkeypatch):
    writer = make_writer(timeout=60.0)
    monkeypatch.setattr("aiguard.db.waiting.GATHER_LIMIT", 60)
    monkeypatch.setattr("aiguard.db.waiting.GATHER_SHARE", 1e9)
    sizes = sizes_of(writer, monkeypatch)
    others = in_a_crowd(writer, sizes)
    for future in [*others, writer.commit([r.event()])]:
        future.result(60)
    assert sizes == [1, 3]


def test_who_does_not_come_back_is_not_waited_for_long(make_writer, monkeypatch):
    writer = make_writer(timeout=60.0)
    sizes = sizes_of(writer, monkeypatch)
    for future in in_a_crowd(writer, sizes):
        future.result(60)
    assert sizes == [1, 2]


def test_nobody_waits_for_a_crowd_who_is_alone(make_writer, monkeypatch):
    writer = make_writer(timeout=60.0)
    monkeypatch.setattr("aiguard.db.waiting.GATHER_LIMIT", 60)
    monkeypatch.setattr("aiguard.db.waiting.GATHER_SHARE", 1e9)
    for _ in range(5):
        writer.commit([r.event()]).result(60)


def test_two_writers_share_one_log_without_a_gap(make_writer, outsider):
    writers = [make_writer(), make_writer(outsider)]
    futures = [writer.commit([r.event()]) for _ in range(100) for writer in writers]
    for future in futures:
        future.result(10)
    assert len(r.event_ids(outsider)) == 200
    r.assert_log_is_whole(outsider)


def test_a_locked_database_is_unavailable_in_time_and_keeps_nothing_half_written(writer, outsider):
    started = time.monotonic()
    with locked(outsider):
        failures = [writer.commit(r.exchange()).exception(5) for _ in range(2)]
        assert time.monotonic() - started < 3
    assert all(isinstance(failure, StoreUnavailable) for failure in failures)
    assert "lock" in str(failures[0])
    writer.commit(r.exchange()).result(5)
    assert (len(r.event_ids(outsider)), artifact_count(outsider)) == (1, 2)
    r.assert_log_is_whole(outsider)


def test_a_lock_that_is_released_in_time_is_waited_for(writer, outsider):
    with locked(outsider):
        future = writer.commit(r.exchange())
        time.sleep(0.2)
        assert not future.done()
    future.result(5)
    assert len(r.event_ids(outsider)) == 1


@contextmanager
def hanging_writer(make_writer, **options):
    """A writer whose database call does not come back until the block ends."""
    release = threading.Event()

    def insert(connection, rows):
        release.wait(20)
        audit.MAPPERS[AuditRecord].insert(connection, rows)

    mapper = Mapper(prepare=audit.MAPPERS[AuditRecord].prepare, insert=insert)
    writer = make_writer(mappers={AuditRecord: mapper}, **options)
    try:
        yield writer
    finally:
        release.set()


def test_a_fork_that_did_not_wait_for_a_transaction_does_not_let_the_next_one_believe_it_is_over(
    make_writer, monkeypatch
):
    monkeypatch.setattr("aiguard.db.writer.FORK_TIMEOUT", 0.05)
    writer = make_writer()
    with writer._busy:  # as a transaction does
        writer.prepare_to_fork()
        writer.go_on()
        assert writer._busy.locked()
    writer.prepare_to_fork()
    assert writer._busy.locked()
    writer.go_on()
    assert not writer._busy.locked()
    writer.commit([r.event()]).result(20)


def test_a_full_queue_refuses_at_once(make_writer):
    with hanging_writer(make_writer, queue_size=5, timeout=30.0) as writer:
        running = writer.commit([r.event()])
        time.sleep(0.1)
        queued = [writer.commit([r.event()]) for _ in range(5)]
        refused = writer.commit([r.event()])
        assert refused.done()
        assert isinstance(refused.exception(0), StoreUnavailable)
        assert writer.backlog == 5
    for future in (running, *queued):
        future.result(10)


def test_records_that_waited_too_long_are_refused_and_never_written(make_writer, outsider):
    with hanging_writer(make_writer, timeout=0.4) as writer:
        running = writer.commit([r.event()])
        time.sleep(0.05)
        queued = writer.commit([r.event()])
        assert isinstance(queued.exception(2), StoreUnavailable)
        lost = running.exception(3)
        assert isinstance(lost, StoreUnavailable)
        assert "not known" in str(lost)
    writer.close()
    assert len(r.event_ids(outsider)) <= 1


def test_a_cancelled_commit_is_withdrawn(make_writer, outsider):
    with hanging_writer(make_writer, timeout=10.0) as writer:
        running = writer.commit([r.event()])
        time.sleep(0.05)
        queued = writer.commit([r.event()])
        assert queued.cancel()
        assert not running.cancel()
    running.result(5)
    writer.close()
    assert len(r.event_ids(outsider)) == 1


def test_a_mapper_that_throws_fails_its_caller_and_nobody_else(make_writer):
    def explode(_record, _sealing):
        raise RuntimeError("mo@example.org")

    writer = make_writer(mappers={**audit.MAPPERS, ArtifactRecord: Mapper(prepare=explode, insert=lambda *_: None)})
    failure = writer.commit([r.artifact()]).exception(1)
    assert isinstance(failure, StoreError)
    assert "mo@example.org" not in f"{failure} {failure.__cause__} {failure.__context__}"
    writer.commit([r.event()]).result(5)


def test_no_error_carries_what_was_to_be_stored(writer, outsider):
    marker = "Zq7 marker"
    first = r.artifact(content=marker, basis=marker)
    writer.commit([first]).result(5)
    failures = [writer.commit([r.artifact(id=first.id, content=marker, basis=marker)]).exception(5)]
    with locked(outsider):
        failures.append(writer.commit([r.event(), r.artifact(content=marker, basis=marker)]).exception(5))
    for failure in failures:
        assert isinstance(failure, StoreError)
        assert marker not in f"{failure!r} {failure} {failure.__cause__!r} {failure.__context__!r}"
        assert first.id not in str(failure)


def test_closing_commits_what_is_waiting_and_then_takes_no_more(make_writer, outsider):
    writer = make_writer()
    futures = [writer.commit(r.exchange()) for _ in range(100)]
    writer.close()
    assert all(future.done() and future.exception(0) is None for future in futures)
    assert len(r.event_ids(outsider)) == 100
    assert isinstance(writer.commit([r.event()]).exception(0), StoreUnavailable)


def test_closing_does_not_wait_for_ever_for_a_dead_database(make_writer):
    with hanging_writer(make_writer, timeout=30.0) as writer:
        futures = [writer.commit([r.event()]) for _ in range(3)]
        started = time.monotonic()
        writer.close(0.2)
        assert time.monotonic() - started < 2
        assert all(isinstance(future.exception(0), StoreUnavailable) for future in futures)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_thread_is_started_again_when_it_died(writer, outsider, monkeypatch):
    writer.commit([r.event()]).result(5)
    died = writer._thread
    with monkeypatch.context() as patched:
        patched.setattr(writer._line, "_gather", lambda: 1 // 0)
        unlucky = writer.commit([r.event()])
        died.join(5)
    writer.commit([r.event()]).result(5)
    assert unlucky.result(5) is None
    assert len(r.event_ids(outsider)) == 3


def test_who_learns_that_it_is_too_late_may_come_back_at_once(make_writer, outsider):
    writer = make_writer(timeout=0.5)
    again: list[Future[None]] = []
    with writer._busy:
        running = writer.commit([r.event()])
        wait_until(lambda: writer.backlog == 0)
        late = writer.commit([r.event()])
        late.add_done_callback(lambda _: again.append(writer.commit([r.event()])))
        assert isinstance(late.exception(5), StoreUnavailable)
    wait([running])
    wait_until(lambda: again)
    assert again[0].result(5) is None


def test_a_server_that_is_not_there_is_unavailable(keyring):
    engine = make_engine("postgresql://nobody@127.0.0.1:9/none", lock_timeout=1)
    writer = Writer(engine, keyring, {**audit.MAPPERS, **store.MAPPERS}, timeout=2)
    failure = writer.commit(r.exchange()).exception(5)
    writer.close()
    assert isinstance(failure, StoreUnavailable)
