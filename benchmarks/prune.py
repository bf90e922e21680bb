"""Pruning beside a hand-written batched ``DELETE`` of the same rows, and beside an application that goes on writing.

On copies of one database, slice by slice in turn, so that a drifting machine disturbs both sides alike: half of the artifacts
have expired. The hand-written side is the driver alone, with the same batch size and the same durability, and leaves no
evidence. Then a third copy is pruned by another process while threads go on committing exchanges here: in turns of some seconds
with and without a run, so that what else the machine does meanwhile disturbs both alike.

``BENCH_PRUNE_SCALE=1`` deletes 1,000,000 of 2,000,000 artifacts on PostgreSQL and 200,000 of 400,000 on SQLite; the default is
a tenth of it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from sqlalchemy import make_url, text
from tests.support import records
from tests.support.many import keep_many
from tests.support.postgres import new_postgres, server_uri

from aiguard import audit, retention, store
from aiguard.db import Writer, make_engine, upgrade
from aiguard.retention.pace import GAITS
from aiguard.store import MasterKeyRing
from aiguard.types import ArtifactRecord, Record

SCALE = float(os.environ.get("BENCH_PRUNE_SCALE", "0.1"))
SLICES = 5
WRITERS = 8
THINKING = 0.01
"""Seconds between two exchanges of a thread: an application that is busy, not one that is drowning."""
ROUNDS, IDLE_SECONDS, BUSY_SECONDS = 5, 3.0, 4.0
KEYS = [b"k" * 32]
RULES = "sha256:" + "1" * 64
"""Rules in force, as a job has them: each batch asks by which rules a row has its time."""

_HAND_WRITTEN = {
    "postgresql": (
        "DELETE FROM aiguard_artifacts WHERE id IN (SELECT id FROM aiguard_artifacts WHERE expires_at <= %s "
        "ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED)"
    ),
    "sqlite": (
        "DELETE FROM aiguard_artifacts WHERE id IN (SELECT id FROM aiguard_artifacts WHERE expires_at <= ? "
        "ORDER BY expires_at LIMIT ?)"
    ),
}

Figures = dict[str, float | int | str]


def run() -> Figures:
    """Rows per second, ratios, milliseconds and megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        sqlite = _sqlite(Path(folder))
    return {"prune_scale": SCALE, **sqlite, **_postgresql()}


