"""How commands about the log end when something is wrong: an exit code that docs/audit.md names, and a message that says which thing."""

from __future__ import annotations

import base64
import json
import shutil
from datetime import timedelta
from hashlib import sha256

import pytest
from tests.cli.test_audit_commands import change, log, run
from tests.support import records as r

from aiguard import audit
from aiguard.audit.keeper import signers_of
from aiguard.audit.note import make_signer
from aiguard.audit.signing import sign_head
from aiguard.audit.tables import AuditLog, append
from aiguard.db import Writer, make_engine, writing
from aiguard.db.mapping import Sealing
from aiguard.settings import Settings
from aiguard.store import MasterKeyRing, load_or_create_key_file
from aiguard.types import utc_now

__all__ = ["log"]
STRANGER = make_signer("localhost/aiguard", b"z" * 32)


def grow(engine, count=1, **fields):
    keyring = MasterKeyRing(load_or_create_key_file(".aiguard/master.key"))
    writer = Writer(engine, keyring, audit.MAPPERS, timeout=20)
    writer.commit([r.event(**fields) for _ in range(count)]).result(60)
    writer.close()


def one_problem(*arguments, code, part="problems"):
    said = json.loads(run("audit", "verify", "--json", *arguments, code=code).output)
    return [(each["check"], each["seq"]) for each in said[part]], said


def test_a_clock_that_has_jumped_is_stale(log):
    run("audit", "checkpoint")
    grow(log, at=utc_now() + timedelta(days=2))
    found, said = one_problem(code=5, part="late")
    assert (found, said["status"]) == ([("clock", 20)], "stale")
    assert "one of the two clocks has jumped" in said["late"][0]["detail"]


def test_a_wrong_public_key_is_tampered_and_names_the_key_that_signed(log):
    run("audit", "checkpoint")
    grow(log)
    run("audit", "checkpoint")
    found, said = one_problem("--key", str(STRANGER.verifier), code=3)
    signed = base64.b64decode(run("audit", "checkpoint", "--show").output.split()[-1])[:4].hex()
    assert found == [("signer", None)]
    assert f"all 2 were signed by key {signed}" in said["problems"][0]["detail"]
    assert f"the public key given ({STRANGER.verifier.id.hex()})" in said["problems"][0]["detail"]
    assert "cannot be read" in run("audit", "verify", "--key", "localhost/aiguard+00000000+AA==", code=1).output


def test_a_log_that_somebody_signed_anew_is_no_better_than_a_wrong_key_and_worse_beside_one_good_checkpoint(
    log, tmp_path
):
    first = run("audit", "checkpoint").output
    right = str(signers_of(Settings.load())[0].verifier)
    (tmp_path / "kept.note").write_text(first, encoding="utf-8")
    change(log, "DELETE FROM aiguard_audit_checkpoints")
    sign_head(log, [STRANGER], now=utc_now())
    assert one_problem("--key", right, code=3)[0] == [("signer", None)]
    assert one_problem("--key", right, "--from", str(tmp_path / "kept.note"), code=3)[0] == [("checkpoint", None)]


def test_a_wrong_master_key_is_incomplete(log, monkeypatch):
    run("audit", "checkpoint")
    monkeypatch.setenv("AIGUARD_KEYS", base64.b64encode(b"w" * 32).decode())
    found, said = one_problem("--payloads", code=4, part="gaps")
    assert found == [("key", None)]
    assert "these are not the master keys they were sealed with" in said["gaps"][0]["detail"]


def test_an_old_backup_that_was_put_back_is_rolled_back_where_an_earlier_checkpoint_is_at_hand(log, tmp_path):
    run("audit", "checkpoint")
    log.dispose()
    shutil.copy(".aiguard/aiguard.db", tmp_path / "backup.db")
    grow(log)
    (tmp_path / "kept.note").write_text(run("audit", "checkpoint").output, encoding="utf-8")
    log.dispose()
    shutil.copy(tmp_path / "backup.db", ".aiguard/aiguard.db")
    run("audit", "verify")  # by itself an old copy is a whole log
    found, said = one_problem("--from", str(tmp_path / "kept.note"), code=3)
    assert found == [("rollback", None)]
    assert "commits to 21 events and the log holds 20: rolled back" in said["problems"][0]["detail"]
    refused = run("audit", "prove", "--consistency", str(tmp_path / "kept.note"), code=3)
    assert "rolled back" in refused.output


