"""What is under way while its person is erased: nothing of it is kept as about somebody new, and what happened is on record."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session
from tests.support import records as r

from aiguard import Actor, retention
from aiguard.audit import tail
from aiguard.audit.outbox import drain
from aiguard.db import Writer, make_engine
from aiguard.errors import AccessDenied, StoreError, SubjectErased
from aiguard.retention import NobodyKnown, find_person
from aiguard.types import BoundName, utc_now

MORE = """
[features.plain]
scope = "plain"
owner = "support"
models = ["local:small"]

[retention.eval]
duration = "30d"
basis = "law"
owner = "dpo"
mechanism = "delete"
"""
JANE = Actor(id="jane", scopes=frozenset({"support:reply", "plain"}))


@pytest.fixture
def guard(worker):
    return worker(MORE)


@pytest.fixture
def engine(database_url, guard):
    """The guard has made the tables."""
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


def erase(engine, guard):
    person = find_person(guard.keys, "jane")
    return retention.erase(engine, guard.keys, person, requested_by="dpo", now=utc_now())


def model(messages, **_):
    return "an answer"


def count(engine, table="artifacts"):
    return r.scalars(engine, f"SELECT count(*) FROM aiguard_{table}")[0]


def named(engine, guard, decision_id):
    return [
        (event.type, event.actor, event.subject)
        for event in tail(engine, guard.keys, 50)
        if event.decision_id == decision_id
    ]


def test_an_answer_that_comes_after_the_erasure_is_withheld_and_nothing_of_the_exchange_is_kept(engine, guard):
    def slow(messages, **_):
        erase(engine, guard)
        return "an answer"

    with (
        guard.acting_as(JANE, scope="support:reply"),
        pytest.raises(AccessDenied, match="erased since they were admitted") as refused,
    ):
        guard.call(slow, "What did I order?", model="local:small")
    assert [reason.code for reason in refused.value.reasons] == ["subject.erased"]
    assert count(engine) == 0
    with pytest.raises(NobodyKnown):
        erase(engine, guard)
    events = named(engine, guard, refused.value.decision_id)
    assert {type for type, _, _ in events} == {"exchange.decided", "output.blocked"}
    assert ("output.blocked", "", "") in events

    with guard.acting_as(JANE, scope="support:reply"):  # admitted again, they are somebody new
        guard.call(model, "Hello again", model="local:small")
    assert count(engine) == 2
    assert "What did I order" not in str(
        retention.export(engine, guard.keys, find_person(guard.keys, "jane"), by="dpo", now=utc_now())
    )


def test_what_is_begun_under_an_admission_from_before_is_refused_before_anything_is_sent(engine, guard):
    sent: list[object] = []
    with guard.acting_as(JANE, scope="support:reply", conversation="case 7"):
        guard.call(model, "Write to bo@example.org", model="local:small")
        erase(engine, guard)
        with pytest.raises(AccessDenied):
            guard.call(lambda messages, **_: sent.append(messages), "Write to ann@example.org", model="local:small")
        with pytest.raises(SubjectErased):
            guard.artifacts.keep("eval", "helpful: 4 of 5")
    assert (sent, count(engine), count(engine, "vault")) == ([], 0, 0)


def test_a_stream_ends_in_a_refusal_and_is_not_kept(engine, guard):
    def streaming(messages, **_):
        yield "an "
        erase(engine, guard)
        yield "answer"

    with guard.acting_as(JANE, scope="support:reply"), pytest.raises(AccessDenied):
        list(guard.stream(streaming, "What did I order?", model="local:small"))
    assert count(engine) == 0


def test_where_nothing_is_kept_the_answer_is_delivered_and_its_events_name_nobody(engine, guard):
    def slow(messages, **_):
        erase(engine, guard)
        return "an answer"

    with guard.acting_as(JANE, scope="plain"):
        assert guard.call(slow, "What did I order?", model="local:small") == "an answer"
        guard.record("app.sent", payload={"count": 1})
        with Session(engine) as session:
            guard.record("app.stored", session=session)
            session.commit()
    drain(engine, guard.keys)
    last = {event.type: (event.actor, event.subject) for event in tail(engine, guard.keys, 20)}
    assert last["exchange.completed"] == last["app.sent"] == last["app.stored"] == ("", "")
    with pytest.raises(NobodyKnown):
        erase(engine, guard)


def test_a_caller_from_before_and_one_from_after_who_share_a_transaction_are_told_apart(engine, guard, monkeypatch):
    lookup = guard.names(JANE, "jane")["subject"]
    before, after = BoundName(lookup), BoundName(lookup)
    writer = Writer(engine, guard.keys, guard.hands.recorder._mappers)
    writer.commit([r.artifact(actor=before, subject=before, content="first")]).result(5)
    guard.keys.store.destroy([lookup])
    guard.keys.forget()
    with writer._busy:  # both are waiting when the writer's thread goes on
        late = writer.commit([r.artifact(actor=before, subject=before)])
        new = writer.commit([r.artifact(actor=after, subject=after, content="new")])
        told = writer.commit([r.event(actor=before, subject=before)])
    assert isinstance(late.exception(5), SubjectErased)
    assert new.exception(5) is told.exception(5) is None
    writer.close()
    assert count(engine) == 2
    assert issubclass(SubjectErased, StoreError)
    assert r.scalars(engine, "SELECT count(DISTINCT subject) FROM aiguard_artifacts") == [2]
