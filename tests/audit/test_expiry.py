from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from tests.audit.test_verify import NOW, SIGNER, check, newest, tamper
from tests.support import records as r

from aiguard.audit import expiry, proofs, tail
from aiguard.audit.checkpoint import read
from aiguard.audit.expiry import ExpiryRefused, expire, plan
from aiguard.audit.note import make_signer
from aiguard.audit.prove import prove_event, verify_proof
from aiguard.audit.signing import StoredTree, sign_head
from aiguard.audit.verify import Status
from aiguard.db import writing
from aiguard.db.mapping import Sealing
from aiguard.retention.holds import HoldScope, place
from aiguard.retention.log_expiry import nothing_held

OLD = NOW - timedelta(days=400)


@pytest.fixture
def log(engine, writer):
    """1,300 events: 700 of a year ago and 600 of now, with checkpoints over 300, 700 and 1,300."""
    for start, end, at in ((0, 300, OLD), (300, 700, OLD), (700, 1300, NOW)):
        writer.commit([r.event(payload={"count": n}, at=at) for n in range(start, end)]).result(60)
        sign_head(engine, [SIGNER], now=NOW)
    return engine


def run(engine, keyring, **options):
    sealing = Sealing(keyring=keyring, writer="wrt_test")
    return expire(engine, sealing, [SIGNER], **{"before": NOW - timedelta(days=365), "now": NOW, **options})


def test_what_expired_is_gone_and_the_log_is_as_whole_as_before(log, keyring):
    before = newest(log)
    assert plan(log, before=NOW - timedelta(days=365)).events == 512
    done = run(log, keyring)
    assert (done.start, done.cut) == (0, 512)  # whole tiles of 256
    assert r.scalars(log, "SELECT min(seq) FROM aiguard_audit_events") == [512]
    assert r.scalars(log, "SELECT count(*) FROM aiguard_audit_payloads") == [1301 - 512]
    report = check(log, keyring, earlier=[before.note])
    assert (report.status, report.events, report.expired, report.signed) == (Status.OK, 1301, 512, 1301), report
    last = tail(log, keyring, 1)[0]
    assert (last.type, last.payload["cut"]) == ("log.expired", 512)


def test_checkpoints_from_before_and_after_are_still_shown_to_be_of_one_log(log, keyring):
    notes = r.scalars(log, "SELECT note FROM aiguard_audit_checkpoints ORDER BY size")
    run(log, keyring)
    newer, _ = read(newest(log).note)
    for note in notes:
        older, _ = read(note)
        with log.connect() as connection:
            proof = proofs.consistency(StoredTree(connection), older.size, newer.size)
        assert proofs.consistent(older.size, newer.size, proof, older.root, newer.root)


def test_events_that_stayed_are_still_proved(log, keyring):
    run(log, keyring)
    assert verify_proof(str_of(prove_event(log, "600")), [SIGNER.verifier])["type"] == "exchange.decided"


def str_of(proof):
    import json

    return json.dumps(proof)


def test_a_second_run_goes_on_where_the_first_one_ended(log, keyring, writer):
    run(log, keyring)
    assert run(log, keyring).events == 0
    later = NOW + timedelta(days=500)
    run(log, keyring, now=later, before=later - timedelta(days=30))
    report = check(log, keyring)
    assert (report.status, report.expired) == (Status.OK, 1280), report


