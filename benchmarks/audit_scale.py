"""Long audit logs: what a proof, a checkpoint, an append and a verification cost as the log grows tenfold, and tenfold again.

``AIGUARD_BENCH_AUDIT_EVENTS`` sets the longest log on SQLite (default 1,000,000: about a minute and 1.3 GB); PostgreSQL's is a tenth of it.
10,000,000 need about ten minutes and 15 GB in ``TMPDIR``.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from sqlalchemy import Engine, make_url

from aiguard.audit import proofs
from aiguard.audit.note import make_signer
from aiguard.audit.prove import prove_event
from aiguard.audit.signing import StoredTree, sign_head
from aiguard.audit.tables import insert_rows, prepare
from aiguard.audit.verify import Status, verify
from aiguard.db import make_engine, upgrade, writing
from aiguard.db.mapping import Sealing
from aiguard.store import MasterKeyRing
from aiguard.types import AuditRecord, new_id
from benchmarks.audit_load import Loader
from benchmarks.store import postgres

Figures = dict[str, float | int | str]

EVENTS = int(os.environ.get("AIGUARD_BENCH_AUDIT_EVENTS", "1000000"))
SMALLEST = 10_000
TIMES = 200
"""Proofs and appended batches that are timed at each size."""

BATCH = 64
SIGNER = make_signer("example.com/bench")


def measured(name: str, engine: Engine, size: int, rng: random.Random) -> Figures:
    """What everything costs on a log of ``size`` events."""
    sealing = Sealing(keyring=MasterKeyRing([os.urandom(32)]), writer=new_id("wrt"))

    def append() -> None:
        rows = [prepare(AuditRecord(type="access.allowed", decision_id=new_id("agd")), sealing) for _ in range(BATCH)]
        with writing(engine) as connection:
            insert_rows(connection, rows)

    def consistency() -> None:
        with engine.connect() as connection:
            proofs.consistency(StoredTree(connection), rng.randrange(1, size), size)

    def grown() -> None:
        append()
        sign()

    def sign() -> None:
        sign_head(engine, [SIGNER], now=datetime.now(UTC))

    first = timed(sign, 1)
    used = time.process_time()
    proved = timed(lambda: prove_event(engine, str(rng.randrange(size))), TIMES)
    proving = (time.process_time() - used) * 1000 / TIMES
    consistent = timed(consistency, TIMES // 4)
    appended = timed(append, TIMES)
    signed = timed(grown, TIMES // 10)
    middle = statistics.median
    return {
        f"proof_p50_ms_{name}_at_{size}": round(middle(proved), 2),
        f"proof_cpu_ms_{name}_at_{size}": round(proving, 2),
        f"proof_p99_ms_{name}_at_{size}": round(statistics.quantiles(proved, n=100)[98], 2),
        f"consistency_proof_ms_{name}_at_{size}": round(middle(consistent), 2),
        f"append_us_per_event_{name}_at_{size}": round(middle(appended) * 1000 / BATCH, 1),
        f"append_and_sign_ms_{name}_at_{size}": round(middle(signed), 2),
        f"first_checkpoint_ms_{name}_at_{size}": round(first[0], 1),
    }


def timed(do: Callable[[], object], times: int) -> list[float]:
    """Milliseconds of each of so many times."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        do()
        taken.append((time.perf_counter() - started) * 1000)
    return taken


def growing(name: str, engine: Engine, largest: int) -> Figures:
    """Figures at each power of ten up to ``largest`` events; and what verifying the longest log comes to."""
    figures: Figures = {}
    loader, rng, size = Loader(engine), random.Random(6), SMALLEST
    while size <= largest:
        started = time.perf_counter()
        loader.fill(size)
        print(f"  {name}: {size} events in {time.perf_counter() - started:.0f} s", flush=True)
        figures |= measured(name, engine, size, rng)
        size *= 10
    started, used = time.perf_counter(), time.process_time()
    report = verify(engine, [SIGNER.verifier], origin=SIGNER.name)
    elapsed, cpu = time.perf_counter() - started, time.process_time() - used
    if report.status not in {Status.OK, Status.STALE} or not report.signed:
        raise RuntimeError(f"the log does not verify: {report}")
    return figures | {
        f"long_log_events_{name}": report.events,
        f"long_log_verify_leaves_per_s_{name}": round(report.events / elapsed),
        f"long_log_verify_leaves_per_cpu_s_{name}": round(report.events / cpu),
    }


def run() -> Figures:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder, postgres() as uri:
        file = make_engine(f"sqlite:///{Path(folder) / 'long.db'}")
        upgrade(file)
        figures = growing("sqlite", file, EVENTS)
        file.dispose()
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("CREATE DATABASE long")
        url = make_url(uri).set(drivername="postgresql+psycopg", database="long")
        server = make_engine(url)
        upgrade(server)
        figures |= growing("postgres", server, EVENTS // 10)
        server.dispose()
    return figures
