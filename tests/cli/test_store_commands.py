from __future__ import annotations

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner
from tests.support import records as r

from aiguard import audit, retention, store
from aiguard.audit.outbox import put
from aiguard.cli import main
from aiguard.db import Writer, make_engine, upgrade, writing
from aiguard.store import MasterKeyRing, load_or_create_key_file
from aiguard.types import new_id, utc_now


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A development set-up in a directory of its own, as settings find it."""
    for name in ("AIGUARD_DATABASE_URL", "AIGUARD_KEYS", "AIGUARD_KEYS_FILE", "AIGUARD_KEY_FILE", "AIGUARD_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "development")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [*arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def filled(state):
    """One request that was answered, one that was refused."""
    run("db", "upgrade")
    keyring = MasterKeyRing(load_or_create_key_file(".aiguard/master.key"))
    engine = make_engine("sqlite:///.aiguard/aiguard.db")
    writer = Writer(engine, keyring, {**audit.MAPPERS, **store.MAPPERS})
    request, exchange, refused = (new_id("agd") for _ in range(3))
    prompt = r.artifact(exchange, expires_at=utc_now() + timedelta(days=30), content="the kept prompt")
    output = r.artifact(exchange, data_class="output", expires_at=utc_now() - timedelta(days=1))
    access = {"effect": "allow", "stage": "admit", "scope": "support:reply", "route": "/reply", "kind": "user"}
    decided = {
        "parent": request,
        "model": "openai:gpt-5-mini",
        "endpoint": "responses",
        "findings": {"EMAIL_ADDRESS": {"tokenize": 2}, "CREDIT_CARD": {"mask": 1}},
        "sensitivity": "restricted",
        "effect": "allow",
        "stage": "send",
        "injection": {"score": 0.55, "signatures": ["ignore-previous"]},
        "input_tokens_bound": 412,
        "max_output_tokens": 800,
    }
    completed = {
        "parent": request,
        "usage": {"input_tokens": 120, "output_tokens": 30},
        "elapsed_ms": 412.5,
        "artifacts": [prompt.id, output.id],
    }
    for record in (
        r.event(request, type="access.allowed", payload={**access, "reasons": ["scope.granted"]}),
        r.event(exchange, payload=decided),
        r.event(exchange, type="exchange.completed", payload=completed),
        r.event(refused, type="access.denied", payload={**access, "effect": "block", "reasons": ["scope.missing"]}),
    ):
        writer.commit([record]).result(5)
    writer.commit([prompt, output]).result(5)
    writer.close()
    yield {"request": request, "exchange": exchange, "refused": refused, "engine": engine}
    engine.dispose()


def test_a_missing_database_is_one_clear_block_and_makes_no_file(state):
    for command in (["audit", "tail"], ["explain", "agd_x"], ["prune"], ["db", "check"]):
        result = run(*command, code=1)
        assert "aiguard db upgrade" in result.output
        assert "Traceback" not in result.output
    assert not (state / ".aiguard").exists()


def test_a_database_of_another_revision_is_refused_with_the_command(state):
    make_engine("sqlite:///.aiguard/aiguard.db").dispose()
    assert "aiguard db upgrade" in run("audit", "tail", code=1).output
    run("db", "check", code=1)
    run("db", "upgrade")
    run("db", "check")
    engine = make_engine("sqlite:///.aiguard/aiguard.db")
    upgrade(engine)
    engine.dispose()


def test_a_trigger_that_was_replaced_or_taken_away_is_told_by_name_and_exit_code(state):
    run("db", "upgrade")
    name = "aiguard_holds_over"
    engine = make_engine("sqlite:///.aiguard/aiguard.db")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    assert f"the trigger {name}, which refuses changes, is not there" in run("db", "check", code=4).output
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TRIGGER {name} BEFORE DELETE ON aiguard_holds BEGIN SELECT 1; END")
    assert f"the trigger {name}, which refuses changes, was replaced" in run("db", "check", code=3).output
    engine.dispose()


def test_what_somebody_added_to_our_tables_is_told_by_db_check(state):
    run("db", "upgrade")
    engine = make_engine("sqlite:///.aiguard/aiguard.db")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER quiet BEFORE DELETE ON aiguard_artifacts BEGIN SELECT RAISE(IGNORE); END"
        )
    assert "the trigger quiet on aiguard_artifacts is not ours" in run("db", "check", code=4).output
    engine.dispose()


def test_db_check_tells_of_rows_in_the_outbox_that_are_not_what_was_put_there(filled):
    keyring = MasterKeyRing(load_or_create_key_file(".aiguard/master.key"))
    with writing(filled["engine"]) as connection:
        put(connection, [r.event(), r.event()], keyring)
    run("db", "check")
    with writing(filled["engine"]) as connection:
        connection.exec_driver_sql("UPDATE aiguard_audit_outbox SET sealed = x'00' WHERE id = 2")
    told = run("db", "check", code=3).output
    assert "1 rows of the audit outbox are not what was put there, and stay there: 2" in told


def test_db_check_tells_of_rows_in_the_outbox_whose_master_key_is_not_at_hand(filled):
    with writing(filled["engine"]) as connection:
        put(connection, [r.event()], MasterKeyRing([b"x" * 32]))
    assert "wait for a master key that is not at hand: 1" in run("db", "check", code=4).output


def test_what_somebody_added_to_a_key_store_apart_is_told_by_db_check(state, monkeypatch):
    monkeypatch.setenv("AIGUARD_KEY_STORE_URL", f"sqlite:///{state}/keys.db")
    run("db", "upgrade")
    run("db", "check")
    engine = make_engine(f"sqlite:///{state}/keys.db")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER stays BEFORE DELETE ON aiguard_data_keys BEGIN SELECT RAISE(IGNORE); END"
        )
    told = run("db", "check", code=4).output
    assert "the trigger stays on aiguard_data_keys of the key store is not ours" in told
    engine.dispose()


def test_tail_shows_the_newest_events_for_people_and_for_programs(filled):
    lines = run("audit", "tail", "-n", "2", "--reason", "ticket 7").output.splitlines()
    assert len(lines) == 2
    assert "access.denied" in lines[1]
    assert "scope.missing" in lines[1]
    events = [json.loads(line) for line in run("audit", "tail", "--json", "--reason", "x").output.splitlines()]
    assert [event["seq"] for event in events] == [0, 1, 2, 3, 4]
    assert events[0]["payload"]["scope"] == "support:reply"
    assert [event["type"] for event in events] == [
        "access.allowed", "exchange.decided", "exchange.completed", "access.denied", "log.read",
    ]  # fmt: skip


def test_explain_tells_the_whole_story_of_an_exchange(filled):
    told = run("explain", filled["exchange"]).output
    for part in (
        filled["request"],
        f"user {r.ACTOR}",
        "support-reply",
        r.POLICY,
        "/reply",
        "2 EMAIL_ADDRESS (turned into tokens)",
        "1 CREDIT_CARD (masked)",
        "restricted",
        "allow at stage send",
        "score 0.55 (ignore-previous)",
        "openai:gpt-5-mini responses",
        "at most 412 in, at most 800 out",
        "120 input_tokens, 30 output_tokens",
        "412.5 ms",
        "GDPR Art. 6(1)(f), owner privacy-office, then delete",
    ):
        assert part in told, part
    assert "the kept prompt" not in told
    assert filled["refused"] not in told


def test_explain_says_why_somebody_was_refused(filled):
    told = run("explain", filled["refused"]).output
    assert "the caller lacks the scope (scope.missing)" in told
    assert "Nothing of the content was kept." in told


def test_explain_speaks_json(filled):
    told = json.loads(run("explain", filled["request"], "--json").output)
    assert [event["type"] for event in told["events"]] == ["access.allowed", "exchange.decided", "exchange.completed"]
    assert sorted(each["data_class"] for each in told["kept"]) == ["output", "prompt"]


def readings(engine):
    keyring = MasterKeyRing(load_or_create_key_file(".aiguard/master.key"))
    return [event for event in audit.tail(engine, keyring, 100) if event.type == "log.read"]


@pytest.mark.parametrize("reason", [None, "ticket 7"])
def test_that_explain_opened_what_events_say_is_on_record(filled, reason):
    run("explain", filled["request"], *(["--reason", reason] if reason else []))
    (told,) = readings(filled["engine"])
    assert told.actor
    assert told.payload == {
        "how": "explain", "events": 3, "first": 0, "last": 2, "wanted": {"decision": filled["request"]},
        "note": reason or "asked for by its id",
    }  # fmt: skip


def test_explain_opens_nothing_without_payloads_and_leaves_no_record(filled, monkeypatch):
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "production")  # where there is no master key
    monkeypatch.setenv("AIGUARD_DATABASE_URL", "sqlite:///.aiguard/aiguard.db")
    told = run("explain", filled["exchange"], "--no-payloads").output
    assert "exchange.completed" in told
    assert "support-reply" in told
    assert "What the events say is not shown" in told
    assert "then delete" in told
    assert "EMAIL_ADDRESS" not in told
    shown = json.loads(run("explain", filled["exchange"], "--no-payloads", "--json").output)
    assert [("actor" in event, "payload" in event) for event in shown["events"]] == [(True, False)] * 3
    assert readings(filled["engine"]) == []


def test_explain_shows_rows_only_where_its_reading_cannot_be_put_on_record(filled, monkeypatch):
    filled["engine"].dispose()
    monkeypatch.setenv("AIGUARD_DATABASE_URL", "sqlite:///file:.aiguard/aiguard.db?mode=ro&uri=true")
    told = run("explain", filled["exchange"])
    assert "exchange.completed" in told.stdout
    assert "EMAIL_ADDRESS" not in told.stdout
    assert "could not be put on record" in told.stderr
    assert "read-only" in told.stderr
    shown = json.loads(run("explain", filled["exchange"], "--json").stdout)
    assert not any("payload" in event for event in shown["events"])


def test_explain_shows_nothing_for_a_reason_that_may_not_stand_in_the_log(filled):
    refused = run("explain", filled["exchange"], "--reason", "jane@example.org asked", code=1)
    assert refused.stdout == ""
    assert "jane" not in refused.stderr
    for arguments in (("--reason", " "), ("--reason", "ticket 7", "--no-payloads")):
        assert "--reason" in run("explain", filled["exchange"], *arguments, code=2).output
    assert readings(filled["engine"]) == []


def test_explain_of_an_unknown_id_fails_clearly(filled):
    assert "nothing is recorded under agd_x" in run("explain", "agd_x", code=1).output


def test_prune_only_plans_until_it_is_told_to_apply(filled):
    for arguments in ((), ("--dry-run",)):
        told = run("prune", *arguments).output
        assert "1 artifacts have expired, 1 stay; nothing was deleted" in told
        assert "privacy-office" in told
    assert json.loads(run("prune", "--json").output)["expired"] == 1
    done = json.loads(run("prune", "--apply", "--json").output)
    assert (done["deleted"], done["erased"]) == (1, True)
    assert retention.plan(filled["engine"], utc_now()).expired == 0
    story = run("explain", done["run_id"]).output
    assert "1 expired before" in story
    assert "1 output" in story
    assert "was kept and has been deleted" in run("explain", filled["exchange"]).output
    assert "deleted 0 expired artifacts" in run("prune", "--apply").output


def test_a_wrong_key_is_one_clear_block(filled, monkeypatch):
    monkeypatch.setenv("AIGUARD_KEYS", "d3Jvbmd3cm9uZ3dyb25nd3Jvbmd3cm9uZ3dyb25nMTI=")
    result = run("audit", "tail", "--reason", "ticket 7", code=1)
    assert "not configured" in result.output
    assert "Traceback" not in result.output


def test_production_opens_what_events_say_with_its_own_keys_only(filled, monkeypatch):
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "production")
    monkeypatch.setenv("AIGUARD_DATABASE_URL", "sqlite:///.aiguard/aiguard.db")
    assert "exchange.completed" in run("audit", "tail").output
    assert "AIGUARD_KEYS" in run("audit", "tail", "--reason", "ticket 7", code=1).output
    assert "AIGUARD_KEYS" in run("audit", "verify", "--payloads", code=1).output
    run("db", "check")
