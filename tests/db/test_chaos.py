"""Many processes and threads on one log, some of them killed: what was acknowledged is there, whole, once, and opens."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.support import records as r

from aiguard import audit, store
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing

ROOT = Path(__file__).parents[2]
PROCESSES, THREADS, SECONDS = 8, 8, 4
WORKER = """
import os, sys, threading, time
from aiguard import audit, store
from aiguard.db import Writer, make_engine
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing
from tests.support import records as r
engine, until = make_engine(sys.argv[1]), time.time() + float(sys.argv[3])
master = MasterKeyRing([b"k" * 32])
keys = SubjectKeyRing(master, master, KeyStore(engine, apart=False))
writer = Writer(engine, keys, {**audit.MAPPERS, **store.MAPPERS}, timeout=20)
def work(number):
    person = keys.pseudonym("subject", f"person {number}")
    while time.time() < until:
        kept = r.artifact(actor=person, subject=person, content=f"{sys.argv[2]}/{number}")
        told = r.event(kept.decision_id, actor=person, subject=person)
        if writer.commit([kept, told]).exception(30) is None:
            os.write(1, f"{told.id} {kept.decision_id} {sys.argv[2]}/{number}\\n".encode())
workers = [threading.Thread(target=work, args=(number,)) for number in range(int(sys.argv[4]))]
for worker in workers: worker.start()
for worker in workers: worker.join()
"""


def test_processes_and_threads_lose_nothing_and_mix_nothing_while_some_are_killed(database_url, engine):
    dice = random.Random(5)
    said: list[list[str]] = []
    running: list[subprocess.Popen[str]] = []

    def start(number: int) -> None:
        command = [sys.executable, "-c", WORKER, database_url, str(number), str(SECONDS), str(THREADS)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        lines: list[str] = []
        said.append(lines)
        running.append(process)

        def listen() -> None:
            assert process.stdout is not None
            lines.extend(line.strip() for line in process.stdout if line.endswith("\n"))
            process.stdout.close()

        threading.Thread(target=listen, name=f"listen-{number}").start()

    for number in range(PROCESSES):
        start(number)
    for _ in range(PROCESSES // 2):
        time.sleep(SECONDS / PROCESSES + dice.random())
        dice.choice([process for process in running if process.poll() is None]).send_signal(signal.SIGKILL)
    for process in running:
        process.wait(90)
    for thread in threading.enumerate():
        if thread.name.startswith("listen-"):
            thread.join(30)

    acknowledged = [line.split() for lines in said for line in lines]
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
