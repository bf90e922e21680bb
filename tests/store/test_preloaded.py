"""Two workers of gunicorn that were forked from a process with an open conversation, running threads and open connections."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support import records as r
from tests.web.test_servers import free_port

from aiguard.retention.duties import CANARY

ROOT = Path(__file__).parents[2]


def test_workers_that_were_forked_in_a_conversation_go_on_with_it_and_write_one_log(engine, database_url, tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "tests.store.preloaded:application", "--preload", "--workers", "2"]
    command += ["-b", f"127.0.0.1:{port}", "--log-level", "warning", "--no-control-socket"]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIGUARD_")},
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        "AIGUARD_ENVIRONMENT": "test",
        "AIGUARD_DATABASE_URL": database_url,
        "AIGUARD_KEY_FILE": str(tmp_path / "key"),
        "AIGUARD_RUN_DUE_SECONDS": "1",
    }
    with (tmp_path / "errors").open("wb") as errors:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=errors)

    def ask(_: int) -> dict[str, object]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as reply:
            said: dict[str, object] = json.loads(reply.read())
            return said

    answers: list[dict[str, object]] = []
    deadline = time.monotonic() + 90
    try:
        while len({each["worker"] for each in answers}) < 2 or len(answers) < 40:
            assert process.poll() is None, (tmp_path / "errors").read_text(encoding="utf-8")
            assert time.monotonic() < deadline, "both workers answer"
            try:
                with ThreadPoolExecutor(8) as pool:
                    answers += pool.map(ask, range(8))
            except OSError:  # it does not listen yet
                time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(30)
    (before,) = {each["before"] for each in answers}
    assert str(before).startswith("Write to [EMAIL_")
    assert {each["sent"] for each in answers} == {before}  # one token, in the process before and in both workers
    assert {each["restored"] for each in answers} == {"Done: Write to bo@example.org"}
    exchanges = r.scalars(engine, "SELECT count(*) FROM aiguard_audit_events WHERE type = 'exchange.completed'")[0]
    assert exchanges >= len(answers) + 1
    kept = f"SELECT count(*) FROM aiguard_artifacts WHERE feature <> '{CANARY}'"  # a run of the ticker's may have been cut off
    assert r.scalars(engine, kept) == [2 * exchanges]
    assert r.scalars(engine, "SELECT count(*) FROM aiguard_vault") == [1]
    r.assert_log_is_whole(engine)
