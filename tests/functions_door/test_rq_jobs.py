"""Guarded functions as jobs of real RQ workers, which are handed JSON and call them by name."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

ROOT = Path(__file__).parents[2]
JOBS = "tests.functions_door.desk_jobs"
MAIL = "jane@example.org"


ASKED = ("reply_later", "mira", "c-17", f"write to {MAIL}")
REFUSED = {
    ("reply_later", "noor", "c-17", f"write to {MAIL}"): "AccessDenied",
    ("reply_later", "nobody", "c-17", f"write to {MAIL}"): "NotAuthenticated",
}
HERE = ("anybody_here",)


@pytest.mark.parametrize(
    ("worker", "work"),
    [("Worker", [ASKED, *REFUSED][:2]), ("SimpleWorker", [ASKED, HERE, *REFUSED, HERE])],
    ids=["each in a process of its own", "all in one process"],
)
def test_a_job_acts_for_whom_its_arguments_name_and_leaves_nobody_behind(
    worker: str, work: list[tuple[str, ...]], redis_url: str, tmp_path: Path
) -> None:
    url = redis_url.replace("redis+unix://", "unix://")
    with contextlib.closing(Redis.from_url(url)) as redis:
        queue = Queue("desk", connection=redis, serializer=JSONSerializer)
        jobs = [queue.enqueue(f"{JOBS}.{name}", *arguments) for name, *arguments in work]
        done = subprocess.run(
            [
                *(str(Path(sys.executable).parent / "rq"), "worker", "desk", "--url", url, "--burst"),
                *("--serializer", "json", "--worker-class", f"rq.worker.{worker}"),
            ],
            cwd=tmp_path,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("AIGUARD_")},
                "AIGUARD_ENVIRONMENT": "test",
                "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        results = dict(zip(work, [job.latest_result() for job in jobs], strict=True))
    for job, result in results.items():
        assert result is not None
        if job in REFUSED:
            assert result.exc_string is not None
            assert f"aiguard.errors.{REFUSED[job]}: " in result.exc_string
            assert "agd_" in result.exc_string
            assert MAIL not in result.exc_string
        elif job == ASKED:
            assert result.return_value is not None
            asked, answer, *who = result.return_value
            assert MAIL not in asked
            assert answer == f"re: write to {MAIL}"
            assert who == ["mira", "c-17", "c-17"]
        else:
            assert result.return_value is False
    with contextlib.closing(sqlite3.connect(tmp_path / ".aiguard" / "aiguard.db")) as log:
        types = Counter(type for (type,) in log.execute("SELECT type FROM aiguard_audit_events"))
    assert types["access.allowed"] == types["exchange.completed"] == 1
    assert types["access.denied"] == sum(job in REFUSED for job in work)