def test_a_log_that_grew_again_to_the_size_of_an_anchored_checkpoint_is_tampered(log, tmp_path, monkeypatch):
    anchors = tmp_path / "anchors"
    anchors.mkdir()
    run("audit", "checkpoint")
    log.dispose()
    shutil.copy(".aiguard/aiguard.db", tmp_path / "backup.db")
    monkeypatch.setenv("AIGUARD_AUDIT_ANCHOR_DIRECTORY", str(anchors))
    grow(log)
    run("audit", "checkpoint")
    log.dispose()
    shutil.copy(tmp_path / "backup.db", ".aiguard/aiguard.db")
    refused = run("audit", "checkpoint", code=3).output
    assert "holds 20 events and the anchor's newest checkpoint commits to 21" in refused
    grow(log)
    assert "not the one that the anchor's newest checkpoint commits to" in run("audit", "checkpoint", code=3).output
    found, said = one_problem("--from", str(anchors), code=3)
    assert found == [("earlier", None)]
    assert "the first 21 events are not those an earlier checkpoint commits to" in said["problems"][0]["detail"]
    monkeypatch.delenv("AIGUARD_AUDIT_ANCHOR_DIRECTORY")
    run("audit", "checkpoint")  # a signer without the anchor does not know better
    assert "are not those" in run("audit", "prove", "--consistency", str(anchors / "000000000021.note"), code=3).output


@pytest.mark.parametrize("at", [10, -1, -30])
def test_a_note_that_was_cut_off_is_tampered(log, tmp_path, at):
    note = run("audit", "checkpoint").output
    kept = tmp_path / "kept.note"
    kept.write_text(note[:at], encoding="utf-8")
    found, said = one_problem("--from", str(kept), code=3)
    assert found == [("earlier", None)]
    assert said["problems"][0]["detail"].endswith("it is not a signed note; is it cut off?")
    assert run("audit", "prove", "--consistency", str(kept), code=3).output.startswith("error: ")
    change(log, f"UPDATE aiguard_audit_checkpoints SET note = substr(note, 1, {len(note[:at])})")
    assert one_problem(code=3)[0] == [("checkpoint", None)]
    assert run("audit", "checkpoint", code=3).output.startswith("error: ")


def test_a_row_that_was_damaged_is_tampered_and_so_is_a_file(log):
    run("audit", "checkpoint")
    change(log, "UPDATE aiguard_audit_events SET leaf = x'00ff' WHERE seq = 7")
    found, said = one_problem(code=3)
    assert found == [("leaf_hash", 7), ("leaf", 7), ("checkpoint", None)]
    assert said["problems"][1]["detail"] == "a leaf is not the canonical JSON of an event of this log"
    assert "not the one its checkpoint commits to" in run("audit", "prove", "7", code=3).output


NONSENSE = {
    "leaf = x'00ff'": "does not match its hash",
    "type = 'app.other'": "does not say what its leaf says",
    "at = 'yesterday'": "holds what no event does",
    "resource = CAST(x'ff' AS TEXT)": "holds what no event does",
    f"leaf = x'00ff', leaf_hash = x'{sha256(bytes([0, 0, 255])).hexdigest()}'": "is no event",
    f"leaf = x'5b5d', leaf_hash = x'{sha256(bytes(1) + b'[]').hexdigest()}'": "is no event",
}


@pytest.mark.parametrize("change_to", NONSENSE)
def test_who_reads_an_event_that_was_changed_is_told_so_and_shown_nothing_of_it(log, change_to):
    change(log, f"UPDATE aiguard_audit_events SET {change_to} WHERE seq = 19")
    for command in (["tail"], ["search"], ["export", "--from", "19"], ["tail", "--reason", "ticket 7"]):
        refused = run("audit", *command, code=3)
        assert refused.stdout == ""
        assert NONSENSE[change_to] in refused.stderr
        assert "run `aiguard audit verify`" in refused.stderr
    assert "Traceback" not in run("audit", "verify", code=3).output


def test_a_payload_that_was_cut_off_is_told_with_its_place(log):
    change(log, "UPDATE aiguard_audit_payloads SET sealed = substr(sealed, 1, 20) WHERE seq = 19")
    assert (
        "event at position 19 cannot be shown. The ciphertext is truncated"
        in run("audit", "tail", "--reason", "ticket 7", code=1).output
    )


def test_a_wrong_signing_key_signs_nothing_and_leaves_no_event(log, monkeypatch):
    run("audit", "checkpoint")
    monkeypatch.setenv("AIGUARD_AUDIT_SIGNING_KEY", STRANGER.encode())
    assert "AIGUARD_AUDIT_VERIFIERS" in run("audit", "checkpoint", code=3).output
    assert r.scalars(log, "SELECT size FROM aiguard_audit_logs") == [20]


