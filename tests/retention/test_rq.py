"""Retention on real RQ workers, with schedulers, a Redis and a PostgreSQL that die in the middle."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy import text
from tests.support import records as r
from tests.support.many import keep_many
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer

from aiguard import audit
from aiguard.audit.verify import Status, verify
from aiguard.db import make_engine
from aiguard.jobs import AHEAD, EVERY, RetentionJob, retention_queue, start
from aiguard.store import MasterKeyRing

KEY = b"k" * 32
POLICY = """
[retention.prompt]
duration = "30d"
basis = "law"
mechanism = "delete"
owner = "dpo"
"""
BIN = Path(sys.executable).parent


class Site:
    """A deployment: database, Redis, settings, and the processes that were started in it."""

    def __init__(self, folder: Path, database: str, redis_url: str) -> None:
        (folder / "aiguard.toml").write_text(POLICY)
        self.folder, self.redis_url = folder, redis_url
        self.engine = make_engine(database)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIGUARD_")},
            "AIGUARD_ENVIRONMENT": "test",
            "AIGUARD_DATABASE_URL": database,
            "AIGUARD_KEYS": base64.b64encode(KEY).decode(),
            "AIGUARD_JOBS_REDIS_URL": redis_url,
        }

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "aiguard", *arguments],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def worker(self, *options: str) -> subprocess.Popen[bytes]:
        """``rq worker`` as an operator starts it."""
        url = self.redis_url.replace("redis+unix://", "unix://")
        command = [str(BIN / "rq"), "worker", "aiguard", "--url", url, "--serializer", "json", "--with-scheduler"]
        with (self.folder / f"worker{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, *options], cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """``kill -9`` of a worker, its scheduler and what it was working on."""
        try:
            family = psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            family = []
        process.kill()
        for each in family:
            with_suppressed(each.kill)
        process.wait(10)

    def log(self) -> str:
        return "".join(file.read_text(errors="replace") for file in self.folder.glob("worker*.log"))

    def until(self, true: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, self.log()[-3000:]
            time.sleep(0.02)

    def one(self, sql: str) -> int:
        return int(r.scalars(self.engine, sql)[0])

    def close(self) -> None:
        for process in self.processes:
            self.end(process)
        self.engine.dispose()


def with_suppressed(kill: Callable[[], None]) -> None:
    try:
        kill()
    except psutil.NoSuchProcess:
        return


@pytest.fixture
def backend():
    return "postgresql"


@pytest.fixture
def site(tmp_path, database_url, redis_url) -> Iterator[Site]:
    found = Site(tmp_path, database_url, redis_url)
    yield found
    found.close()


DUE = "SELECT count(*) FROM aiguard_artifacts WHERE expires_at <= now()"
BATCHES = "SELECT count(*) FROM aiguard_audit_events WHERE type = 'store.pruned'"
OPEN = "SELECT count(*) FROM aiguard_job_runs WHERE state <> 'done'"


def test_workers_with_two_schedulers_prune_once_and_redis_holds_nothing_but_json(site, redis_server):
    keep_many(site.engine, expired=50, staying=20)
    assert f"{AHEAD} ticks" in site.command("jobs", "start")
    assert "0 ticks" in site.command("jobs", "start")
    site.worker("--job-class", "aiguard.jobs.RetentionJob")
    site.worker()
    site.until(lambda: site.one("SELECT count(*) FROM aiguard_job_runs WHERE state = 'done'") >= 3)
    assert site.one("SELECT count(*) FROM aiguard_artifacts") == 20
    assert site.one("SELECT count(*) FROM aiguard_job_runs WHERE job = 'prune' AND attempts = 1") == 1
    client = redis_server.client()
    site.until(lambda: len(client.keys("rq:job:aiguard-tick-*")) >= AHEAD)  # one more where a new slot has begun
    for key in client.keys("rq:job:aiguard-tick-*"):
        function, *arguments = json.loads(zlib.decompress(client.hget(key, "data")))
        assert (function, arguments) == ("aiguard.jobs.tick", [None, [], {}])
    site.until(lambda: b"finished" in [client.hget(key, "status") for key in client.keys("rq:job:aiguard-tick-*")])


def test_ticks_stand_in_utc_wherever_the_scheduler_is(redis_server, redis_url, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        queue = retention_queue(redis_server.client())
        now = datetime(2026, 3, 29, 1, 2, tzinfo=UTC)
        assert (start(queue, now=now), start(queue, now=now), start(queue, now=now + EVERY)) == (AHEAD, 0, 1)
        scheduled = [
            datetime.fromtimestamp(score, UTC)
            for _, score in redis_server.client().zrange("rq:scheduled:aiguard", 0, -1, withscores=True)
        ]
        assert scheduled == [datetime(2026, 3, 29, 1, 0, tzinfo=UTC) + number * EVERY for number in range(AHEAD + 1)]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_job_that_somebody_put_into_redis_is_not_run(site, redis_server):
    client = redis_server.client()
    queue = Queue("aiguard", connection=client, serializer=JSONSerializer)
    marks = [site.folder / f"mark{number}" for number in range(6)]
    commands = [f"touch {mark}" for mark in marks]
    pickled = Queue("aiguard", connection=client).enqueue("os.system", commands[5])
    jobs = [
        queue.enqueue("os.system", commands[0]),
        queue.enqueue("aiguard.jobs.tick", clock=commands[1]),
        queue.enqueue("subprocess.getoutput", commands[2]),
        pickled,
    ]
    called = queue.enqueue("aiguard.jobs.tick")
    client.hset(called.key, mapping={"success_callback_name": "os.system", "failure_callback_name": "os.system"})
    client.hset(called.key, "webhooks", json.dumps([{"url": "http://127.0.0.1:9/", "job_status": "finished", "method": "GET",
                                                     "headers": None, "timeout": 1}]))  # fmt: skip
    site.worker("--job-class", "aiguard.jobs.RetentionJob")
    site.until(lambda: Job.fetch(called.id, client, serializer=JSONSerializer).get_status() == "finished")
    assert {job.get_status() for job in jobs} == {"failed"}
    assert not [mark for mark in marks if mark.exists()]
    assert "JobRefused" in site.log()
    assert "webhook" not in site.log()


def test_a_refused_job_names_no_argument(redis_server, redis_url):
    queue = retention_queue(redis_server.client())
    job = queue.enqueue("os.system", "rm jane@example.org")
    with pytest.raises(Exception, match="not a tick") as caught:
        _ = RetentionJob.fetch(job.id, redis_server.client(), serializer=JSONSerializer).func
    assert "jane" not in str(caught.value)


def test_a_tick_whose_job_fails_is_a_failed_job_and_the_next_ticks_stand(site, redis_server):
    keep_many(site.engine, expired=1200, staying=10)
    site.command("jobs", "start")
    site.worker("--job-class", "aiguard.jobs.RetentionJob")
    client = redis_server.client()
    site.until(lambda: client.zcard("rq:failed:aiguard") >= 1)
    assert "TooMuchIsDue" in site.command("retention", "runs", "--job", "prune", "--json")
    # A new slot may have begun meanwhile: then one more tick ran, and one more was scheduled.
    gone = client.zcard("rq:failed:aiguard") + client.zcard("rq:wip:aiguard") + client.llen("rq:queue:aiguard")
    assert client.zcard("rq:scheduled:aiguard") >= AHEAD - 1 - gone
    assert site.one(DUE) == 1200


def test_worker_scheduler_and_database_are_killed_in_the_middle_and_the_ledger_and_the_log_are_right(tmp_path):
    postgres, redis = PostgresServer(), RedisServer()
    site = Site(tmp_path, postgres.url, redis.url)
    try:
        keep_many(site.engine, expired=40_000, staying=45_000)
        site.command("jobs", "start")
        site.worker("--job-class", "aiguard.jobs.RetentionJob")
        site.until(lambda: site.one(BATCHES) >= 1)
        site.end(site.processes[0])  # the worker, its scheduler and its work horse
        told = site.one(BATCHES)
        assert site.one(DUE) > 0

        def the_lease_is_over() -> None:
            with site.engine.begin() as connection:
                connection.execute(text("UPDATE aiguard_job_runs SET lease_until = now() WHERE state = 'running'"))
            client = redis.client()
            client.flushall()  # and Redis has lost everything, too
            site.command("jobs", "start")

        the_lease_is_over()
        site.worker("--job-class", "aiguard.jobs.RetentionJob")
        site.worker("--job-class", "aiguard.jobs.RetentionJob")
        site.until(lambda: site.one(BATCHES) >= told + 1)
        postgres.kill()
        site.engine.dispose()
        postgres.restart()
        assert site.one(DUE) > 0

        the_lease_is_over()
        site.until(lambda: site.one(DUE) == 0)
        site.until(lambda: site.one(OPEN) == 0)
        assert site.one("SELECT count(*) FROM aiguard_artifacts") == 45_000
        counts = [event.payload["count"] for event in events(site, "store.pruned")]
        planted = site.one("SELECT count(*) FROM aiguard_job_runs WHERE job = 'prune'")
        attempts = site.one("SELECT sum(attempts) FROM aiguard_job_runs WHERE job = 'prune'")
        assert planted == 1
        assert 2 <= attempts <= 5
        assert 40_000 + 1 <= sum(counts) <= 40_000 + attempts  # each attempt plants a canary
        assert verify(site.engine, [], origin="", now=datetime.now(UTC)).status is not Status.TAMPERED
        r.assert_log_is_whole(site.engine)
    finally:
        site.close()
        redis.close()
        postgres.close()


def events(site: Site, type: str) -> list[audit.Event]:
    return [event for event in audit.tail(site.engine, MasterKeyRing([KEY]), 10_000) if event.type == type]
