from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from tests.support import records as r

from aiguard import audit
from aiguard.audit.checkpoint import Checkpoint, issue, trust
from aiguard.audit.keeper import Keeper
from aiguard.audit.merkle import leaf_hash
from aiguard.audit.note import make_signer
from aiguard.audit.signing import latest, sign_head
from aiguard.audit.verify import Status, verify
from aiguard.db import Writer, make_engine, upgrade, writing
from aiguard.errors import IntegrityError

SIGNER = make_signer("example.com/log", b"s" * 32)
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TABLES = (
    "aiguard_audit_logs", "aiguard_audit_events", "aiguard_audit_payloads", "aiguard_audit_nodes",
    "aiguard_audit_checkpoints", "aiguard_audit_erased", "aiguard_audit_prunes", "aiguard_audit_tiles",
)  # fmt: skip


@pytest.fixture
def log(engine, writer):
    """A log of 700 events with checkpoints over 300, 600 and 700."""
    for start, end in ((0, 300), (300, 600), (600, 700)):
        writer.commit([r.event(payload={"count": n}) for n in range(start, end)]).result(60)
        sign_head(engine, [SIGNER], now=NOW)
    return engine


def check(engine, keyring=None, **options):
    return verify(engine, [SIGNER.verifier], origin="example.com/log", keyring=keyring, now=NOW, **options)


def newest(engine):
    head = latest(engine)
    assert head is not None
    return head


def tamper(engine, *statements, **values):
    """What somebody who owns the tables can do."""
    with writing(engine) as connection:
        if engine.dialect.name == "sqlite":
            names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
            for name in names:
                connection.execute(text(f"DROP TRIGGER {name}"))
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        else:
            for table in TABLES:
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        for statement in statements:
            connection.execute(text(statement), values if ":" in statement else {})


def test_a_log_that_nobody_touched_verifies(log, keyring):
    report = check(log, keyring)
    assert (report.status, report.events, report.checkpoints, report.signed, report.payloads) == (
        Status.OK, 700, 3, 700, 700,
    )  # fmt: skip
    assert trust(newest(log).note, [SIGNER.verifier]).root == report.root


def test_an_empty_log_verifies(engine, keyring):
    assert check(engine, keyring).status is Status.OK


def test_signing_twice_gives_one_checkpoint(log):
    assert sign_head(log, [SIGNER], now=NOW) == latest(log)
    assert check(log).checkpoints == 3


@pytest.mark.parametrize(
    "column",
    ["log", "id", "type", "decision_id", "parent_id", "at", "actor", "tenant", "subject", "resource", "policy_hash",
     "leaf", "leaf_hash"],
)  # fmt: skip
@pytest.mark.parametrize("seq", [0, 299, 699])
def test_a_change_of_any_column_of_any_event_is_detected(log, keyring, column, seq):
    value = {
        "at": NOW.replace(tzinfo=None) if log.dialect.name == "sqlite" else NOW,
        "leaf": b"{}",
        "leaf_hash": b"x" * 32,
    }
    tamper(
        log,
        f"UPDATE aiguard_audit_events SET {column} = :value WHERE seq = :seq",
        value=value.get(column, "zz"),
        seq=seq,
    )
    assert check(log).status is Status.TAMPERED


HIDDEN = {
    "a copy that goes on after a NUL": "type = type || char(0) || 'x'",
    "a copy that is bytes": "type = CAST(type AS BLOB)",
    "a copy that is a number": "tenant = CAST(5 AS BLOB)",
    "a copy that is not UTF-8": "resource = CAST(x'737570706f7274ff' AS TEXT)",
    "a copy that is missing what the next one has": "parent_id = '\",\"policy_hash\":\"' || policy_hash, policy_hash = ''",
    "a time that is a number": "at = 5",
    "a time written another way": "at = replace(at, ' ', 'T')",
    "a leaf that is text": "leaf = CAST(leaf AS TEXT)",
    "a hash that is text": "leaf_hash = hex(leaf_hash)",
}
"""What SQLite's functions might take for what was there before."""


