"""Writers of one audit log that are killed at random: 8 processes of 8 threads, on SQLite and then on PostgreSQL.

What was acknowledged must be in the log, once each, and the log must verify with its payloads. ``AIGUARD_BENCH_AUDIT_KILL_SECONDS`` sets
for how long, each (default 20; 120 for two minutes). ``make kills`` runs this alone, for two minutes each unless told otherwise.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import psycopg
from sqlalchemy import make_url
from tests.support.killing import Outcome, kill_for

from aiguard.audit.verify import Status
from aiguard.db import make_engine, upgrade
from benchmarks.store import postgres

Figures = dict[str, float | int | str]

PROCESSES = THREADS = 8
SECONDS = float(os.environ.get("AIGUARD_BENCH_AUDIT_KILL_SECONDS", "20"))


def killed(url: str, seconds: float) -> Outcome:
    """What is left of a fresh log at ``url``."""
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    with tempfile.TemporaryDirectory() as folder:
        return kill_for(url, Path(folder), processes=PROCESSES, threads=THREADS, seconds=seconds, seed=1)


def run(seconds: float = SECONDS) -> Figures:
    """All figures."""
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory() as folder:
        outcomes["sqlite"] = killed(f"sqlite:///{Path(folder) / 'killed.db'}", seconds)
    with postgres() as uri:
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("CREATE DATABASE killed")
        url = make_url(uri).set(drivername="postgresql+psycopg", database="killed")
        outcomes["postgres"] = killed(url.render_as_string(hide_password=False), seconds)
    figures: Figures = {"kill_processes": PROCESSES, "kill_threads_each": THREADS, "kill_seconds_each": seconds}
    for name, done in outcomes.items():
        figures |= {
            f"kills_{name}": done.kills,
            f"kill_acknowledged_{name}": done.acknowledged,
            f"kill_present_exactly_once_{name}": done.once,
            f"kill_lost_{name}": done.lost,
            f"kill_repeated_{name}": done.repeated,
            f"kill_log_events_{name}": done.events,
            f"kill_checkpoints_{name}": done.checkpoints,
            f"kill_verify_{name}": str(done.status),
        }
    return figures


def main() -> int:
    """Two minutes each unless told otherwise; 1 when anything was lost, is there twice, or does not verify."""
    figures = run(SECONDS if "AIGUARD_BENCH_AUDIT_KILL_SECONDS" in os.environ else 120.0)
    print(json.dumps(figures, indent=2))
    whole = all(
        figures[f"kill_acknowledged_{name}"] == figures[f"kill_present_exactly_once_{name}"]
        and figures[f"kill_verify_{name}"] == Status.OK
        for name in ("sqlite", "postgres")
    )
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
