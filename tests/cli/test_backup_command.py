from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import threading

import pytest
from tests.support.commands import guard_here, run, state, talk
from tests.support.guards import JANE, POLICY

from aiguard import Actor, backups, open_guard, retention
from aiguard.db import make_engine
from aiguard.detect import known_types
from aiguard.errors import StoreError
from aiguard.policy import parse_policy
from aiguard.settings import Settings
from aiguard.types import utc_now

SAID = "Where is the order for the blue kettle?"
SENT = f"{SAID} jane.roe@example.org"


def checked(path, code=0):
    return json.loads(run("db", "restore-check", path, "--json", code=code).stdout)


__all__ = ["state"]


@pytest.fixture
def guard(state):
    guard = guard_here()
    yield guard
    guard.close()


def erase(guard):
    engine = make_engine(guard.settings.database_url)
    person = retention.find_person(guard.keys, JANE.id, tenant=JANE.tenant)
    retention.erase(engine, guard.keys, person, requested_by="dpo", now=utc_now())
    engine.dispose()


def test_a_backup_of_the_data_is_private_whole_and_without_keys_while_others_write(guard, state):
    talk(guard, SENT)
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            talk(guard, SENT)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        made = json.loads(run("db", "backup", "b.db", "--json").stdout)
    finally:
        stop.set()
        thread.join(30)
    assert stat.S_IMODE((state / "b.db").stat().st_mode) == 0o600
    assert sorted(path.name for path in state.iterdir() if path.name.startswith((".b", "b"))) == ["b.db"]
    with sqlite3.connect("b.db") as copy:
        assert copy.execute("SELECT count(*) FROM aiguard_data_keys").fetchone() == (0,)
        assert copy.execute("SELECT count(*) FROM aiguard_artifacts").fetchone() == (made["rows"],)
    copy.close()
    found = checked("b.db")
    assert found["ok"]
    assert found["opened"] == found["rows"] > 0
    assert "store.backed_up" in run("audit", "tail", "-n", "200", "--json").stdout


def test_after_an_erasure_no_older_backup_of_the_data_opens_for_anybody(guard, state):
    talk(guard, SENT)
    run("db", "backup", "b.db")
    run("db", "backup", "k.db", "--part", "keys")
    erase(guard)
    found = checked("b.db")
    assert (found["ok"], found["opened"], found["erased"]) == (True, 0, found["rows"])
    assert SAID.encode() not in (state / "b.db").read_bytes()
    assert "bring erased people back" in run("db", "restore-check", "k.db", code=1).output


def test_restored_data_and_keys_work_again(guard, state, monkeypatch):
    talk(guard, SENT)
    run("db", "backup", "b.db")
    run("db", "backup", "k.db", "--part", "keys")
    guard.close()
    shutil.rmtree(state / "data")
    (state / "data").mkdir()
    shutil.copy("b.db", "data/aiguard.db")
    monkeypatch.setenv("AIGUARD_KEY_STORE_URL", f"sqlite:///{state}/k.db")
    assert checked("b.db")["ok"]
    again = open_guard(Settings.load(), policy=parse_policy(POLICY, "test policy", known_types()))
    reader = Actor(id="rita", tenant="acme", scopes=frozenset({"artifact:read:prompt"}))
    read = again.artifacts.read(reader, "OPS-17", subject="jane", data_class="prompt")
    assert SAID in read[0].content
    talk(again, SENT)
    again.close()


def test_a_backup_that_belongs_with_another_key_store_is_not_said_to_open_for_nobody(guard, state, monkeypatch):
    talk(guard, SENT)
    run("db", "backup", "b.db")
    run("db", "backup", "k.db", "--part", "keys")
    monkeypatch.setenv("AIGUARD_DATABASE_URL", f"sqlite:///{state}/other.db")
    guard_here().close()
    assert "another key store" in run("db", "restore-check", "b.db", code=1).output
    assert "another key store" in run("db", "restore-check", "k.db", code=1).output


def test_a_backup_never_replaces_a_file(guard, state):
    (state / "b.db").write_text("precious")
    assert "already" in run("db", "backup", "b.db", code=1).output
    assert (state / "b.db").read_text() == "precious"


def test_a_folder_that_is_not_there_leaves_nothing_behind(guard, state):
    assert "folder" in run("db", "backup", "no/b.db", code=1).output


def damaged(path):
    data = bytearray(path.read_bytes())
    for place in range(8192, len(data), 4096):
        data[place : place + 64] = b"\xff" * 64
    path.write_bytes(data)


def altered(path):
    with sqlite3.connect(path) as copy:
        copy.execute("UPDATE aiguard_artifacts SET owner = 'me'")
    copy.close()


def shortened(path):
    with sqlite3.connect(path) as copy:
        for name in ("aiguard_audit_events", "aiguard_audit_payloads"):
            for (trigger,) in copy.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (name,)
            ):
                copy.execute(f"DROP TRIGGER {trigger}")
        copy.execute("DELETE FROM aiguard_audit_payloads WHERE seq = (SELECT max(seq) FROM aiguard_audit_events)")
        copy.execute("DELETE FROM aiguard_audit_events WHERE seq = (SELECT max(seq) FROM aiguard_audit_events)")
    copy.close()


@pytest.mark.parametrize("harm", [damaged, altered, shortened])
def test_what_is_wrong_with_a_backup_is_said(guard, state, harm):
    talk(guard, SENT)
    run("db", "backup", "b.db")
    harm(state / "b.db")
    found = checked("b.db", code=1)
    assert found["problems"]


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_what_is_no_backup_is_refused(guard, state, content):
    (state / "b.db").write_bytes(content)
    run("db", "restore-check", "b.db", code=1)
    run("db", "restore-check", "missing.db", code=1)


def test_a_wrong_key_is_said(guard, state, monkeypatch):
    talk(guard, SENT)
    run("db", "backup", "b.db")
    guard.close()
    (state / ".aiguard/master.key").unlink()
    assert checked("b.db", code=1)["problems"]


def test_a_folder_may_have_any_name(guard, state):
    talk(guard, SENT)
    odd = state / "50%41 #1?"
    odd.mkdir()
    made = json.loads(run("db", "backup", f"{odd}/b.db", "--json").stdout)
    assert made["rows"] > 0
    assert checked(f"{odd}/b.db")["ok"]
    shutil.copy(f"{odd}/b.db", odd / "live.db")
    assert backups._copy(odd / "live.db", state / "copy.db", "data") == made["rows"]


def test_a_backup_that_cannot_be_put_on_record_does_not_stay(guard, state, monkeypatch):
    talk(guard, SENT)

    def refuse(*_):
        raise StoreError("the log does not take it")

    monkeypatch.setattr(backups, "append", refuse)
    assert "does not take it" in run("db", "backup", "b.db", code=1).output
    assert not (state / "b.db").exists()
