"""What is not detected: each limit that docs/audit.md names, shown, so that the page promises neither more nor less than there is."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from tests.audit.test_verify import NOW, SIGNER, check, newest, tamper
from tests.support import records as r
from tests.support.mutations import PROMISED, Owner

from aiguard.audit import tail
from aiguard.audit.erasure import erase_payloads
from aiguard.audit.expiry import expire
from aiguard.audit.merkle import leaf_hash
from aiguard.audit.outbox import drain, put, waiting
from aiguard.audit.signing import sign_head
from aiguard.audit.tables import append
from aiguard.audit.verify import Status
from aiguard.db import writing
from aiguard.db.mapping import Sealing
from aiguard.store import MasterKeyRing

UNPROMISED = {
    "aiguard_audit_logs": {"instance"},
    "aiguard_audit_checkpoints": {"at"},
    "aiguard_audit_prunes": {"at"},
    "aiguard_audit_outbox": {"id"},
}
"""Columns that the promise leaves out."""


@pytest.fixture
def log(engine, writer):
    """300 events under a checkpoint."""
    writer.commit([r.event(at=NOW, payload={"count": n}) for n in range(300)]).result(60)
    sign_head(engine, [SIGNER], now=NOW)
    return engine


def rewrite(engine, seq):
    """Change what an event says, everywhere at once."""
    (leaf,) = r.scalars(engine, f"SELECT leaf FROM aiguard_audit_events WHERE seq = {seq}")
    forged = bytes(leaf).replace(b"exchange.decided", b"access.allowed")
    tamper(
        engine,
        f"UPDATE aiguard_audit_events SET leaf = :leaf, leaf_hash = :hash, type = 'access.allowed' WHERE seq = {seq}",
        leaf=forged,
        hash=leaf_hash(forged),
    )


def unnoticed(report):
    """Whether a report has nothing to say but of triggers, which a forger would put back."""
    return not report.problems and {gap.check for gap in report.gaps} <= {"trigger"} and not report.late


def test_an_event_that_no_checkpoint_covers_yet_can_be_changed_unnoticed_and_one_that_is_covered_cannot(log, writer):
    writer.commit([r.event(at=NOW)]).result(60)
    rewrite(log, 300)
    report = check(log)
    assert (unnoticed(report), report.unsigned) == (True, 1)  # the report says how many they are
    rewrite(log, 299)
    assert check(log).status is Status.TAMPERED


def test_a_log_rewritten_with_the_signing_key_is_noticed_only_by_who_kept_a_checkpoint(log):
    kept = newest(log).note
    rewrite(log, 5)
    tamper(log, "DELETE FROM aiguard_audit_checkpoints", "DELETE FROM aiguard_audit_nodes")
    sign_head(log, [SIGNER], now=NOW)
    assert unnoticed(check(log))
    assert check(log, earlier=[kept]).status is Status.TAMPERED


def test_an_event_that_somebody_without_the_master_keys_made_up_is_noticed_by_who_has_them_only(log, keyring):
    forger = Sealing(keyring=MasterKeyRing([b"f" * 32]), writer="wrt_forger")
    with writing(log) as connection:
        append(connection, [r.event(type="access.allowed", at=NOW)], forger)
    sign_head(log, [SIGNER], now=NOW)
    assert unnoticed(check(log))
    report = check(log, keyring)
    assert (report.status, [(each.check, each.seq) for each in report.problems]) == (
        Status.TAMPERED, [("payload", 300)],
    )  # fmt: skip


def test_an_event_that_was_never_recorded_is_not_missed(log, keyring):
    with Session(log) as session:
        put(session, [r.event(at=NOW)], keyring)
        session.rollback()
    drain(log, keyring)
    assert (check(log, keyring).status, check(log).events) == (Status.OK, 300)


def test_a_row_that_is_deleted_from_the_outbox_is_not_missed(log, keyring):
    with writing(log) as connection:
        put(connection, [r.event(at=NOW)], keyring)
        connection.execute(text("DELETE FROM aiguard_audit_outbox"))
    assert waiting(log) == 0
    assert check(log, keyring).status is Status.OK


def test_an_erasure_and_an_expiry_by_who_holds_the_keys_are_on_record_as_such(log, keyring):
    sealing = Sealing(keyring=keyring, writer="wrt_test")
    with writing(log) as connection:
        erase_payloads(connection, [3], sealing, decision_id="ers_x", at=NOW)
    sign_head(log, [SIGNER], now=NOW)
    assert check(log, keyring).status is Status.OK
    late = NOW + timedelta(days=400)
    expire(log, sealing, [SIGNER], before=late - timedelta(days=1), now=late)
    report = check(log, keyring)
    assert (report.status, report.expired) == (Status.OK, 256)
    assert [event.type for event in tail(log, keyring, 2)] == ["erasure.completed", "log.expired"]


def test_the_columns_on_which_nothing_rests_are_those_that_the_page_names(log, keyring):
    with writing(log) as connection:
        put(connection, [r.event(at=NOW)], keyring)
    owner = Owner(log.url)
    left = {
        name: {column.name for column in owner.tables[name].columns} - set(columns)
        for name, columns in PROMISED.items()
    }
    owner.close()
    assert {name: columns for name, columns in left.items() if columns} == UNPROMISED
    tamper(
        log,
        "UPDATE aiguard_audit_logs SET instance = 'other'",
        "UPDATE aiguard_audit_checkpoints SET at = '2020-01-01 00:00:00.000000'",
        "UPDATE aiguard_audit_outbox SET id = id + 7",
    )
    assert unnoticed(check(log, keyring))


def test_a_leaf_says_nothing_of_its_payload_and_names_nobody(log):
    said = [json.loads(bytes(leaf)) for leaf in r.scalars(log, "SELECT leaf FROM aiguard_audit_events")]
    assert all("mo@example.org" not in json.dumps(each) and "count" not in each for each in said)