def _postgresql() -> Figures:
    expired = int(1_000_000 * SCALE)
    first = new_postgres()
    engine = make_engine(first)
    keep_many(engine, expired=expired, staying=expired)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE aiguard_artifacts"))
    engine.dispose()

    def copy(name: str) -> str:
        source = make_url(first)
        name = f"{source.database}_{name}"
        with psycopg.connect(server_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {source.database}")
        return source.set(database=name).render_as_string(hide_password=False)

    other, third = copy("other"), copy("third")
    driver = psycopg.connect(other.replace("postgresql+psycopg", "postgresql"))
    figures = _compare("postgresql", first, expired, lambda now, size: _delete(driver, "postgresql", now, size))
    driver.close()
    return {**figures, **_beside_writers("postgresql", third)}


def _sqlite(folder: Path) -> Figures:
    expired = int(200_000 * SCALE)
    path = folder / "first" / "aiguard.db"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    keep_many(engine, expired=expired, staying=expired)
    engine.dispose()
    paths = [path, *(folder / name / "aiguard.db" for name in ("other", "third"))]
    for copy in paths[1:]:
        shutil.copytree(path.parent, copy.parent)
    driver = sqlite3.connect(paths[1], isolation_level=None)
    for setting in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
        driver.execute(f"PRAGMA {setting}")
    figures = _compare("sqlite", f"sqlite:///{path}", expired, lambda now, size: _delete(driver, "sqlite", now, size))
    driver.close()
    return {**figures, **_beside_writers("sqlite", f"sqlite:///{paths[2]}")}


def _delete(driver: psycopg.Connection | sqlite3.Connection, dialect: str, now: datetime, size: int) -> int:
    """One batch by hand."""
    moment = now if dialect == "postgresql" else now.strftime("%Y-%m-%d %H:%M:%S.%f")
    if dialect == "sqlite":
        driver.execute("BEGIN IMMEDIATE")
    count = driver.execute(_HAND_WRITTEN[dialect], (moment, size)).rowcount  # type: ignore[arg-type,call-overload]
    driver.commit()
    return int(count)


def _compare(dialect: str, url: str, expired: int, by_hand: Callable[[datetime, int], int]) -> Figures:
    engine, keyring, now = make_engine(url), MasterKeyRing(KEYS), datetime.now(UTC)
    size, share = GAITS[dialect].rows, -(-expired // SLICES)
    ours = theirs = 0.0
    memory: list[int] = []
    deleted = 0
    for _ in range(SLICES):
        started, left = time.perf_counter(), share
        while left > 0 and (count := by_hand(now, min(size, left))):
            left -= count
        theirs += time.perf_counter() - started
        started = time.perf_counter()
        done = retention.prune(
            engine, keyring, now, rules=RULES, at_most=share, progress=lambda _: memory.append(_resident())
        )
        ours += time.perf_counter() - started
        deleted += done.deleted
    engine.dispose()
    settled = memory[len(memory) // 10 :]
    name = f"prune_{dialect}"
    return {
        f"{name}_deleted": deleted,
        f"{name}_rows_per_s": round(deleted / ours),
        f"{name}_by_hand_rows_per_s": round(expired / theirs),
        f"{name}_ratio": round(theirs / ours * deleted / expired, 2),
        f"{name}_memory_growth_mb": round((max(settled) - settled[0]) / 2**20, 1),
    }


def _resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


class _Over(Exception):
    """The time of a turn is over."""


def _prune_in_turns(
    url: str, turns: multiprocessing.Queue[float], result: multiprocessing.Queue[tuple[int, float]]
) -> None:
    """Prune for as many seconds as each turn says, until one says none."""
    engine, keyring = make_engine(url), MasterKeyRing(KEYS)
    while seconds := turns.get():
        started, batches = time.perf_counter(), list[int]()

        def count(rows: int, *, until: float = started + seconds, batches: list[int] = batches) -> None:
            batches.append(rows)
            if time.perf_counter() > until:
                raise _Over

        with contextlib.suppress(_Over):
            retention.prune(engine, keyring, datetime.now(UTC), rules=RULES, progress=count)
        result.put((sum(batches), time.perf_counter() - started))
    engine.dispose()


def _beside_writers(dialect: str, url: str) -> Figures:
    engine, keyring = make_engine(url), MasterKeyRing(KEYS)
    writer = Writer(engine, keyring, {**store.MAPPERS, **audit.MAPPERS})
    stop = threading.Event()
    times: list[tuple[float, float]] = []

    def work() -> None:
        while not stop.is_set():
            started = time.perf_counter()
            writer.commit(_exchange()).result(30)
            times.append((started, time.perf_counter() - started))
            time.sleep(THINKING)

    context = multiprocessing.get_context("spawn")
    turns: multiprocessing.Queue[float] = context.Queue()
    result: multiprocessing.Queue[tuple[int, float]] = context.Queue()
    process = context.Process(target=_prune_in_turns, args=(url, turns, result))
    process.start()
    turns.put(0.01)  # starting Python is not pruning
    result.get(timeout=60)
    threads = [threading.Thread(target=work) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    idle: list[float] = []
    busy: list[float] = []
    deleted, pruning = 0, 0.0
    for _ in range(ROUNDS):
        idle_from = time.perf_counter()
        time.sleep(IDLE_SECONDS)
        busy_from = time.perf_counter()
        turns.put(BUSY_SECONDS)
        rows, seconds = result.get(timeout=120)
        busy_to = time.perf_counter()
        deleted, pruning = deleted + rows, pruning + seconds
        idle += [took for at, took in times if idle_from <= at < busy_from - 0.1]
        busy += [took for at, took in times if busy_from <= at < busy_to]
    turns.put(0)
    process.join()
    stop.set()
    for thread in threads:
        thread.join()
    writer.close()
    engine.dispose()
    name = f"prune_{dialect}"
    return {
        f"{name}_beside_writers_rows_per_s": round(deleted / pruning),
        f"{name}_writers_p99_idle_ms": round(_p99(idle), 1),
        f"{name}_writers_p99_busy_ms": round(_p99(busy), 1),
        f"{name}_writers_p99_ratio": round(_p99(busy) / _p99(idle), 2),
    }


def _exchange() -> Sequence[Record]:
    """What an exchange leaves, with a time to go that is not over yet."""
    return [
        replace(record, expires_at=datetime.now(UTC) + timedelta(days=30))
        if isinstance(record, ArtifactRecord)
        else record
        for record in records.exchange()
    ]


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98] * 1000
