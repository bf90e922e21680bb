"""The demo, end to end, as a stranger runs it; and that its verdict can be "no"."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from examples.evidence import HERE
from examples.processes import ChildFailed, Children, clean_environment

from aiguard.cli.demo import demo, find_examples
from examples import report

ROOT = HERE.parent


def test_the_demo_proves_that_nothing_leaked() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "aiguard", "demo", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert result["leaks"] == 0
    assert result["failures"] == []
    assert result["requests"] >= 300
    assert result["blocked"] > 0
    assert result["redacted"] > 500
    assert result["overhead_ms_p50"] <= result["overhead_ms_p99"] + result["unguarded_ms_p50"]
    assert all(control["found"] == control["expected"] > 0 for control in result["controls"].values())
    assert result["leaks"] == 0 < min(result["searched_bytes"].values())
    text = "\n".join(report.lines(result))
    assert "nothing that policy protects got out" in text
    failed = "\n".join(report.lines({**result, "failures": ["LEAK: 1 x SECRET in logs"], "leaks": 1}))
    assert "FAILED" in failed
    assert "LEAK: 1 x SECRET in logs" in failed


def test_the_examples_are_found_from_below_and_not_from_elsewhere(tmp_path: Path) -> None:
    assert find_examples(tmp_path, HERE / "flask_app" / "static") == ROOT
    assert find_examples(tmp_path) is None


def test_without_the_source_tree_the_command_says_where_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("aiguard.cli.demo.find_examples", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(demo, [])
    assert done.exit_code == 1
    assert "Clone the repository" in done.output


def test_children_get_nobodys_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "real")
    monkeypatch.setenv("AIGUARD_KEYS", "real")
    assert "real" not in clean_environment({"AIGUARD_POLICY": "x"}).values()


def test_a_child_that_fails_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with Children() as children, pytest.raises(ChildFailed, match="unrecognized arguments"):
        children.start("model", "examples.model_server", "--no-such-option", env={}, log=tmp_path / "log")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_children_end_when_the_demo_is_told_to_stop(number: signal.Signals, tmp_path: Path) -> None:
    script = (
        "import signal, sys, time; from pathlib import Path; from examples.processes import Children\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it, and so do its children
        "with Children() as children:\n"
        "    print(children.start('m', 'examples.model_server', '--port=0', env={}, log=Path(sys.argv[1])), flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "log")]
    parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        address = parent.stdout.readline().strip()
    os.kill(parent.pid, number)
    parent.wait(15)
    deadline = time.monotonic() + 5
    while _listens(address) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _listens(address)


def _listens(address: str) -> bool:
    import socket
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((parts.hostname or "", parts.port or 0)) == 0
