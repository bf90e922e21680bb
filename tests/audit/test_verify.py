from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from tests.support import records as r

from aiguard.audit.checkpoint import Checkpoint, issue, trust
from aiguard.audit.note import make_signer
from aiguard.audit.signing import latest, sign_head
from aiguard.audit.verify import Status, verify
from aiguard.db import writing
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
        writer.commit([r.event(payload={"count": n}) for n in range(start, end)]).result(20)
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
    writer.commit([r.event()]).result(5)
    tamper(log, "UPDATE aiguard_audit_events SET leaf_hash = leaf WHERE seq = 690")
    with pytest.raises(IntegrityError, match="Nothing is signed"):
        sign_head(log, [SIGNER], now=NOW)
    assert newest(log).size == 700


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
    writer.commit([r.event(at=NOW)]).result(5)
    soon = verify(log, [SIGNER.verifier], origin="example.com/log", now=NOW + timedelta(seconds=10))
    late = verify(log, [SIGNER.verifier], origin="example.com/log", now=NOW + timedelta(hours=1))
    assert (soon.status, soon.unsigned) == (Status.OK, 1)
    assert (late.status, late.unsigned) == (Status.STALE, 1)


def test_without_a_verifier_key_nothing_is_called_whole(log):
    assert verify(log, [], origin="example.com/log", now=NOW).status is Status.INCOMPLETE
