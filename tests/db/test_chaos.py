"""Many processes and threads on one log, some of them killed: what was acknowledged is there, whole, once, and opens."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from tests.support import records as r

from aiguard import audit, store
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing

ROOT = Path(__file__).parents[2]
PROCESSES, THREADS = 8, 8
EACH = int(os.environ.get("AIGUARD_CHAOS_EACH", "15"))
"""Records of one thread. Give more for a longer look: kills come after the same shares of all."""
WORKERS = """
import os, sys, threading
from aiguard import audit, store
from aiguard.db import Writer, make_engine
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing
from tests.support import records as r
url, processes, threads, each = sys.argv[1], *map(int, sys.argv[2:])

def process(name):
    engine, master = make_engine(url), MasterKeyRing([b"k" * 32])
    keys = SubjectKeyRing(master, master, KeyStore(engine, apart=False))
    writer = Writer(engine, keys, {**audit.MAPPERS, **store.MAPPERS}, timeout=60)
    def work(number):
        person = keys.pseudonym("subject", f"person {number}")
        for _ in range(each):
            kept = r.artifact(actor=person, subject=person, content=f"{name}/{number}")
            told = r.event(kept.decision_id, actor=person, subject=person)
            if writer.commit([kept, told]).exception(120) is None:
                os.write(1, f"{told.id} {kept.decision_id} {name}/{number}\\n".encode())
    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()

children = []
for name in range(processes):  # importing once is most of the time that eight processes would take
    child = os.fork()
    if child == 0:
        process(name)
        os._exit(0)
    children.append(child)
os.write(1, (" ".join(map(str, children)) + "\\n").encode())
for child in children: os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # nobody else gets its number meanwhile
"""


def test_processes_and_threads_lose_nothing_and_mix_nothing_while_some_are_killed(database_url, engine):
    dice = random.Random(5)
    command = [sys.executable, "-c", WORKERS, database_url, *map(str, (PROCESSES, THREADS, EACH))]
    lines: list[str] = []
    living: list[int] = []
    share, killed = PROCESSES * THREADS * EACH // 16, 0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            words = line.split()
            if len(words) == PROCESSES:
                living = [int(word) for word in words]
                continue
            lines.append(line)
            if living and killed < PROCESSES // 2 and len(lines) >= share * (killed + 1):
                os.kill(living.pop(dice.randrange(len(living))), signal.SIGKILL)
                killed += 1
    assert process.returncode == 0
    assert killed == PROCESSES // 2
    assert len(lines) < PROCESSES * THREADS * EACH

    acknowledged = [line.split() for line in lines]
    assert acknowledged
    stored = r.event_ids(engine)
    assert len(stored) == len(set(stored))
    assert {event for event, _, _ in acknowledged} <= set(stored)
    assert r.scalars(engine, "SELECT count(*) FROM aiguard_artifacts") == [len(stored)]
    r.assert_log_is_whole(engine)
    master = MasterKeyRing([b"k" * 32])
    keys = SubjectKeyRing(master, master, KeyStore(engine, apart=False))
    for _, decision, content in dice.sample(acknowledged, min(100, len(acknowledged))):
        (opened,) = store.artifacts(engine, keys, decision_id=decision)
        assert opened.content == content
    assert audit.tail(engine, keys, limit=200)
