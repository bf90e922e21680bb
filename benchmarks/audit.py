"""The audit log: appending from 64 threads beside plain inserts, verifying, and what tampering with it comes to.

The peer of appending is an ordinary audit table (no leaf, hash, seal, position or trigger; the same indexes) written by the bare
driver with the same group commit and durability, by turns in the same run; and the same table written as a team that has SQLAlchemy
writes it, by Core (``core_inserts``). ``AIGUARD_BENCH_AUDIT_ROWS`` sets how many rows of each table
are changed in every way (default 25). Long logs are :mod:`benchmarks.audit_scale`, killed writers :mod:`benchmarks.audit_kills`.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, DateTime, Engine, MetaData, String, Table, insert, make_url
from tests.support.mutations import Owner

from aiguard import audit, store
from aiguard.audit.erasure import erase_payloads
from aiguard.audit.note import make_signer
from aiguard.audit.outbox import put
from aiguard.audit.signing import sign_head
from aiguard.audit.tables import insert_rows, prepare
from aiguard.audit.verify import Status, verify
from aiguard.db import Writer, make_engine, upgrade, writing
from aiguard.db.mapping import Sealing
from aiguard.store import MasterKeyRing
from aiguard.types import AuditRecord, new_id
from benchmarks.store import SECONDS, RawWriter, crowd, postgres

Figures = dict[str, float | int | str]

TURNS = 9
"""Turns of each side. Many short ones, so that a machine that drifts disturbs both sides alike."""
TURN_SECONDS = SECONDS / 3
ROWS = int(os.environ.get("AIGUARD_BENCH_AUDIT_ROWS", "25"))
POLICY = "sha256:" + "0" * 64
SIGNER = make_signer("example.com/bench")
RING = MasterKeyRing([os.urandom(32)])
PLAIN = (
    "id", "type", "decision_id", "parent_id", "at", "actor", "tenant", "subject", "resource", "policy_hash", "payload",
)  # fmt: skip
PAYLOAD = {
    "answer_findings": {"EMAIL_ADDRESS": {"replace": 1}},
    "restored": 1,
    "usage": {"input_tokens": 300, "output_tokens": 90},
    "elapsed_ms": 812.5,
}


def event(at: datetime | None = None) -> AuditRecord:
    """An event as an answered exchange leaves it."""
    actor = RING.pseudonym("actor", "mo")
    return AuditRecord(
        type="exchange.completed",
        decision_id=new_id("agd"),
        actor=actor,
        subject=actor,
        resource="support-reply",
        policy_hash=POLICY,
        payload=PAYLOAD,
        at=at or datetime.now(UTC),
    )


def plain_table(engine: Engine) -> Callable[[Sequence[Any]], None]:
    """An ordinary audit table, and how a batch of rows gets into it."""
    sqlite = engine.dialect.name == "sqlite"
    kind = "INTEGER PRIMARY KEY" if sqlite else "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    moment, mark = ("TEXT", "?") if sqlite else ("timestamptz", "%s")
    texts = ", ".join(f"{name} {moment if name == 'at' else 'varchar(500)'} NOT NULL" for name in PLAIN)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE plain (seq {kind}, {texts})")
        connection.exec_driver_sql("CREATE UNIQUE INDEX plain_id ON plain (id)")
        for name in ("decision_id", "parent_id", "subject"):
            connection.exec_driver_sql(f"CREATE INDEX plain_{name} ON plain ({name})")
    sql = f"INSERT INTO plain ({', '.join(PLAIN)}) VALUES ({', '.join([mark] * len(PLAIN))})"  # noqa: S608 - our own names
    if sqlite:
        import sqlite3

        file = sqlite3.connect(str(engine.url.database), isolation_level=None, check_same_thread=False, timeout=5)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            file.execute(f"PRAGMA {pragma}")

        def insert(batch: Sequence[Any]) -> None:
            file.execute("BEGIN IMMEDIATE")
            file.executemany(sql, batch)
            file.execute("COMMIT")

        return insert
    import psycopg

    server = psycopg.connect(engine.url.set(drivername="postgresql").render_as_string(hide_password=False))

    def insert_all(batch: Sequence[Any]) -> None:
        with server.cursor() as cursor:
            cursor.executemany(sql, batch)
        server.commit()

    return insert_all


def core_inserts(engine: Engine) -> Callable[[Sequence[Any]], None]:
    """How a batch of rows gets into the plain table by SQLAlchemy Core, through the engine that the writer has."""
    moment = DateTime(timezone=True) if engine.dialect.name == "postgresql" else String()
    table = Table("plain", MetaData(), *(Column(name, moment if name == "at" else String(500)) for name in PLAIN))
    statement = insert(table)

    def insert_all(batch: Sequence[Any]) -> None:
        with writing(engine) as connection:
            connection.execute(statement, [dict(zip(PLAIN, row, strict=True)) for row in batch])

    return insert_all


def core_row(number: int) -> tuple[Any, ...]:
    """A row for :func:`core_inserts` on PostgreSQL, whose time is one."""
    row = list(plain_row(number))
    row[PLAIN.index("at")] = datetime.now(UTC)
    return tuple(row)


def plain_row(number: int) -> tuple[Any, ...]:
    """A row with what the event says."""
    actor = "0123456789ABCDEFGHJKMNPQRS"
    now = datetime.now(UTC).isoformat(" ", "microseconds")
    payload = '{"answer_findings":{"EMAIL_ADDRESS":{"replace":1}},"elapsed_ms":812.5,"restored":1,"usage":{"input_tokens":300}}'
    return (
        new_id("evt"), "exchange.completed", new_id("agd"), "", now, actor, "", actor, f"support-{number % 10}", POLICY, payload,
    )  # fmt: skip


def appending(name: str, engine: Engine) -> Figures:
    """Events and plain inserts by turns, from 64 threads that wait for each."""
    writer = Writer(engine, RING, {**store.MAPPERS, **audit.MAPPERS}, timeout=30)
    raw = RawWriter(plain_table(engine))
    core = RawWriter(core_inserts(engine))
    make_core = core_row if engine.dialect.name == "postgresql" else plain_row

    def turn(commit: Callable[[Any], Any], make: Callable[[int], Any]) -> tuple[float, list[float], float]:
        used = time.process_time()
        rate, waited = crowd(commit, make, TURN_SECONDS)
        return rate, waited, (time.process_time() - used) * 1e6 / len(waited)

    rates: list[float] = []
    plain_rates: list[float] = []
    core_rates: list[float] = []
    used: list[float] = []
    plain_used: list[float] = []
    times: list[float] = []
    turn(lambda record: writer.commit([record]), lambda _number: event())  # warm
    for _ in range(TURNS):
        rate, waited, cpu = turn(lambda record: writer.commit([record]), lambda _number: event())
        rates.append(rate)
        used.append(cpu)
        times += waited
        rate, _, cpu = turn(raw.commit, plain_row)
        plain_rates.append(rate)
        plain_used.append(cpu)
        core_rates.append(turn(core.commit, make_core)[0])
    raw.close()
    core.close()
    writer.close()
    return {
        f"events_per_s_{name}": round(statistics.median(rates)),
        f"events_p50_ms_{name}": round(statistics.median(times), 1),
        f"events_p99_ms_{name}": round(statistics.quantiles(times, n=100)[98], 1),
        f"plain_inserts_per_s_{name}": round(statistics.median(plain_rates)),
        f"ratio_plain_inserts_{name}": round(
            statistics.median(rate / plain for rate, plain in zip(rates, plain_rates, strict=True)), 2
        ),
        f"core_inserts_per_s_{name}": round(statistics.median(core_rates)),
        f"ratio_core_inserts_{name}": round(
            statistics.median(rate / core for rate, core in zip(rates, core_rates, strict=True)), 2
        ),
        f"cpu_us_per_event_{name}": round(statistics.median(used), 1),
        f"cpu_us_per_plain_insert_{name}": round(statistics.median(plain_used), 1),
    }


def verifying(name: str, engine: Engine) -> Figures:
    """Leaves that are verified a second, beside hashing alone."""
    sign_head(engine, [SIGNER], now=datetime.now(UTC))
    started, used = time.perf_counter(), time.process_time()
    report = verify(engine, [SIGNER.verifier], origin=SIGNER.name)
    elapsed, cpu = time.perf_counter() - started, time.process_time() - used
    if report.problems or report.signed != report.events:
        raise RuntimeError(f"the log does not verify: {report}")
    return {
        f"verify_leaves_per_s_{name}": round(report.events / elapsed),
        f"verify_leaves_per_cpu_s_{name}": round(report.events / cpu),
        f"verified_leaves_{name}": report.events,
    }


def hashing() -> Figures:
    """What hashing leaves of 600 bytes, and the tree over them, costs by itself on this machine now."""
    leaf, count = b"x" * 600, 100_000
    used = time.process_time()
    for _ in range(count):
        hashlib.sha256(b"\x00" + leaf).digest()
        hashlib.sha256(b"\x01" + leaf[:64]).digest()
    return {"hash_alone_leaves_per_cpu_s": round(count / (time.process_time() - used))}


def tampering(engine: Engine) -> tuple[int, int]:
    """Attempts to change a log with something in every table, and how many of them were not called tampering."""
    sealing, now = Sealing(keyring=RING, writer="wrt_bench"), datetime.now(UTC)
    for _ in range(3):
        with writing(engine) as connection:
            insert_rows(connection, [prepare(event(now), sealing) for _ in range(120)])
        sign_head(engine, [SIGNER], now=now)
    with writing(engine) as connection:
        erase_payloads(connection, list(range(100, 130)), sealing, decision_id="ers_bench", at=now)
    sign_head(engine, [SIGNER], now=now)
    with writing(engine) as connection:
        put(connection, [event(now) for _ in range(3)], RING)
    if verify(engine, [SIGNER.verifier], origin=SIGNER.name, keyring=RING, now=now).status is not Status.OK:
        raise RuntimeError("the log does not verify")
    owner = Owner(engine.url)
    attempts = missed = 0
    for mutation in list(owner.mutations(random.Random(6), rows=ROWS)):
        with owner.mutated(mutation):
            report = verify(engine, [SIGNER.verifier], origin=SIGNER.name, keyring=RING, now=now)
        attempts += 1
        if report.status is not Status.TAMPERED:
            missed += 1
            print(f"  missed: {mutation.table} {mutation.what} {mutation.key}", flush=True)
    owner.close()
    return attempts, missed


@contextmanager
def databases(uri: str) -> Iterator[Callable[[str], Engine]]:
    """Makes fresh databases at the current revision, of both kinds."""
    import psycopg

    numbers = itertools.count()
    made: list[Engine] = []
    with tempfile.TemporaryDirectory() as folder:

        def make(kind: str) -> Engine:
            name = f"bench{next(numbers)}"
            if kind == "sqlite":
                url = f"sqlite:///{folder}/{name}.db"
            else:
                with psycopg.connect(uri, autocommit=True) as connection:
                    connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
                url = make_url(uri).set(drivername="postgresql+psycopg", database=name).render_as_string(False)
            made.append(make_engine(url))
            upgrade(made[-1])
            return made[-1]

        yield make
        for engine in made:
            engine.dispose()


def run() -> Figures:
    """All figures."""
    figures: Figures = {"audit_threads": 64}
    attempts = missed = 0
    with postgres() as uri, databases(uri) as make:
        for name in ("sqlite", "postgres"):
            engine = make(name)
            figures |= appending(name, engine)
            figures |= verifying(name, engine)
            print(f"  {name}: appended and verified", flush=True)
        figures |= hashing()
        figures["verify_leaves_per_s"] = figures["verify_leaves_per_s_sqlite"]
        figures["ratio_plain_inserts"] = figures["ratio_plain_inserts_sqlite"]
        for name in ("sqlite", "postgres"):
            tried, not_seen = tampering(make(name))
            attempts, missed = attempts + tried, missed + not_seen
        figures |= {"tamper_attempts": attempts, "tamper_missed": missed}
    return figures
