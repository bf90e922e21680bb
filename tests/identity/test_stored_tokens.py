"""Tokens in a database: made, replaced, revoked and looked up, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.support.guards import MemoryRecorder, make_guard

from aiguard import audit
from aiguard.bearer import bearer_actor
from aiguard.credentials import Credentials
from aiguard.db import Writer, reading, writing
from aiguard.errors import (
    ControlFailed,
    CredentialError,
    NotAuthenticated,
    StoreError,
)
from aiguard.identity import tables
from aiguard.identity.tokens import mint
from aiguard.policy import Policy
from aiguard.store import MasterKeyRing
from aiguard.types import Actor, AuditRecord, CredentialUse, utc_now

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture
def credentials(engine, keyring):
    return Credentials(engine=engine, keyring=keyring, policy=Policy(), operator="os:root")


@pytest.fixture
def guard(engine, keyring):
    return make_guard(tokens=tables.TokenTable(engine, keyring))


def make(credentials, **changes):
    terms = {"service": "nightly-batch", "scopes": ["support:reply"], "now": NOW}
    return credentials.create(**{**terms, **changes})


def header(issued):
    return f"Bearer {issued.token.reveal()}"


def refusal(guard, issued, error=NotAuthenticated):
    with pytest.raises(error) as raised:
        bearer_actor(guard, header(issued), route="/reply")
    return raised.value


def events(engine, keyring):
    return audit.tail(engine, keyring, 1000)


def test_a_token_that_was_made_says_who_calls(credentials, guard):
    issued = make(credentials, scopes=["b:two", "a:one"], tenant="acme")
    actor = bearer_actor(guard[0], header(issued))
    assert actor == Actor(id="nightly-batch", kind="service", scopes=frozenset({"a:one", "b:two"}), tenant="acme")
    assert bearer_actor(guard[0], None) is None


def test_a_revocation_counts_for_the_next_request_of_a_guard_that_runs(credentials, guard):
    guard, recorder = guard
    issued = make(credentials)
    assert bearer_actor(guard, header(issued)) is not None
    assert credentials.revoke(id=issued.known.id, now=NOW) == (issued.known.id,)
    refused = refusal(guard, issued)
    assert [reason.code for reason in refused.reasons] == ["token.revoked"]
    assert refused.http_status == 401
    event = recorder.events[-1]
    assert event.type == "credential.rejected"
    assert event.decision_id == refused.decision_id
    assert event.payload["credential"] == issued.known.id
    assert event.payload["route"] == "/reply"
    assert event.actor == guard.names(issued.known.actor, None)["actor"]


def test_a_token_that_nobody_made_leaves_no_trace_of_what_was_shown(guard):
    guard, recorder = guard
    forged = mint()
    with pytest.raises(NotAuthenticated) as raised:
        bearer_actor(guard, f"Bearer {forged.token.reveal()}")
    assert [reason.code for reason in raised.value.reasons] == ["token.unknown"]
    (event,) = recorder.events
    assert event.actor == ""
    assert forged.id not in repr(event)


def test_the_whole_of_a_service_is_revoked_at_once(credentials, guard):
    mine = [make(credentials), make(credentials)]
    other = make(credentials, service="reports")
    done = credentials.revoke(service="nightly-batch", now=NOW)
    assert sorted(done) == sorted(issued.known.id for issued in mine)
    assert credentials.revoke(service="nightly-batch", now=NOW) == ()
    for issued in mine:
        refusal(guard[0], issued)
    assert bearer_actor(guard[0], header(other)) is not None


def test_a_replaced_token_stays_good_for_the_overlap_and_no_longer(engine, keyring, credentials):
    issued = make(credentials, expires_at=NOW + 30 * DAY, tenant="acme")
    second = credentials.rotate(issued.known.id, now=NOW + DAY, overlap=timedelta(hours=2))
    assert second.known.actor == issued.known.actor
    assert second.known.expires_at == NOW + 31 * DAY
    later = NOW + DAY + timedelta(hours=2)
    for moment, old_is_good in ((later - timedelta(seconds=1), True), (later, False)):
        guard, _ = make_guard(tokens=tables.TokenTable(engine, keyring), clock=lambda moment=moment: moment)
        assert bearer_actor(guard, header(second)) is not None
        if old_is_good:
            assert bearer_actor(guard, header(issued)) is not None
        else:
            assert [reason.code for reason in refusal(guard, issued).reasons] == ["token.expired"]


def test_an_overlap_never_gives_an_old_token_more_time(credentials):
    issued = make(credentials, expires_at=NOW + DAY)
    second = credentials.rotate(issued.known.id, now=NOW, overlap=7 * DAY)
    assert second.replaced is not None
    assert second.replaced.expires_at == NOW + DAY


def test_two_who_replace_one_token_at_once_end_it_once_and_lose_nothing(credentials, engine, keyring):
    issued = make(credentials)
    made, together = [], threading.Barrier(2)

    def replace():
        together.wait()
        made.append(credentials.rotate(issued.known.id, now=utc_now(), overlap=DAY))

    threads = [threading.Thread(target=replace) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    assert len(credentials.known()) == 3


@pytest.mark.parametrize("ended", ["revoked", "expired"])
def test_what_has_ended_is_not_replaced(credentials, ended):
    issued = make(credentials, expires_at=NOW + DAY)
    if ended == "revoked":
        credentials.revoke(id=issued.known.id, now=NOW)
    with pytest.raises(CredentialError, match=ended):
        credentials.rotate(issued.known.id, now=NOW + (DAY if ended == "expired" else timedelta()))
    assert len(credentials.known()) == 1


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"service": "Nightly Batch"}, "lower-case"),
        ({"service": "jane@example.org"}, "lower-case"),
        ({"scopes": []}, "--scope"),
        ({"scopes": ["not a scope"]}, "scope"),
        ({"scopes": [f"s:{n}" for n in range(65)]}, "64"),
        ({"tenant": ""}, "tenant"),
        ({"tenant": " acme"}, "tenant"),
        ({"tenant": "ac\nme"}, "tenant"),
        ({"expires_at": NOW}, "later expiry"),
        ({"not_before": NOW + DAY, "expires_at": NOW + DAY}, "later expiry"),
        ({"expires_at": NOW + timedelta(days=366)}, "365 days"),
    ],
)
def test_terms_that_cannot_be_make_no_token(credentials, terms, said):
    with pytest.raises(CredentialError, match=said):
        make(credentials, **terms)
    assert credentials.known() == []


def test_whoever_pastes_a_whole_token_is_told_and_it_is_not_echoed(credentials):
    issued = make(credentials)
    for act in (credentials.rotate, lambda it, now: credentials.revoke(id=it, now=now)):
        with pytest.raises(CredentialError, match="whole token") as raised:
            act(issued.token.reveal(), now=NOW)
        assert issued.token.reveal()[21:] not in str(raised.value)


def test_every_change_is_in_the_log_with_who_made_it_and_without_the_secret(credentials, engine, keyring):
    issued = make(credentials)
    second = credentials.rotate(issued.known.id, now=NOW)
    credentials.revoke(id=second.known.id, now=NOW)
    found = events(engine, keyring)
    assert [event.type for event in found] == ["credential.created", "credential.rotated", "credential.revoked"]
    assert found[0].payload["scopes"] == ["support:reply"]
    assert found[1].payload["replaces"] == issued.known.id
    assert {event.payload["credential"] for event in found} == {issued.known.id, second.known.id}
    assert {event.payload["service"] for event in found} == {"nightly-batch"}
    assert all(event.actor for event in found)
    for secret in (issued.token.reveal()[21:], second.token.reveal()[21:]):
        assert secret not in repr([event.payload for event in found])


def test_a_token_whose_event_cannot_be_written_is_not_made(credentials, engine):
    with writing(engine) as connection:
        connection.execute(text("ALTER TABLE aiguard_audit_payloads RENAME TO gone"))
    with pytest.raises(StoreError):
        make(credentials)
    assert credentials.known() == []


# --- what an attacker who can write to the database can do ---


def change(engine, sql, **values):
    with writing(engine) as connection:
        assert connection.execute(text(sql), values).rowcount


def test_a_row_that_was_copied_under_another_id_opens_nothing(credentials, guard, engine):
    mine, theirs = make(credentials), make(credentials, service="admin-console", scopes=["admin:all"])
    change(
        engine,
        "UPDATE aiguard_service_tokens SET sealed = (SELECT sealed FROM aiguard_service_tokens WHERE id = :theirs) "
        "WHERE id = :mine",
        mine=mine.known.id,
        theirs=theirs.known.id,
    )
    refused = refusal(guard[0], mine, ControlFailed)
    assert [reason.code for reason in refused.reasons] == ["token.integrity"]
    assert bearer_actor(guard[0], header(theirs)) is not None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE aiguard_service_tokens SET expires_at = '2099-01-01 00:00:00.000000' WHERE id = :id",
        "UPDATE aiguard_service_tokens SET created_at = '2099-01-01 00:00:00.000000' WHERE id = :id",
        "UPDATE aiguard_service_tokens SET revoked_at = NULL WHERE id = :id",
        "UPDATE aiguard_service_tokens SET revoked_at = expires_at WHERE id = :id",
        "UPDATE aiguard_service_tokens SET sealed = (SELECT sealed FROM aiguard_service_tokens WHERE id <> :id) WHERE id = :id",
        "UPDATE aiguard_service_tokens SET id = 'aig_other' WHERE id = :id",
        "DELETE FROM aiguard_service_tokens WHERE id = :id",
        "INSERT INTO aiguard_service_tokens SELECT 'aig_other', service, created_at, expires_at, revoked_at, NULL, sealed FROM aiguard_service_tokens WHERE id = :id",
    ],
)
def test_a_revoked_token_stays_revoked(credentials, guard, engine, statement):
    make(credentials)
    issued = make(credentials)
    credentials.revoke(id=issued.known.id, now=NOW)
    with pytest.raises(DBAPIError, match="a token only ends sooner"), writing(engine) as connection:
        connection.execute(text(statement), {"id": issued.known.id})
    assert [reason.code for reason in refusal(guard[0], issued).reasons] == ["token.revoked"]


def test_a_row_is_not_replaced_and_a_used_token_can_be_noted_as_such(credentials, guard, engine):
    issued = make(credentials)
    if engine.dialect.name == "sqlite":
        again = "REPLACE INTO aiguard_service_tokens SELECT * FROM aiguard_service_tokens WHERE id = :id"
        with pytest.raises(DBAPIError, match="a token only ends sooner"), writing(engine) as connection:
            connection.execute(text(again), {"id": issued.known.id})
    change(engine, "UPDATE aiguard_service_tokens SET last_used_at = created_at WHERE id = :id", id=issued.known.id)
    assert bearer_actor(guard[0], header(issued)) is not None


def test_the_seal_from_before_a_rotation_gives_no_more_time(credentials, guard, engine):
    issued = make(credentials)
    seal = "SELECT sealed FROM aiguard_service_tokens WHERE id = :id"
    with reading(engine) as connection:
        before = connection.execute(text(seal), {"id": issued.known.id}).scalar_one()
    credentials.rotate(issued.known.id, now=NOW, overlap=timedelta())
    assert [reason.code for reason in refusal(guard[0], issued).reasons] == ["token.expired"]
    change(engine, "UPDATE aiguard_service_tokens SET sealed = :seal WHERE id = :id", seal=before, id=issued.known.id)
    assert [reason.code for reason in refusal(guard[0], issued, ControlFailed).reasons] == ["token.integrity"]


def test_a_token_sealed_with_a_key_that_is_gone_is_refused_and_can_be_listed_and_revoked(credentials, engine):
    issued = make(credentials)
    other = Credentials(engine=engine, keyring=MasterKeyRing([b"x" * 32]), policy=Policy())
    guard, _ = make_guard(tokens=tables.TokenTable(engine, other.keyring))
    assert refusal(guard, issued, ControlFailed).http_status == 503
    assert other.known() == [(issued.known.id, "nightly-batch", None)]
    assert other.revoke(id=issued.known.id, now=NOW) == (issued.known.id,)


def test_tokens_stay_good_when_a_newer_key_is_added(credentials, engine):
    issued = make(credentials)
    guard, _ = make_guard(tokens=tables.TokenTable(engine, MasterKeyRing([b"k" * 32, b"x" * 32])))
    assert bearer_actor(guard, header(issued)) is not None


# --- when something is broken ---


def test_nobody_is_let_in_while_the_database_cannot_be_asked(credentials, guard, engine):
    issued = make(credentials)
    with writing(engine) as connection:
        connection.execute(text("ALTER TABLE aiguard_service_tokens RENAME TO gone"))
    refused = refusal(guard[0], issued, ControlFailed)
    assert (refused.http_status, refused.reasons[0].code) == (503, "store.unavailable")


def test_a_refusal_that_cannot_be_recorded_is_503_and_still_a_refusal(credentials, engine, keyring):
    recorder = MemoryRecorder(fail_from=1)
    guard, _ = make_guard(tokens=tables.TokenTable(engine, keyring), recorder=recorder)
    with pytest.raises(ControlFailed):
        bearer_actor(guard, "Bearer nonsense")


def test_no_frame_of_a_refusal_holds_the_token_that_was_shown(credentials, guard):
    issued = make(credentials)
    credentials.revoke(id=issued.known.id, now=NOW)
    for shown in (issued.token.reveal(), issued.token.reveal() + "x"):
        with pytest.raises(NotAuthenticated) as raised:
            guard[0].tokens.authenticate(f"Bearer {shown}")
        ours = [frame for frame in frames(raised.value) if frame.f_globals["__name__"].startswith("aiguard.")]
        assert [frame.f_code.co_name for frame in ours] == ["authenticate"]
        assert all(shown[21:60] not in repr(frame.f_locals) for frame in ours)
        assert raised.value.__context__ is None
        assert shown[21:60] not in str(raised.value)


def frames(error):
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame
        step = step.tb_next


# --- use ---


def test_the_first_use_is_in_the_log_and_the_last_one_in_the_row_at_most_once_a_minute(credentials, engine, keyring):
    writer: Any = Writer(engine, keyring, {**audit.MAPPERS, **tables.MAPPERS})
    moments = iter([NOW + timedelta(seconds=5), *[NOW + timedelta(seconds=10)] * 9])
    guard, _ = make_guard(tokens=tables.TokenTable(engine, keyring), recorder=writer, clock=lambda: next(moments))
    issued = make(credentials)
    assert all(bearer_actor(guard, header(issued)) for _ in range(3))
    writer.close()
    ((_, _, known),) = credentials.known()
    assert NOW + timedelta(seconds=5) <= known.last_used_at <= NOW + timedelta(seconds=10)
    assert [event.type for event in events(engine, keyring)] == ["credential.created", "credential.first_used"]


def test_an_earlier_use_that_is_written_late_does_not_turn_the_clock_back(credentials, engine, keyring):
    issued = make(credentials)
    writer = Writer(engine, keyring, tables.MAPPERS)
    for minutes in (5, 3):
        writer.commit([CredentialUse(credential=issued.known.id, at=NOW + timedelta(minutes=minutes))]).result(5)
    writer.close()
    ((_, _, known),) = credentials.known()
    assert known.last_used_at == NOW + timedelta(minutes=5)


class Stuck(MemoryRecorder):
    """Takes records and never says what became of them."""

    def commit(self, records):
        super().commit(records)
        return Future()


def test_a_caller_does_not_wait_until_the_use_is_written(credentials, engine, keyring):
    guard, recorder = make_guard(tokens=tables.TokenTable(engine, keyring), recorder=Stuck())
    issued = make(credentials)
    assert bearer_actor(guard, header(issued)) is not None
    assert bearer_actor(guard, header(issued)) is not None
    assert [type(record) for record in recorder.records] == [CredentialUse, AuditRecord]


def test_a_use_that_cannot_be_noted_holds_nobody_up(credentials, engine, keyring):
    recorder = MemoryRecorder(fail_from=1)
    guard, _ = make_guard(tokens=tables.TokenTable(engine, keyring), recorder=recorder)
    assert bearer_actor(guard, header(make(credentials))) is not None
