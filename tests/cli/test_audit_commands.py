from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from tests.support import records as r

from aiguard import audit, store
from aiguard.cli import main
from aiguard.db import Writer, make_engine, upgrade, writing
from aiguard.store import MasterKeyRing, load_or_create_key_file


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [*arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def log(tmp_path, monkeypatch):
    """A development database with 20 events, in a directory of its own."""
    for name in list(os.environ):
        if name.startswith("AIGUARD_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "development")
    monkeypatch.chdir(tmp_path)
    engine = make_engine("sqlite:///.aiguard/aiguard.db")
    upgrade(engine)
    writer = Writer(
        engine, MasterKeyRing(load_or_create_key_file(".aiguard/master.key")), {**audit.MAPPERS, **store.MAPPERS}
    )
    writer.commit([r.event(payload={"count": n}) for n in range(18)]).result(60)
    writer.commit([r.event(type="access.denied"), r.event(type="access.allowed")]).result(60)
    writer.close()
    yield engine
    engine.dispose()


def change(engine, statement):
    with writing(engine) as connection:
        for name in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text(statement))


def test_a_log_goes_from_incomplete_to_whole_and_a_change_ends_with_an_exit_code_of_its_own(log):
    assert "has no checkpoint" in run("audit", "verify", code=4).output
    note = run("audit", "checkpoint").output
    assert note.startswith("localhost/aiguard\n20\n")
    assert run("audit", "checkpoint", "--show").output == note
    assert "the log holds" in run("audit", "verify", "--payloads").output
    change(log, "UPDATE aiguard_audit_events SET resource = 'other' WHERE seq = 7")
    report = json.loads(run("audit", "verify", "--json", code=3).output)
    assert report["status"] == "tampered"
    assert report["problems"] == [
        {"check": "copy", "seq": 7, "detail": "an event's columns do not say what its leaf says"}
    ]


def test_a_log_that_nobody_signs_any_more_is_stale(log):
    run("audit", "checkpoint")
    keyring = MasterKeyRing(load_or_create_key_file(".aiguard/master.key"))
    writer = Writer(log, keyring, {**audit.MAPPERS, **store.MAPPERS})
    writer.commit([r.event(at=r.NOW)]).result(60)
    writer.close()
    assert "is the signer running?" in run("audit", "verify", code=5).output


def test_a_proof_is_checked_without_the_database(log, tmp_path, monkeypatch):
    with log.connect() as connection:
        event = connection.execute(text("SELECT id FROM aiguard_audit_events WHERE seq = 4")).scalar_one()
    assert "No checkpoint covers" in run("audit", "prove", event, code=1).output
    run("audit", "checkpoint")
    proof = json.loads(run("audit", "prove", event).output)
    assert proof == json.loads(run("audit", "prove", "4").output)
    file, forged = tmp_path / "proof.json", tmp_path / "forged.json"
    file.write_text(json.dumps(proof), encoding="utf-8")
    forged.write_text(json.dumps({**proof, "leaf": proof["leaf"].replace("decided", "blocked")}), encoding="utf-8")
    (tmp_path / ".aiguard" / "aiguard.db").unlink()
    assert json.loads(run("audit", "verify-proof", str(file)).output)["event_id"] == event
    assert "was changed" in run("audit", "verify-proof", str(forged), code=3).output
    (tmp_path / "nonsense").write_bytes(b"[" * 100_000)
    assert "not a proof" in run("audit", "verify-proof", str(tmp_path / "nonsense"), code=3).output


def test_an_auditor_needs_only_the_public_key(log, tmp_path):
    made = run("audit", "keygen", "example.com/log", "--output", "log.key")
    public = made.stderr.removeprefix("public key: ").strip()
    assert stat.S_IMODE(Path("log.key").stat().st_mode) == 0o600
    assert "never written over" in run("audit", "keygen", "example.com/log", "--output", "log.key", code=1).output
    os.environ["AIGUARD_AUDIT_SIGNING_KEY_FILE"] = "log.key"
    try:
        run("audit", "checkpoint")
    finally:
        del os.environ["AIGUARD_AUDIT_SIGNING_KEY_FILE"]
    run("audit", "verify", "--key", public)
    (tmp_path / "keys.txt").write_text(public, encoding="utf-8")
    run("audit", "verify", "--key", "keys.txt")
    assert "another log" in run("audit", "verify", code=3).output


def test_an_anchored_checkpoint_convicts_a_log_that_was_rolled_back(log, tmp_path, monkeypatch):
    anchors = tmp_path / "anchors"
    anchors.mkdir()
    monkeypatch.setenv("AIGUARD_AUDIT_ANCHOR_DIRECTORY", str(anchors))
    monkeypatch.setenv("AIGUARD_AUDIT_ANCHOR_COMMAND", f"tee -a '{tmp_path / 'notes by command'}'")
    note = run("audit", "checkpoint").output
    assert [(path.name, path.read_text(encoding="utf-8")) for path in anchors.iterdir()] == [
        ("000000000020.note", note)
    ]
    assert (tmp_path / "notes by command").read_text(encoding="utf-8") == note
    change(log, "DELETE FROM aiguard_audit_payloads WHERE seq >= 15")
    change(log, "DELETE FROM aiguard_audit_events WHERE seq >= 15")
    change(log, "UPDATE aiguard_audit_logs SET size = 15")
    change(log, "DELETE FROM aiguard_audit_checkpoints")
    run("audit", "verify", code=4)
    assert "rolled back" in run("audit", "verify", "--from", str(anchors), code=3).output


def test_an_anchor_that_fails_is_told_and_the_log_is_signed_all_the_same(log, monkeypatch):
    monkeypatch.setenv("AIGUARD_AUDIT_ANCHOR_COMMAND", "false")
    assert "exit code 1" in run("audit", "checkpoint", code=1).output
    run("audit", "verify")
    monkeypatch.setenv("AIGUARD_AUDIT_ANCHOR_COMMAND", "'unclosed")
    assert "AIGUARD_AUDIT_ANCHOR_COMMAND" in run("audit", "checkpoint", code=1).output


def test_events_are_found_counted_and_exported(log):
    lines = run("audit", "search", "--type", "access.*", "--json").output.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["access.denied", "access.allowed"]
    assert run("audit", "search", "--until", "2000-01-01").output == ""
    counted = json.loads(run("audit", "stats", "--json").output)
    assert counted == {
        "events": 20,
        "signed": 0,
        "types": {"access.allowed": 1, "access.denied": 1, "exchange.decided": 18},
    }
    for reason in ([], ["--reason", "ticket 7"]):
        exported = [json.loads(line) for line in run("audit", "export", "--from", "3", *reason).output.splitlines()]
        assert [line["seq"] for line in exported] == list(range(3, 20))
        assert json.loads(exported[0]["leaf"])["type"] == "exchange.decided"
        assert exported[0].get("payload") == ({"count": 3} if reason else None)
    assert run("audit", "export", "--from", "1000").output == ""


def told(engine):
    keyring = MasterKeyRing(load_or_create_key_file(".aiguard/master.key"))
    return [(each.type, dict(each.payload)) for each in audit.tail(engine, keyring, 1000)][20:]


def test_what_events_say_is_shown_with_a_reason_that_goes_on_record_first(log):
    assert (
        run("audit", "search", "--actor", "jane@example.org", "--type", "access.*", "--reason", "ticket 7").output == ""
    )
    run("audit", "search", "--actor", r.ACTOR, "--since", "2020-01-01", "-n", "2", "--reason", "ticket 8")
    shown = [
        json.loads(line)
        for line in run("audit", "tail", "--json", "-n", "3", "--reason", "matter 9").output.splitlines()
    ]
    run("audit", "export", "--from", "15", "--reason", "the yearly audit")
    run("audit", "export", "--from", "1000", "--reason", "ticket 10")
    assert [each["payload"].get("note") for each in shown] == [None, "ticket 7", "ticket 8"]
    assert told(log) == [
        ("log.read", {"how": "search", "events": 0, "wanted": {"actor": "given", "types": ["access.*"], "limit": 100}, "note": "ticket 7"}),
        (
            "log.read",
            {
                "how": "search", "events": 2, "first": 18, "last": 19, "note": "ticket 8",
                "wanted": {"actor": f"pseudonym:{r.ACTOR}", "since": "2020-01-01T00:00:00+00:00", "limit": 2},
            },
        ),
        ("log.read", {"how": "tail", "events": 3, "first": 19, "last": 21, "wanted": {"limit": 3}, "note": "matter 9"}),
        ("log.read", {"how": "export", "events": 8, "first": 15, "last": 22, "wanted": {"start": 15}, "note": "the yearly audit"}),
        ("log.read", {"how": "export", "events": 0, "wanted": {"start": 1000}, "note": "ticket 10"}),
    ]  # fmt: skip
    run("audit", "checkpoint")
    run("audit", "verify", "--payloads")


@pytest.mark.parametrize("command", ["tail", "search", "export"])
def test_without_a_reason_no_payload_is_opened_and_nothing_is_recorded(log, command):
    for line in run("audit", command, *([] if command == "export" else ["--json"])).output.splitlines():
        assert "payload" not in json.loads(line)
    run("audit", command, "--reason", " ", code=2)
    assert "is not an identifier" in run("audit", command, "--reason", "for jane@example.org", code=1).output
    assert told(log) == []


@pytest.mark.parametrize("command", ["tail", "search", "export"])
def test_a_database_that_cannot_be_written_is_verified_and_read_but_shows_no_payload(log, command, monkeypatch):
    run("audit", "checkpoint")
    log.dispose()
    monkeypatch.setenv("AIGUARD_DATABASE_URL", "sqlite:///file:.aiguard/aiguard.db?mode=ro&uri=true")
    run("audit", "verify", "--payloads")
    assert len(run("audit", command).output.splitlines()) == 20
    refused = run("audit", command, "--reason", "ticket 7", code=1)
    assert refused.stdout == ""
    assert "could not be put on record" in refused.stderr
    assert "read-only" in refused.stderr


def test_old_events_expire_under_the_signing_key_and_the_log_still_verifies(log, tmp_path, monkeypatch):
    (tmp_path / "old").mkdir()
    monkeypatch.chdir(tmp_path / "old")
    engine = make_engine("sqlite:///.aiguard/aiguard.db")
    upgrade(engine)
    keyring = MasterKeyRing(load_or_create_key_file(".aiguard/master.key"))
    writer = Writer(engine, keyring, {**audit.MAPPERS, **store.MAPPERS})
    writer.commit([r.event(at=datetime.now(UTC) - timedelta(days=500)) for _ in range(300)]).result(60)
    writer.close()
    engine.dispose()
    run("audit", "checkpoint")
    assert "--older-than" in run("audit", "expire", "--older-than", "soon", code=2).output
    assert "0 events" in run("audit", "expire", "--older-than", "501d").output
    assert (
        "256 events, those before position 256, would expire" in run("audit", "expire", "--older-than", "400d").output
    )
    assert json.loads(run("audit", "expire", "--older-than", "400d", "--apply", "--json").output) == {
        "applied": True, "events": 256, "first": 0, "cut": 256,
    }  # fmt: skip
    report = json.loads(run("audit", "verify", "--payloads", "--json").output)
    assert (report["status"], report["events"], report["expired"]) == ("ok", 301, 256)
