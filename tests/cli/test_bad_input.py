"""What stands against a command is said in one block: what, why and what to do. Nothing is half-deleted, and no trace back is printed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import text
from tests.cli.test_retention_commands import POLICY, RULE, expired, keep, left, run, state
from tests.support import records as r

from aiguard import audit, open_guard
from aiguard.settings import Settings
from aiguard.types import utc_now

__all__ = ["keep", "state"]

DAY = timedelta(days=1)
PLACING = "hold place --matter m --custodian c --review 9d --subject tom --by ann"
WRITING = ("prune --apply", "run-due", "subject erase jane --yes", PLACING, "keys rewrap")


@pytest.fixture
def filled(keep):
    """Three artifacts about Jane whose time is over, and thirty about Tom."""
    keep(*expired(3, **keep.names("jane")))
    keep(*(r.artifact(expires_at=utc_now() + 9 * DAY, **keep.names("tom")) for _ in range(30)))
    open_guard(Settings.load()).close()  # from here on the data knows its key store
    return keep


def told(keep):
    return sum(
        each.payload["count"] for each in audit.tail(keep.engine, keep.people, 1_000) if each.type == "store.pruned"
    )


def one_block(result):
    """What a refused command said, in one line."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("rule", "where", "why"),
    [
        ('[retention.prompt]\nduration = "0d"\n', "aiguard.toml:2", "must be longer than nothing"),
        ('[retention.prompt]\nduration = "-3d"\n', "aiguard.toml:2", "write a duration as"),
        ('[retention.prompt]\nduration = "30d"\nfloor = "60d"\ncap = "9d"\n', "aiguard.toml:1", "cap"),
        ('[retention.promt]\nduration = "30d"\n', "aiguard.toml:1", 'did you mean "prompt"'),
        (
            '[retention]\noverrides = [{ data_class = "promt", duration = "3d", basis = "x", mechanism = "delete", owner = "y" }]\n',
            "aiguard.toml:2",
            "must be 'prompt'",
        ),
    ],
)
@pytest.mark.parametrize("command", ["prune", "prune --apply", "run-due", "retention matrix"])
def test_rules_that_cannot_be_meant_delete_nothing(filled, state, rule, where, why, command):
    (state / "aiguard.toml").write_text(rule + RULE if "overrides" not in rule else rule)
    said = one_block(run(*command.split(), code=1))
    assert where in said
    assert why in said
    assert (left(filled), told(filled)) == (33, 0)


@pytest.mark.parametrize("command", WRITING)
def test_a_database_that_can_only_be_read_is_said_and_nothing_changes(filled, state, command, monkeypatch):
    run("keys", "rotate")
    filled.close()
    monkeypatch.setenv("AIGUARD_DATABASE_URL", f"sqlite:///file:{state}/.aiguard/aiguard.db?mode=ro&uri=true")
    said = one_block(run(*command.split(), code=1))
    assert "it is read-only; make the file and its directory writable" in said
    assert (left(filled), told(filled)) == (33, 0)


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
room = int(sys.argv[1])
sys.argv = ["aiguard", *sys.argv[2:]]
from aiguard.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
@pytest.mark.parametrize(
    "command",
    ["prune --apply", "run-due", "subject erase jane --yes", "keys rewrap", "subject export jane --out out.json"],
)
def test_a_disk_that_is_full_is_said_wherever_it_is_met(filled, state, command):
    if command == "keys rewrap":
        run("keys", "rotate")
    filled.close()
    failed = 0
    for room in (0, 20_000, 60_000):
        arguments = [sys.executable, "-c", FULL, str(room), *command.split()]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ))
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode in (0, 1), done.stderr
        if done.returncode == 0:
            break
        failed += 1
        said = ("check the disk", "no room", "too large", "aiguard subject erasures")
        assert any(each in done.stderr for each in said), done.stderr
        assert not (state / "out.json").exists()
        if command == "prune --apply":
            assert left(filled) == 33 - told(filled)
        assert left(filled) >= 30
        filled.engine.dispose()
    assert failed
    r.assert_log_is_whole(filled.engine)
    run("run-due")
    assert left(filled) == 30


def test_a_clock_that_was_set_back_is_said_and_deletes_nothing(filled, monkeypatch):
    run("run-due")
    filled(*expired(5))
    filled(r.event(at=utc_now()))
    back = utc_now() - 365 * DAY
    monkeypatch.setattr("aiguard.cli.run_due.utc_now", lambda: back)
    said = one_block(run("run-due", code=1))
    assert "clock is" in said
    assert "behind what was recorded last" in said
    assert left(filled) == 35


@pytest.mark.parametrize("command", [*WRITING, "subject export tom --out x.json", "prune", "explain agd_1"])
@pytest.mark.parametrize("keys", ["wrong", "none"])
def test_without_the_right_master_keys_nothing_is_deleted_or_made(filled, state, command, keys, monkeypatch):
    filled.close()
    if keys == "wrong":
        monkeypatch.setenv("AIGUARD_KEYS", base64.b64encode(b"w" * 32).decode())
    else:
        monkeypatch.setenv("AIGUARD_ENVIRONMENT", "production")
        monkeypatch.setenv("AIGUARD_DATABASE_URL", f"sqlite:///{state}/.aiguard/aiguard.db")
    there = r.scalars(filled.engine, "SELECT count(*) FROM aiguard_data_keys")
    said = one_block(run(*command.split(), code=1))
    assert "AIGUARD_KEYS" in said
    assert ("keys list" if keys == "wrong" else "openssl rand") in said
    assert left(filled) == 33
    assert r.scalars(filled.engine, "SELECT count(*) FROM aiguard_data_keys") == there
    assert not (state / "x.json").exists()


def test_what_cannot_be_read_any_more_is_counted_in_an_export_and_goes_with_its_person(filled, state):
    with filled.engine.begin() as connection:
        connection.execute(text("UPDATE aiguard_artifacts SET content = substr(content, 1, 20) WHERE rowid = 5"))
        moved = "SELECT subject FROM aiguard_artifacts WHERE rowid = 1"
        connection.execute(text(f"UPDATE aiguard_artifacts SET subject = ({moved}) WHERE rowid = 10"))
    for id, whole, broken in (("tom", 28, 1), ("jane", 3, 1)):
        said = one_block(run("subject", "export", id, "--out", f"{id}.json", code=1))
        assert "1 of the artifacts and tokens cannot be read" in said
        kept = json.loads((state / f"{id}.json").read_text())["artifacts"]
        assert sum(each["content"] is not None for each in kept) == whole
        assert [each["content"] for each in kept if "unreadable" in each] == [None] * broken
    (state / "aiguard.toml").write_text(POLICY.replace('"30d"', '"300d"'))
    run("run-due")
    run("subject", "erase", "tom", "--yes")
    assert left(filled) == 1  # what was moved to Jane is hers by what the row says, and opens for nobody
    run("subject", "erase", "jane", "--yes")
    assert left(filled) == 0


def test_an_export_that_finds_no_room_leaves_no_part_of_it(filled, state, monkeypatch):
    def full(*_, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aiguard.cli.subject.os.fdopen", full)
    said = one_block(run("subject", "export", "tom", "--out", "tom.json", code=1))
    assert "No space left on device" in said
    assert not (state / "tom.json").exists()
