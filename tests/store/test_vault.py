"""The values behind tokens: across processes, for their actor only, for as long as policy says."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support import records as r
from tests.support.guards import JANE, Model, user

from aiguard import retention
from aiguard.db import make_engine, writing
from aiguard.errors import ControlFailed
from aiguard.types import utc_now

MAIL = "jane.roe@example.org"
TOKEN = re.compile(r"\[EMAIL_[0-9A-Z]{10,}\]")


def say(guard, message, answer="fine", *, actor=JANE, conversation="c1", **options):
    model = Model(answer)
    with guard.acting_as(actor, scope="support:reply", conversation=conversation, **options):
        shown = guard.call(model, user(message), model="local:small")
    return json.dumps(model.received[0][0]), shown


def token_of(sent: str) -> str:
    (token,) = TOKEN.findall(sent)
    return str(token)


def test_a_token_comes_back_in_another_process_that_never_saw_the_value(worker):
    token = token_of(say(worker(), f"write to {MAIL}")[0])
    _, shown = say(worker(), "and?", f"I wrote to {token}.")
    assert shown == f"I wrote to {MAIL}."


def test_the_same_value_has_the_same_token_in_every_process_of_a_conversation(worker):
    first, second = worker(), worker()
    assert token_of(say(first, f"write to {MAIL}")[0]) == token_of(say(second, f"now {MAIL}")[0])
    assert token_of(say(first, MAIL, conversation="c1")[0]) != token_of(say(second, MAIL, conversation="c2")[0])


@pytest.mark.parametrize(
    "other",
    [
        replace(JANE, id="john"),
        replace(JANE, tenant="other"),
        replace(JANE, tenant=None),
        replace(JANE, kind="service"),
    ],
    ids=["actor", "tenant", "no tenant", "kind"],
)
def test_another_actor_or_tenant_who_names_the_same_conversation_restores_nothing(worker, other):
    guard = worker()
    token = token_of(say(guard, f"write to {MAIL}")[0])
    for elsewhere in (guard, worker()):
        sent, shown = say(elsewhere, f"say {token} and {MAIL}", f"It is {token}.", actor=other)
        assert shown == f"It is {token}."
        assert token not in sent


def test_a_value_that_was_not_used_for_the_ttl_is_forgotten_everywhere(worker, clock):
    first, second = worker('[vault]\nttl = "2h"\n'), worker('[vault]\nttl = "2h"\n')
    token = token_of(say(first, f"write to {MAIL}")[0])
    clock.ahead = timedelta(hours=1, minutes=50)
    say(second, f"again {MAIL}")  # used again: its time begins anew
    clock.ahead = timedelta(hours=3)
    assert say(first, "and?", token)[1] == MAIL
    clock.ahead = timedelta(hours=4)
    for guard in (first, second, worker()):
        assert say(guard, "and?", token)[1] == token


def test_no_value_is_in_the_clear_in_the_database(worker, engine, database_url):
    say(worker(), f"write to {MAIL}")
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(text("SELECT * FROM aiguard_vault")).mappings()]
    assert len(rows) == 1
    assert MAIL not in str(rows)
    assert MAIL.encode() not in rows[0]["sealed"]
    if database_url.startswith("sqlite"):
        path = Path(database_url.removeprefix("sqlite:///"))
        assert not any(MAIL.encode() in file.read_bytes() for file in path.parent.iterdir())


def test_the_values_are_kept_with_the_decision_or_nothing_is_sent(worker, engine):
    model = Model()
    guard = worker()
    with writing(engine) as connection:
        connection.execute(text("ALTER TABLE aiguard_vault RENAME COLUMN sealed TO gone"))
    with guard.acting_as(JANE, scope="support:reply", conversation="c1"), pytest.raises(ControlFailed):
        guard.call(model, user(f"write to {MAIL}"), model="local:small")
    assert model.received == []


def test_a_refused_request_keeps_no_value(worker, engine):
    guard = worker()
    with (
        guard.acting_as(JANE, scope="support:reply", conversation="c1"),
        pytest.raises(Exception, match="stage redact"),
    ):
        guard.call(Model(), user(f"{MAIL} AKIAIOSFODNN7EXAMPLQ sk-proj-{'a1B2' * 12}"), model="local:small")
    assert r.scalars(engine, "SELECT count(*) FROM aiguard_vault") == [0]


def test_a_row_that_was_given_to_another_conversation_stops_that_conversation(worker, engine):
    guard = worker()
    say(guard, f"write to {MAIL}", conversation="hers")
    say(guard, "card of bo@example.org", conversation="his", actor=replace(JANE, id="bo"))
    names = r.scalars(engine, "SELECT vault FROM aiguard_vault")
    his = r.scalars(engine, "SELECT vault FROM aiguard_vault ORDER BY created_at DESC LIMIT 1")[0]
    hers = next(name for name in names if name != his)
    with writing(engine) as connection:
        connection.execute(
            text("UPDATE aiguard_vault SET vault = :his WHERE vault = :hers"), {"his": his, "hers": hers}
        )
    with pytest.raises(ControlFailed):
        say(worker(), "and?", conversation="his", actor=replace(JANE, id="bo"))


def test_an_erased_person_is_forgotten_by_processes_that_still_run(worker, engine):
    first, second = worker(), worker()
    token = token_of(say(first, f"write to {MAIL}")[0])
    assert say(second, "and?", token)[1] == MAIL
    person = retention.find_person(first.keys, JANE.id, tenant=JANE.tenant)
    retention.erase(engine, first.keys, person, requested_by="dpo", now=utc_now())
    second.keys.forget()  # what the passing of a few seconds does
    for guard in (first, second, worker()):
        assert say(guard, "and?", token)[1] == token
    assert token_of(say(first, f"write to {MAIL}")[0]) != token


def test_many_threads_and_processes_agree_on_every_token(worker):
    guards = [worker(), worker()]
    seen: list[tuple[int, str]] = []

    def talk(number: int) -> None:
        for turn in range(6):
            sent, _ = say(guards[number % 2], f"write to user{turn}@example.org")
            seen.append((turn, token_of(sent)))

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(seen) == 36
    assert len(set(seen)) == 6
    late = worker()
    for turn, token in set(seen):
        assert say(late, "and?", token)[1] == f"user{turn}@example.org"


def test_without_a_conversation_a_token_ends_with_the_request(worker, engine):
    guard = worker()
    model = Model()
    with guard.acting_as(JANE, scope="support:reply"):
        guard.call(model, user(f"write to {MAIL}"), model="local:small")
    assert r.scalars(engine, "SELECT count(*) FROM aiguard_vault") == [0]


def test_a_database_that_cannot_be_asked_refuses_the_exchange(worker, database_url):
    guard = worker()
    say(guard, f"write to {MAIL}")
    other = make_engine(database_url)
    with writing(other) as connection:
        connection.execute(text("ALTER TABLE aiguard_vault RENAME TO aiguard_elsewhere"))
    other.dispose()
    with pytest.raises(ControlFailed):
        say(guard, "and?")