def test_whoever_signs_verifies_or_looks_needs_no_master_key(log, monkeypatch):
    run("audit", "checkpoint")
    grow(log)
    key = signers_of(Settings.load())[0]
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "production")
    monkeypatch.setenv("AIGUARD_DATABASE_URL", "sqlite:///.aiguard/aiguard.db")
    monkeypatch.setenv("AIGUARD_AUDIT_SIGNING_KEY", key.encode())
    assert "no master keys" in run("audit", "checkpoint").stderr
    monkeypatch.delenv("AIGUARD_AUDIT_SIGNING_KEY")
    for command in (
        ["verify", "--key", str(key.verifier)],
        ["checkpoint", "--show"],
        ["prove", "3"],
        ["stats"],
        ["tail"],
        ["search"],
        ["export"],
    ):
        run("audit", *command)


def test_two_sequencers_that_were_started_by_hand_leave_one_log(log, monkeypatch):
    """One that does not take the lock either sees that the size has changed, or is refused."""
    ring = MasterKeyRing(load_or_create_key_file(".aiguard/master.key"))
    other = make_engine(log.url, lock_timeout=20)
    with writing(log) as connection:
        append(connection, [r.event(at=utc_now())], Sealing(keyring=ring, writer="wrt_one"))
    with writing(other) as connection:
        append(connection, [r.event(at=utc_now())], Sealing(keyring=ring, writer="wrt_other"))
    other.dispose()
    assert r.scalars(log, f"SELECT size FROM {AuditLog.__tablename__}") == [22]
    run("audit", "checkpoint")
    run("audit", "verify", "--payloads")
    change(log, "UPDATE aiguard_audit_logs SET size = 21")  # as if one had counted for itself
    assert one_problem(code=3)[0] == [("size", None)]


def test_a_log_is_proved_to_have_only_grown_without_the_database(log, tmp_path):
    assert "no checkpoint over 20 events" in run("audit", "prove", "--consistency", "20", code=1).output
    kept = tmp_path / "kept.note"
    kept.write_text(run("audit", "checkpoint").output, encoding="utf-8")
    grow(log, 5)
    run("audit", "checkpoint")
    grow(log, 3)
    run("audit", "checkpoint")
    proof = json.loads(run("audit", "prove", "--consistency", str(kept)).output)
    assert proof == json.loads(run("audit", "prove", "--consistency", "20").output)
    sized = json.loads(run("audit", "prove", "--consistency", "20", "--to", "25").output)
    assert "no checkpoint over 21 events" in run("audit", "prove", "--consistency", "21", code=1).output
    for wrong in (["--consistency", "missing.note"], ["4", "--consistency", "20"], ["4", "--to", "25"], []):
        run("audit", "prove", *wrong, code=2)
    (tmp_path / ".aiguard" / "aiguard.db").unlink()
    file = tmp_path / "proof.json"
    for said, later in ((proof, 28), (sized, 25)):
        file.write_text(json.dumps(said), encoding="utf-8")
        shown = json.loads(run("audit", "verify-proof", str(file)).output)
        assert shown == {"log": "localhost/aiguard", "earlier": 20, "later": later}
    for forged in (
        {**proof, "proof": proof["proof"][:-1]},
        {**proof, "later": sized["later"]},
        {**proof, "earlier": proof["later"], "later": proof["earlier"]},
        {**proof, "proof": "x"},
        {**proof, "earlier": 20},
    ):
        file.write_text(json.dumps(forged), encoding="utf-8")
        run("audit", "verify-proof", str(file), code=3)
    file.write_text(json.dumps(proof)[:-40], encoding="utf-8")
    assert "is it cut off?" in run("audit", "verify-proof", str(file), code=3).output
    file.write_text(json.dumps(proof), encoding="utf-8")
    assert (
        "None of the known keys"
        in run("audit", "verify-proof", str(file), "--key", str(STRANGER.verifier), code=3).output
    )


def test_a_file_that_is_named_and_cannot_be_read_is_said_without_a_traceback(log, tmp_path):
    (tmp_path / "proof.json").write_text("{}")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "folder.note" / "folder.note").mkdir(parents=True)
    for wrong, said in (
        (("audit", "verify-proof", "proof.json", "--key", "bytes"), "--key: bytes holds no public keys"),
        (
            ("audit", "verify", "--from", "folder.note"),
            "--from: folder.note/folder.note cannot be read (Is a directory)",
        ),
        (
            ("retention", "verify-certificate", "proof.json", "--key", str(STRANGER.verifier), "--ids", "folder.note"),
            "--ids: folder.note cannot be read (Is a directory)",
        ),
    ):
        assert said in " ".join(run(*wrong, code=2).output.split())
    (tmp_path / "ids").write_bytes(b"\xff")
    run("retention", "verify-certificate", "proof.json", "--key", str(STRANGER.verifier), "--ids", "ids", code=3)