def test_a_run_that_died_between_statement_and_deletion_is_ended_by_the_next(log, keyring, monkeypatch):
    def die(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(expiry, "_delete", die)
        with pytest.raises(KeyboardInterrupt):
            run(log, keyring)
    sign_head(log, [SIGNER], now=NOW)
    report = check(log, keyring)
    assert (report.status, report.expired) == (Status.OK, 512), report
    assert plan(log, before=NOW - timedelta(days=365)).leftover == 512
    run(log, keyring)
    assert r.scalars(log, "SELECT min(seq) FROM aiguard_audit_events") == [512]
    assert check(log, keyring).status is Status.OK


def test_an_expired_event_that_was_changed_before_it_went_is_detected(log, keyring, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(expiry, "_delete", lambda *_arguments: None)
        run(log, keyring)
    tamper(
        log,
        "UPDATE aiguard_audit_events SET leaf = (SELECT leaf FROM aiguard_audit_events WHERE seq = 1) WHERE seq = 9",
    )
    assert [(each.check, each.seq) for each in check(log).problems] == [("tile", 9)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE aiguard_audit_prunes SET cut = 256",
        "UPDATE aiguard_audit_prunes SET note = (SELECT note FROM aiguard_audit_checkpoints WHERE size = 300)",
        "DELETE FROM aiguard_audit_prunes",
        "DELETE FROM aiguard_audit_tiles WHERE idx = 1",
        "DELETE FROM aiguard_audit_tiles",
        "UPDATE aiguard_audit_tiles SET idx = 7 WHERE idx = 1",
        "UPDATE aiguard_audit_tiles SET hashes = (SELECT leaf FROM aiguard_audit_events WHERE seq = 600) WHERE idx = 0",
        "UPDATE aiguard_audit_tiles SET hashes = (SELECT t.hashes FROM aiguard_audit_tiles t WHERE t.idx = 0) WHERE idx = 1",
        "INSERT INTO aiguard_audit_tiles SELECT 2, hashes FROM aiguard_audit_tiles WHERE idx = 0",
        "INSERT INTO aiguard_audit_prunes SELECT 768, at, note FROM aiguard_audit_prunes",
    ],
)
def test_a_forged_expiry_is_detected(log, keyring, statement):
    run(log, keyring)
    tamper(log, statement)
    assert check(log, keyring).status is Status.TAMPERED


def test_events_taken_away_under_a_statement_that_nobody_trusted_signed_are_missed(log, keyring):
    stranger = make_signer("example.com/log", b"z" * 32)
    sealing = Sealing(keyring=keyring, writer="wrt_test")
    expire(log, sealing, [stranger], before=NOW - timedelta(days=365), now=NOW, trusted=[SIGNER.verifier])
    assert {each.check for each in check(log, keyring).problems} >= {"expiry"}


def test_the_database_lets_nothing_go_that_no_statement_accounts_for(log, keyring):
    run(log, keyring)
    for statement in (
        "DELETE FROM aiguard_audit_payloads WHERE seq = 512",
        "DELETE FROM aiguard_audit_events WHERE seq = 600",
        "DELETE FROM aiguard_audit_prunes",
        "DELETE FROM aiguard_audit_tiles",
        "UPDATE aiguard_audit_tiles SET idx = 9",
    ):
        with pytest.raises(SQLAlchemyError, match="append-only"), writing(log) as connection:
            connection.execute(text(statement))


def test_a_legal_hold_keeps_the_log(log, keyring):
    place(
        log, keyring, HoldScope(feature="support-reply"), matter="M-1", custodian="legal", placed_by="mira",
        review_at=NOW + timedelta(days=90), now=NOW,
    )  # fmt: skip
    with pytest.raises(ExpiryRefused, match="egal holds"):
        run(log, keyring, allowed=nothing_held)
    assert r.scalars(log, "SELECT min(seq) FROM aiguard_audit_events") == [0]
    assert r.scalars(log, "SELECT count(*) FROM aiguard_audit_prunes") == [0]


def test_nothing_expires_of_the_future_without_a_key_or_from_a_log_that_was_changed(log, keyring):
    sealing = Sealing(keyring=keyring, writer="wrt_test")
    with pytest.raises(ExpiryRefused, match="clock"):
        run(log, keyring, before=NOW + timedelta(seconds=1))
    with pytest.raises(ExpiryRefused, match="AIGUARD_AUDIT_SIGNING_KEY"):
        expire(log, sealing, [], before=OLD, now=NOW)


def test_what_no_checkpoint_covers_does_not_expire(engine, keyring, writer):
    writer.commit([r.event(at=OLD) for _ in range(600)]).result(60)
    assert plan(engine, before=NOW).events == 0