@pytest.fixture
def forged(keyring, tmp_path):
    """Verifies a copy of a small log on SQLite, nine events of it signed and one not, after changing an event of it."""
    made = make_engine(f"sqlite:///{tmp_path}/made.db")
    upgrade(made)
    writer = Writer(made, keyring, audit.MAPPERS, timeout=20)
    writer.commit([r.event(at=NOW) for _ in range(9)]).result(60)
    sign_head(made, [SIGNER], now=NOW)
    writer.commit([r.event(at=NOW)]).result(60)
    writer.close()
    made.dispose()

    def forged(change, seq, **values):
        shutil.copy(tmp_path / "made.db", tmp_path / "forged.db")
        engine = make_engine(f"sqlite:///{tmp_path}/forged.db")
        tamper(engine, f"UPDATE aiguard_audit_events SET {change} WHERE seq = {seq}", **values)
        report = check(engine)
        engine.dispose()
        return report

    return forged


@pytest.mark.parametrize("what", HIDDEN)
def test_a_change_that_a_database_might_overlook_is_detected(forged, what):
    report = forged(HIDDEN[what], 4)
    assert report.status is Status.TAMPERED
    assert {problem.seq for problem in report.problems} <= {4, None}


ODD = {
    "white space": lambda leaf: leaf.replace(b",", b", "),
    "another order": lambda leaf: b'{"v":1,' + leaf[1:].replace(b'"v":1,', b""),
    "a field twice": lambda leaf: leaf.replace(b'"writer":', b'"writer":"x","writer":'),
    "a field more": lambda leaf: leaf.replace(b'"writer":', b'"w":"x","writer":'),
    "another version": lambda leaf: leaf.replace(b'"v":1', b'"v":2'),
    "a version that is true": lambda leaf: leaf.replace(b'"v":1', b'"v":true'),
    "a commitment that is no hash": lambda leaf: re.sub(rb'"commit":"..', b'"commit":"zz', leaf),
    "a commitment that is cut": lambda leaf: re.sub(rb'"commit":"..', b'"commit":"', leaf),
    "a writer with a line break": lambda leaf: leaf.replace(b'"writer":"', b'"writer":"\n'),
    "a writer without a name": lambda leaf: re.sub(rb'"writer":"[^"]*"', b'"writer":""', leaf),
    "something after the end": lambda leaf: leaf + b"\n",
    "an end that is missing": lambda leaf: leaf[:-1],
    "nothing": lambda _leaf: b"",
}
"""What is no event as this log writes it, whoever computed a fitting hash for it."""


@pytest.mark.parametrize("what", ODD)
def test_a_leaf_that_is_not_written_as_the_log_writes_them_is_told_also_where_nothing_is_signed(forged, tmp_path, what):
    engine = make_engine(f"sqlite:///{tmp_path}/made.db")
    (leaf,) = r.scalars(engine, "SELECT leaf FROM aiguard_audit_events WHERE seq = 9")
    engine.dispose()
    odd = ODD[what](bytes(leaf))
    assert odd != leaf
    report = forged("leaf = :leaf, leaf_hash = :hash", 9, leaf=odd, hash=leaf_hash(odd))
    assert [(problem.check, problem.seq) for problem in report.problems] == [("leaf", 9)]


def test_a_leaf_whose_hash_was_computed_anew_is_detected(log):
    tamper(
        log,
        "UPDATE aiguard_audit_events SET "
        "(leaf, leaf_hash, id, type, decision_id, parent_id, at, actor, tenant, subject, resource, policy_hash) = "
        "(SELECT leaf, leaf_hash, id || 'x', type, decision_id, parent_id, at, actor, tenant, subject, resource, policy_hash "
        "FROM aiguard_audit_events WHERE seq = 5) WHERE seq = 6",
    )
    assert {problem.check for problem in check(log).problems} >= {"checkpoint"}


