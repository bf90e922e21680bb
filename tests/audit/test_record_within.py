from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from tests.support import records as r

from aiguard import Actor, load_policy, open_guard
from aiguard.audit import tail
from aiguard.audit.outbox import drain
from aiguard.audit.payload import PayloadRefused
from aiguard.settings import Settings

POLICY = """
[features.desk]
scope = "desk"
owner = "desk"
models = ["local:small"]
"""


@pytest.fixture
def guard(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    policy = tmp_path / "aiguard.toml"
    policy.write_text(POLICY, encoding="utf-8")
    settings = Settings.load({"AIGUARD_ENVIRONMENT": "test", "AIGUARD_LOG_PROTECTION": "false"}, {})
    guard = open_guard(settings, policy=load_policy(policy, set()), engine=engine)
    yield guard
    guard.close()


def test_an_applications_event_shares_the_fate_of_its_transaction(guard, engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE tickets (id INTEGER PRIMARY KEY)"))
    with (
        guard.acting_as(Actor(id="mira", scopes=frozenset({"desk"})), scope="desk") as access,
        Session(engine) as session,
    ):
        session.execute(text("INSERT INTO tickets (id) VALUES (1)"))
        guard.record("app.ticket.closed", payload={"ticket": 1}, session=session)
        session.rollback()
        session.execute(text("INSERT INTO tickets (id) VALUES (2)"))
        id = guard.record("app.ticket.closed", payload={"ticket": 2}, resource="desk", session=session)
        session.commit()
    assert id == access.decision_id
    drain(engine, guard.keys)
    events = [event for event in tail(engine, guard.keys) if event.type == "app.ticket.closed"]
    assert [(event.payload, event.decision_id, event.resource) for event in events] == [({"ticket": 2}, id, "desk")]
    assert events[0].actor == guard.recorded_names(Actor(id="mira"), None)["actor"]
    assert r.scalars(engine, "SELECT id FROM tickets") == [2]


def test_text_of_a_person_is_refused_with_a_session_as_without(guard, engine):
    with Session(engine) as session, pytest.raises(PayloadRefused):
        guard.record("app.ticket.closed", payload={"who": "mo@example.org"}, session=session)


def test_what_is_still_in_the_outbox_is_drained_when_the_guard_closes(guard, engine):
    with Session(engine) as session:
        guard.record("app.ticket.closed", session=session)
        session.commit()
    guard.close()
    assert [event.type for event in tail(engine, guard.keys)][-1] == "app.ticket.closed"
