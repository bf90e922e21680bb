"""What a full disk, a read-only file, a fork and a kill leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.support import records as r

from aiguard.db import make_engine
from aiguard.errors import StoreUnavailable

ROOT = Path(__file__).parents[2]
WORKER = """
import os, sys, threading
from aiguard import audit, store
from aiguard.db import Writer, make_engine
from aiguard.store import MasterKeyRing
from tests.support import records as r
url, threads, count, mode = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
writer = Writer(make_engine(url), MasterKeyRing([b"k" * 32]), {**audit.MAPPERS, **store.MAPPERS})
lock = threading.Lock()
def work():
    for _ in range(count):
        records = r.exchange()
        future = writer.commit(records)
        if mode == "wait":
            future.result(30)
            with lock:
                os.write(1, (records[0].id + "\\n").encode())
workers = [threading.Thread(target=work) for _ in range(threads)]
for worker in workers: worker.start()
for worker in workers: worker.join()
"""


def spawn(url: str, *, threads: int, count: int, mode: str = "wait") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, url, str(threads), str(count), mode]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_every_acknowledged_record_survives_kill_9(database_url, engine):
    process = spawn(database_url, threads=4, count=100_000)
    assert process.stdout
    acknowledged = [process.stdout.readline().strip() for _ in range(150)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate(timeout=30)
    acknowledged += [line for line in rest.splitlines() if len(line) == 30]
    stored = r.event_ids(engine)
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)
    assert r.scalars(engine, "SELECT count(*) FROM aiguard_artifacts") == [2 * len(stored)]
    r.assert_log_is_whole(engine)


def test_processes_write_one_log_together(database_url, engine):
    processes = [spawn(database_url, threads=2, count=50) for _ in range(3)]
    acknowledged: list[str] = []
    for process in processes:
        output, trouble = process.communicate(timeout=60)
        assert process.returncode == 0, trouble
        acknowledged += output.split()
    assert len(acknowledged) == 300
    assert sorted(acknowledged) == sorted(r.event_ids(engine))
    r.assert_log_is_whole(engine)


def test_what_is_queued_when_the_process_ends_is_written_first(database_url, engine):
    process = spawn(database_url, threads=2, count=200, mode="leave")
    _, trouble = process.communicate(timeout=60)
    assert process.returncode == 0, trouble
    assert len(r.event_ids(engine)) == 400
    r.assert_log_is_whole(engine)


def test_a_forked_child_writes_with_its_own_thread_while_the_parent_goes_on(make_writer, database_url, engine):
    patient = make_engine(database_url, lock_timeout=60)  # four processes take turns, and the machine may be busy
    writer = make_writer(patient, timeout=120.0)
    writer.commit(r.exchange()).result(60)
    stop = threading.Event()
    parents: list[str] = []

    def busy():
        while not stop.is_set():
            records = r.exchange()
            writer.commit(records).result(120)
            parents.append(records[0].id)

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:  # pragma: no cover - another process
            code = 1
            try:
                for _ in range(20):
                    writer.commit(r.exchange()).result(120)
                code = 0
            except BaseException:  # noqa: BLE001 - told by the exit code
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    stop.set()
    for thread in threads:
        thread.join(120)
    assert codes == [0, 0, 0]
    stored = r.event_ids(engine)
    assert len(stored) == 1 + 60 + len(parents)
    assert set(parents) <= set(stored)
    r.assert_log_is_whole(engine)
    patient.dispose()


class TestOnSQLite:
    @pytest.fixture
    def backend(self):
        return "sqlite"

    def test_a_full_database_is_unavailable_and_works_again_when_there_is_room(self, engine, writer):
        limit = {"pages": r.scalars(engine, "PRAGMA page_count")[0] + 40}

        @event.listens_for(engine, "checkout")
        def cap(connection, *_rest):
            connection.execute(f"PRAGMA max_page_count = {limit['pages']}")

        kept = []
        failure = None
        while failure is None:
            records = r.exchange()
            failure = writer.commit(records).exception(5)
            kept += [records[0].id] if failure is None else []
        assert isinstance(failure, StoreUnavailable)
        assert "SQLITE_FULL" in str(failure)
        assert r.event_ids(engine) == kept
        r.assert_log_is_whole(engine)
        limit["pages"] = 1_000_000
        writer.commit(r.exchange()).result(5)
        r.assert_log_is_whole(engine)

    def test_a_read_only_database_is_unavailable(self, database_url, make_writer):
        path = database_url.removeprefix("sqlite:///")
        engine = make_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
        failure = make_writer(engine).commit(r.exchange()).exception(5)
        assert isinstance(failure, StoreUnavailable)
        assert "read-only" in str(failure)
        engine.dispose()

    def test_a_read_only_copy_can_still_be_read(self, database_url, writer):
        writer.commit(r.exchange()).result(5)
        path = database_url.removeprefix("sqlite:///")
        copy = make_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
        assert len(r.event_ids(copy)) == 1
        copy.dispose()

    def test_a_file_that_is_not_a_database_is_unavailable(self, tmp_path, make_writer):
        (tmp_path / "notes.db").write_bytes(b"not a database at all " * 500)
        engine = make_engine(f"sqlite:///{tmp_path}/notes.db", lock_timeout=0.2)
        failure = make_writer(engine).commit(r.exchange()).exception(5)
        assert isinstance(failure, StoreUnavailable)
        assert "SQLITE_NOTADB" in str(failure)
        engine.dispose()

    def test_a_database_without_the_schema_says_what_to_run(self, tmp_path, make_writer):
        engine = make_engine(f"sqlite:///{tmp_path}/new.db")
        with pytest.raises(StoreUnavailable, match="aiguard db upgrade"):
            make_writer(engine).commit(r.exchange()).result(5)
        engine.dispose()

    def test_a_disk_that_fills_up_loses_nothing_that_was_acknowledged(self, database_url, engine):
        script = (
            "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n" + WORKER
        )
        command = [sys.executable, "-c", script, database_url, "2", "100000", "wait"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        acknowledged = done.stdout.split()
        assert "StoreUnavailable" in done.stderr
        assert acknowledged
        assert set(acknowledged) <= set(r.event_ids(engine))
        r.assert_log_is_whole(engine)