@pytest.mark.parametrize(
    ("what", "statements"),
    [
        ("the last event taken away", ["DELETE FROM aiguard_audit_payloads WHERE seq = 699", "DELETE FROM aiguard_audit_events WHERE seq = 699"]),
        ("one of the middle taken away", ["DELETE FROM aiguard_audit_payloads WHERE seq = 300", "DELETE FROM aiguard_audit_events WHERE seq = 300"]),
        ("cut off and recounted", ["DELETE FROM aiguard_audit_payloads WHERE seq >= 650", "DELETE FROM aiguard_audit_events WHERE seq >= 650", "UPDATE aiguard_audit_logs SET size = 650"]),
        ("everything taken away", ["DELETE FROM aiguard_audit_payloads", "DELETE FROM aiguard_audit_events", "UPDATE aiguard_audit_logs SET size = 0"]),
        ("two exchanged", ["UPDATE aiguard_audit_events SET seq = -1 WHERE seq = 10", "UPDATE aiguard_audit_events SET seq = 10 WHERE seq = 11", "UPDATE aiguard_audit_events SET seq = 11 WHERE seq = -1"]),
        ("another count", ["UPDATE aiguard_audit_logs SET size = 701"]),
        ("a kept hash changed", ["UPDATE aiguard_audit_nodes SET hash = (SELECT leaf_hash FROM aiguard_audit_events WHERE seq = 0) WHERE idx = 1"]),
        ("a checkpoint filed elsewhere", ["UPDATE aiguard_audit_checkpoints SET size = 650 WHERE size = 600"]),
        ("a checkpoint replaced by an older one", ["UPDATE aiguard_audit_checkpoints SET note = (SELECT note FROM aiguard_audit_checkpoints WHERE size = 300) WHERE size = 600"]),
        ("an event of long ago appended again", ["INSERT INTO aiguard_audit_events SELECT 700, log, id || 'x', type, decision_id, parent_id, at, actor, tenant, subject, resource, policy_hash, leaf, leaf_hash FROM aiguard_audit_events WHERE seq = 3", "UPDATE aiguard_audit_logs SET size = 701"]),
    ],
)  # fmt: skip
def test_what_an_owner_of_the_tables_can_do_is_detected(log, what, statements):
    tamper(log, *statements)
    assert check(log).status is Status.TAMPERED, what


def test_a_forged_checkpoint_is_detected(log):
    stranger = make_signer("example.com/log", b"z" * 32)
    forged = issue(Checkpoint(origin="example.com/log", size=600, root=bytes(32)), [stranger])
    tamper(log, "UPDATE aiguard_audit_checkpoints SET note = :note WHERE size = 600", note=forged)
    assert [problem.check for problem in check(log).problems] == ["checkpoint"]


def test_checkpoints_taken_away_leave_the_log_incomplete_and_an_earlier_one_convicts_the_rest(log, writer):
    kept = newest(log).note
    tamper(log, "DELETE FROM aiguard_audit_checkpoints")
    assert check(log).status is Status.INCOMPLETE
    assert check(log, earlier=[kept]).status is Status.INCOMPLETE
    tamper(
        log,
        "DELETE FROM aiguard_audit_payloads WHERE seq >= 650",
        "DELETE FROM aiguard_audit_events WHERE seq >= 650",
        "UPDATE aiguard_audit_logs SET size = 650",
    )
    report = check(log, earlier=[kept])
    assert report.status is Status.TAMPERED
    assert "rolled back" in report.problems[0].detail


def test_payloads_that_were_changed_exchanged_or_taken_away_are_detected(log, keyring):
    tamper(log, "DELETE FROM aiguard_audit_payloads WHERE seq = 5")
    assert check(log).status is Status.INCOMPLETE  # without the keys it cannot be known whether it was erased
    assert [(each.check, each.seq) for each in check(log, keyring).problems] == [("payload", 5)]
    tamper(
        log,
        "UPDATE aiguard_audit_payloads SET sealed = (SELECT sealed FROM aiguard_audit_payloads WHERE seq = 8) WHERE seq = 9",
    )
    assert [(each.check, each.seq) for each in check(log, keyring).problems] == [("payload", 5), ("payload", 9)]


def test_a_log_that_was_changed_is_not_signed_again(log, writer):
    writer.commit([r.event()]).result(60)
    tamper(log, "UPDATE aiguard_audit_events SET leaf_hash = leaf WHERE seq = 690")
    with pytest.raises(IntegrityError, match="Nothing is signed"):
        sign_head(log, [SIGNER], now=NOW)
    assert newest(log).size == 700


