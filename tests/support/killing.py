"""Processes that write to one log and are killed at random moments: what was acknowledged must be there, once each.

A worker writes the id of every event to its journal *after* the commit was acknowledged, and forces it to disk by ``O_APPEND`` writes
that a kill cannot undo (the machine stays up). Used by the suite for seconds and by ``make kills`` for minutes.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, text

from aiguard import audit, store
from aiguard.audit.checkpoint import read
from aiguard.audit.note import make_signer
from aiguard.audit.outbox import drain, put
from aiguard.audit.signing import latest, sign_head
from aiguard.audit.verify import Status, verify
from aiguard.db import Writer, make_engine, writing
from aiguard.errors import StoreError
from aiguard.store import MasterKeyRing
from aiguard.types import AuditRecord, new_id

SIGNER = make_signer("example.com/killed", b"k" * 32)
RING = MasterKeyRing([b"k" * 32])
ROOT = Path(__file__).parents[2]
STARTING_SECONDS = 120.0
"""How long the processes may take to start on a busy machine; the time of killing begins at the first acknowledgement."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was left when the killing was over."""

    kills: int
    acknowledged: int
    once: int
    """Acknowledged events that the log holds exactly once."""
    events: int
    lost: int
    repeated: int
    status: Status
    checkpoints: int


def work(url: str, journal: str, threads: int) -> None:
    """What one process does until it is killed: events by the writer, some through the outbox, and now and then a checkpoint."""
    import threading

    engine = make_engine(url, lock_timeout=20)
    writer = Writer(engine, RING, {**store.MAPPERS, **audit.MAPPERS}, timeout=20)
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def event() -> AuditRecord:
        return AuditRecord(type="app.killed", decision_id=new_id("agd"), payload={"count": 1}, at=datetime.now(UTC))

    def run(number: int) -> None:
        while True:
            record = event()
            try:
                if number == 0:
                    with writing(engine) as connection:
                        put(connection, [record], RING)
                    os.write(descriptor, f"{record.id}\n".encode())
                    drain(engine, RING)
                elif number == 1:
                    sign_head(engine, [SIGNER], now=datetime.now(UTC))
                    time.sleep(0.2)
                else:
                    writer.commit([record]).result(30)
                    os.write(descriptor, f"{record.id}\n".encode())
            except StoreError:
                time.sleep(0.05)  # it was not acknowledged, so it is in no journal

    for number in range(1, threads):
        threading.Thread(target=run, args=(number,), daemon=True).start()
    run(0)


def kill_for(url: str, folder: Path, *, processes: int, threads: int, seconds: float, seed: int) -> Outcome:
    """Run ``processes`` of them, kill one at a random moment again and again, and look at what is left."""
    rng = random.Random(seed)
    journals: list[Path] = []

    def start() -> subprocess.Popen[bytes]:
        journals.append(folder / f"journal-{len(journals)}")
        code = "import sys; from tests.support.killing import work; work(sys.argv[1], sys.argv[2], int(sys.argv[3]))"
        command = [sys.executable, "-c", code, url, str(journals[-1]), str(threads)]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)

    running = [start() for _ in range(processes)]
    kills = 0
    try:
        patience = time.monotonic() + STARTING_SECONDS
        while not journals_written(journals) and time.monotonic() < patience:
            time.sleep(0.05)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(rng.uniform(0.1, 1.0) * min(1.0, 8 / processes))
            at = rng.randrange(processes)
            running[at].send_signal(signal.SIGKILL)
            running[at].wait()
            kills += 1
            running[at] = start()
    finally:
        for process in running:
            process.kill()
            process.wait()
    return _looked_at(url, journals, kills)


def journals_written(journals: Sequence[Path]) -> bool:
    """Whether any process has got as far as an acknowledgement."""
    return any(path.exists() and path.stat().st_size for path in journals)


def _looked_at(url: str, journals: Sequence[Path], kills: int) -> Outcome:
    engine = make_engine(url, lock_timeout=20)
    _until_alone(engine)
    drain(engine, RING)
    sign_head(engine, [SIGNER], now=datetime.now(UTC))
    with engine.connect() as connection:
        found = Counter(connection.execute(text("SELECT id FROM aiguard_audit_events")).scalars())
    acknowledged = [line.decode() for path in journals if path.exists() for line in path.read_bytes().split(b"\n")[:-1]]
    report = verify(engine, [SIGNER.verifier], origin=SIGNER.name, keyring=RING)
    head = latest(engine)
    assert head is not None
    assert read(head.note)[0].size == report.events
    engine.dispose()
    return Outcome(
        kills=kills,
        acknowledged=len(acknowledged),
        once=sum(1 for id in acknowledged if found[id] == 1),
        events=report.events,
        lost=sum(1 for id in acknowledged if id not in found),
        repeated=sum(1 for count in found.values() if count > 1),
        status=report.status,
        checkpoints=report.checkpoints,
    )


def _until_alone(engine: Engine) -> None:
    """PostgreSQL goes on with a statement, also with a commit, whose client was killed: wait until it has noticed."""
    if engine.dialect.name != "postgresql":
        return
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    deadline = time.monotonic() + 60
    while True:
        with engine.connect() as connection:
            left = connection.execute(others).scalar_one()
        if not left:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left} connections of processes that were killed are still there")
        time.sleep(0.05)
