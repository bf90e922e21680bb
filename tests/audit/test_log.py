from __future__ import annotations

import hashlib
import hmac
import json

import pytest
import rfc8785
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from tests.support import records as r

from aiguard.audit import append, story, tail
from aiguard.audit.merkle import leaf_hash
from aiguard.db import writing
from aiguard.db.mapping import Sealing
from aiguard.errors import IntegrityError, StoreError
from aiguard.store import MasterKeyRing
from aiguard.types import new_id


def execute(engine, sql, **values):
    with writing(engine) as connection:
        connection.execute(text(sql), values)


def without_triggers(engine, sql):
    """What somebody who owns the tables can do."""
    with writing(engine) as connection:
        if engine.dialect.name == "sqlite":
            names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
            for name in names:
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            for table in ("aiguard_audit_events", "aiguard_audit_payloads"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        connection.execute(text(sql))


def test_the_newest_events_come_last_and_as_they_were(engine, writer, keyring):
    events = [r.event(payload={"count": n}) for n in range(30)]
    for event in events:
        writer.commit([event]).result(60)
    found = tail(engine, keyring, 10)
    assert [(each.id, each.seq, each.payload["count"]) for each in found] == [
        (event.id, n, n) for n, event in list(enumerate(events))[20:]
    ]
    last, wrote = found[-1], events[-1]
    for name in ("type", "decision_id", "at", "actor", "tenant", "subject", "resource", "policy_hash"):
        assert getattr(last, name) == getattr(wrote, name)
    assert tail(engine, keyring, 0) == []


def test_a_leaf_is_canonical_json_that_commits_to_the_payload(engine, writer, keyring):
    writer.commit([r.event(payload={"b": 1, "a": ["X", 2.5]})]).result(60)
    with engine.connect() as connection:
        row = connection.execute(text("SELECT leaf, leaf_hash, id, subject FROM aiguard_audit_events")).one()
        sealed = connection.execute(text("SELECT sealed FROM aiguard_audit_payloads")).scalar_one()
    leaf = bytes(row.leaf)
    said = json.loads(leaf)
    assert leaf == rfc8785.dumps(said)
    assert bytes(row.leaf_hash) == leaf_hash(leaf) == hashlib.sha256(b"\x00" + leaf).digest()
    assert {
        "v",
        "log",
        "event_id",
        "writer",
        "type",
        "ts",
        "actor",
        "tenant",
        "resource",
        "policy_hash",
        "commit",
    } <= set(said)
    opened = keyring.open(bytes(sealed), aad=rfc8785.dumps(["aiguard/audit-payload", 1, row.id, row.subject]))
    salt, payload = opened[:32], opened[32:]
    assert payload == b'{"a":["X",2.5],"b":1}'
    assert said["commit"] == hmac.new(salt, payload, "sha256").hexdigest()
    assert payload not in leaf


def test_equal_payloads_have_different_commitments(engine, writer):
    writer.commit([r.event(), r.event()]).result(60)
    leaves = [json.loads(bytes(leaf)) for leaf in r.scalars(engine, "SELECT leaf FROM aiguard_audit_events")]
    assert leaves[0]["commit"] != leaves[1]["commit"]


def test_a_story_is_every_event_of_a_decision_and_of_those_made_under_it(engine, writer, keyring):
    request, exchange, retry, stranger = (new_id("agd") for _ in range(4))
    told = [
        r.event(request, type="access.allowed", payload={}),
        r.event(exchange, payload={"parent": request}),
        r.event(exchange, type="exchange.completed", payload={"parent": request}),
        r.event(retry, payload={"parent": exchange}),
        r.event(retry, type="exchange.failed", payload={"parent": exchange}),
    ]
    for event in (told[0], r.event(stranger), *told[1:], r.event(stranger)):
        writer.commit([event]).result(60)
    assert [event.id for event in story(engine, request, keyring=keyring)] == [event.id for event in told]
    assert [event.id for event in story(engine, exchange, keyring=keyring)] == [event.id for event in told[1:]]
    assert story(engine, retry, keyring=keyring)[0].parent_id == exchange
    assert story(engine, "agd_none", keyring=keyring) == []


def test_decisions_that_name_each_other_as_parents_do_not_loop(engine, writer, keyring):
    one, other = new_id("agd"), new_id("agd")
    writer.commit([r.event(one, payload={"parent": other}), r.event(other, payload={"parent": one})]).result(60)
    assert len(story(engine, one, keyring=keyring)) == 2


def test_text_of_a_person_does_not_reach_the_log(engine, writer):
    failure = writer.commit([r.event(payload={"why": "mo@example.org asked"})]).exception(5)
    assert isinstance(failure, StoreError)
    assert r.event_ids(engine) == []


def test_an_appended_event_stands_or_falls_with_its_transaction(engine, keyring):
    sealing = Sealing(keyring=keyring, writer="wrt_test")

    def fail_late():
        with writing(engine) as connection:
            append(connection, [r.event()], sealing)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_late()
    assert r.event_ids(engine) == []
    with writing(engine) as connection:
        append(connection, [r.event(), r.event()], sealing)
        append(connection, [], sealing)
    r.assert_log_is_whole(engine)


FORBIDDEN = [
    "UPDATE aiguard_audit_events SET type = 'access.allowed'",
    "UPDATE aiguard_audit_events SET seq = seq + 10",
    "DELETE FROM aiguard_audit_events",
    "DELETE FROM aiguard_audit_payloads",
    "UPDATE aiguard_audit_payloads SET seq = seq + 10",
    "UPDATE aiguard_audit_logs SET size = size - 1",
    "UPDATE aiguard_audit_logs SET log = 'other'",
    "UPDATE aiguard_audit_logs SET instance = 'other'",
    "DELETE FROM aiguard_audit_logs",
]
REPLACING = [
    "INSERT OR REPLACE INTO aiguard_audit_events SELECT * FROM aiguard_audit_events",
    "INSERT OR REPLACE INTO aiguard_audit_payloads SELECT * FROM aiguard_audit_payloads",
    "INSERT OR REPLACE INTO aiguard_audit_logs SELECT log, 0, instance FROM aiguard_audit_logs",
    (
        "REPLACE INTO aiguard_audit_events (log, seq, id, type, decision_id, parent_id, at, actor, tenant, subject, resource,"
        " policy_hash, leaf, leaf_hash) SELECT log, seq, 'evt_new', type, decision_id, parent_id, at, actor, tenant, subject,"
        " resource, policy_hash, leaf, leaf_hash FROM aiguard_audit_events"
    ),
]
TRUNCATING = ["TRUNCATE aiguard_audit_logs", "TRUNCATE aiguard_audit_payloads", "TRUNCATE aiguard_audit_events CASCADE"]
REPLICA = ["SET LOCAL session_replication_role = replica; DELETE FROM aiguard_audit_payloads"]


def test_the_database_refuses_to_change_what_was_recorded(engine, writer):
    writer.commit([r.event(), r.event()]).result(60)
    before = r.scalars(engine, "SELECT leaf FROM aiguard_audit_events ORDER BY seq")
    more = REPLACING if engine.dialect.name == "sqlite" else TRUNCATING + REPLICA
    for statement in FORBIDDEN + more:
        with pytest.raises(SQLAlchemyError, match="append-only"):
            execute(engine, statement)
    assert r.scalars(engine, "SELECT leaf FROM aiguard_audit_events ORDER BY seq") == before
    r.assert_log_is_whole(engine)


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE aiguard_audit_events SET type = 'access.allowed'",
        "UPDATE aiguard_audit_events SET actor = ''",
        "UPDATE aiguard_audit_events SET decision_id = 'agd_x'",
        "UPDATE aiguard_audit_events SET parent_id = 'agd_x'",
        "UPDATE aiguard_audit_events SET policy_hash = ''",
        "UPDATE aiguard_audit_events SET resource = 'other'",
        "UPDATE aiguard_audit_events SET at = '2020-01-01 00:00:00.000000'",
        "UPDATE aiguard_audit_events SET leaf_hash = leaf",
        "UPDATE aiguard_audit_payloads SET sealed = (SELECT leaf FROM aiguard_audit_events LIMIT 1)",
        "DELETE FROM aiguard_audit_payloads",
    ],
)
def test_a_forged_row_is_noticed_when_it_is_read(engine, writer, keyring, forgery):
    writer.commit([r.event()]).result(60)
    tail(engine, keyring)
    without_triggers(engine, forgery)
    with pytest.raises(IntegrityError):
        tail(engine, keyring)


def test_a_payload_of_another_event_is_noticed(engine, writer, keyring):
    writer.commit([r.event(payload={"n": 1}), r.event(payload={"n": 2})]).result(60)
    without_triggers(
        engine,
        "UPDATE aiguard_audit_payloads SET sealed = (SELECT p.sealed FROM aiguard_audit_payloads p "
        "WHERE p.seq <> aiguard_audit_payloads.seq)",
    )
    with pytest.raises(IntegrityError):
        tail(engine, keyring)


def test_another_key_does_not_read_the_log(engine, writer):
    writer.commit([r.event()]).result(60)
    with pytest.raises(IntegrityError):
        tail(engine, MasterKeyRing([b"w" * 32]))