@pytest.mark.parametrize("grown", [0, 1])
def test_a_signer_that_runs_remembers_the_checkpoint_that_somebody_takes_out(log, writer, grown):
    keeper = Keeper(log, [SIGNER], clock=lambda: NOW)
    keeper.sign()
    writer.commit([r.event() for _ in range(50)]).result(60)
    keeper.sign()
    tamper(
        log,
        "DELETE FROM aiguard_audit_checkpoints WHERE size = 750",
        "UPDATE aiguard_audit_events SET leaf_hash = :other WHERE seq = 749",
        other=b"x" * 32,
    )
    writer.commit([r.event() for _ in range(grown)]).result(60)
    with pytest.raises(IntegrityError, match="the checkpoint that this process had before"):
        keeper.sign()
    assert newest(log).size == 700
    gone = [f"DELETE FROM aiguard_audit_{table} WHERE seq >= 740" for table in ("payloads", "events")]
    tamper(log, *gone, "UPDATE aiguard_audit_logs SET size = 740")
    with pytest.raises(IntegrityError, match="events were taken away"):
        keeper.sign()


def test_a_log_put_back_from_an_old_copy_is_not_signed_again(log):
    tamper(
        log,
        "DELETE FROM aiguard_audit_payloads WHERE seq >= 650",
        "DELETE FROM aiguard_audit_events WHERE seq >= 650",
        "UPDATE aiguard_audit_logs SET size = 650",
    )
    with pytest.raises(IntegrityError, match="taken away"):
        sign_head(log, [SIGNER], now=NOW)


def test_events_that_wait_too_long_for_a_checkpoint_make_the_log_stale(log, writer):
    writer.commit([r.event(at=NOW)]).result(60)
    soon = verify(log, [SIGNER.verifier], origin="example.com/log", now=NOW + timedelta(seconds=10))
    late = verify(log, [SIGNER.verifier], origin="example.com/log", now=NOW + timedelta(hours=1))
    assert (soon.status, soon.unsigned) == (Status.OK, 1)
    assert (late.status, late.unsigned) == (Status.STALE, 1)


def test_without_a_verifier_key_nothing_is_called_whole(log):
    assert verify(log, [], origin="example.com/log", now=NOW).status is Status.INCOMPLETE


def test_a_trigger_that_is_missing_is_told(log):
    tamper(log)
    report = check(log)
    assert (report.status, {gap.check for gap in report.gaps}) == (Status.INCOMPLETE, {"trigger"})
    assert "aiguard_audit_events" in " ".join(gap.detail for gap in report.gaps)


def test_what_somebody_added_to_the_log_is_told(log):
    with writing(log) as connection:
        if log.dialect.name == "sqlite":
            connection.execute(
                text("CREATE TRIGGER quiet BEFORE INSERT ON aiguard_audit_tiles BEGIN SELECT RAISE(IGNORE); END")
            )
        else:
            connection.execute(text("CREATE RULE quiet AS ON INSERT TO aiguard_audit_tiles DO INSTEAD NOTHING"))
    report = check(log)
    assert (report.status, [gap.check for gap in report.gaps]) == (Status.INCOMPLETE, ["trigger"])
    assert "quiet on aiguard_audit_tiles" in report.gaps[0].detail


def test_a_trigger_that_was_replaced_by_a_harmless_one_is_tampered_and_named(log):
    name = "aiguard_audit_payloads_no_delete" if log.dialect.name == "sqlite" else "aiguard_audit_payloads_rows"
    with writing(log) as connection:
        if log.dialect.name == "sqlite":
            connection.execute(text(f"DROP TRIGGER {name}"))
            connection.execute(
                text(
                    f"CREATE TRIGGER {name} BEFORE DELETE ON aiguard_audit_payloads WHEN FALSE BEGIN SELECT RAISE(ABORT, 'no'); END"
                )
            )
        else:
            connection.execute(
                text(
                    "CREATE OR REPLACE FUNCTION aiguard_payload_rows() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'"
                )
            )
    report = check(log)
    assert report.status is Status.TAMPERED
    assert [(problem.check, name in problem.detail) for problem in report.problems] == [("trigger", True)]
    assert not report.gaps


def test_a_trigger_that_was_put_back_as_it_was_is_not_told(log):
    with writing(log) as connection:
        if log.dialect.name == "sqlite":
            name = "aiguard_audit_events_no_delete"
            made = connection.execute(
                text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name}
            ).scalar_one()
            connection.execute(text(f"DROP TRIGGER {name}"))
            connection.execute(text(made))
        else:
            for state in ("DISABLE", "ENABLE ALWAYS"):
                connection.execute(text(f"ALTER TABLE aiguard_audit_events {state} TRIGGER aiguard_audit_events_rows"))
    assert check(log).status is Status.OK
