"""The catalogue: what each type of event means, what its payload holds, and that what the guard does itself is told under it."""

from __future__ import annotations

import ast
import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support import records as r
from tests.support.postgres import new_postgres

from aiguard import load_policy, open_guard
from aiguard.audit import CATALOGUE, changes, events, tail
from aiguard.audit.keeper import Keeper
from aiguard.audit.note import make_signer
from aiguard.audit.payload import PayloadRefused, check_record
from aiguard.audit.verify import Status, verify
from aiguard.cli import main
from aiguard.db import make_engine
from aiguard.settings import Settings
from aiguard.store import MasterKeyRing

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HASH = "sha256:" + "a" * 64
POLICY = """
[features.desk]
scope = "desk"
owner = "desk"
models = ["{model}"]
"""
EXAMPLES = {
    "an id": "chg_01ABC",
    "a name": "support-reply",
    "`sha256:` and 64 hex digits": HASH,
    "a date or an instant in UTC": "2026-03-01T12:00:00Z",
    "a count": 3,
    "an object of counts": {"aiguard_app": 2},
    "a sentence": "The provider asked for it.",
}
WRONG = "Mo, of all people"


def example(kind):
    if kind.called.startswith("one of "):
        return kind.called.removeprefix("one of ").split(", ")[0]
    if kind.called.startswith("a list, each of it "):
        return [EXAMPLES[kind.called.removeprefix("a list, each of it ")]]
    return EXAMPLES[kind.called]


SHAPED = [each for each in CATALOGUE.values() if each.shape is not None]


def test_every_type_says_what_it_means_in_one_sentence():
    assert all(each.meaning.endswith(".") and len(each.meaning) > 20 for each in CATALOGUE.values())
    assert {each.name.partition(".")[0] for each in SHAPED} == {
        "admin", "break_glass", "change", "exception", "incident", "policy", "review", "signing_key",
    }  # fmt: skip


@pytest.mark.parametrize("type", SHAPED, ids=[each.name for each in SHAPED])
def test_a_payload_of_a_type_with_a_shape_has_what_it_needs_and_nothing_else(type):
    required = {name: example(kind) for name, kind in type.shape.required.items()}
    whole = required | {name: example(kind) for name, kind in type.shape.optional.items()} | {"parent": "agd_1"}
    for payload in (required, whole):
        check_record(r.event(type=type.name, payload=payload))
    for name in required:
        rest = {other: value for other, value in required.items() if other != name}
        with pytest.raises(PayloadRefused, match=f"lacks {name}"):
            check_record(r.event(type=type.name, payload=rest))
    with pytest.raises(PayloadRefused, match="holds more than"):
        check_record(r.event(type=type.name, payload={**required, "colour": "red"}))
    for name, kind in {**type.shape.required, **type.shape.optional}.items():
        if kind.called == "a sentence":
            continue
        with pytest.raises(PayloadRefused) as refused:
            check_record(r.event(type=type.name, payload={**whole, name: {"of": "another-kind"}}))
        assert f"a {name} that is not {kind.called}" in str(refused.value)
        with pytest.raises(PayloadRefused) as refused:
            check_record(r.event(type=type.name, payload={**whole, name: WRONG}))
        assert WRONG not in str(refused.value)


@pytest.fixture
def opened(engine, tmp_path, monkeypatch):
    """Opens guards on one database, each with a policy that allows one model."""
    monkeypatch.chdir(tmp_path)

    def opened(model):
        path = tmp_path / f"{model.replace(':', '-')}.toml"
        path.write_text(POLICY.format(model=model), encoding="utf-8")
        settings = Settings.load({"AIGUARD_ENVIRONMENT": "test", "AIGUARD_LOG_PROTECTION": "false"}, {})
        return open_guard(settings, policy=load_policy(path, set()), engine=engine)

    return opened


def test_another_policy_than_before_is_on_record_once_and_the_same_is_not(opened, engine):
    first = opened("local:small")
    first.record("app.desk.opened")
    first.close()
    opened("local:small").close()
    second = opened("local:large")
    second.close()
    opened("local:large").close()
    third = opened("local:small")
    told = [event for event in tail(engine, third.keys) if event.type == "policy.loaded"]
    third.close()
    assert [(event.policy_hash, event.payload) for event in told] == [
        (second.policy.hash, {"before": first.policy.hash, "environment": "test"}),
        (first.policy.hash, {"before": second.policy.hash, "environment": "test"}),
    ]


def test_a_policy_that_many_processes_load_at_once_is_told_once(engine, writer, keyring):
    writer.commit([r.event()]).result(60)
    patient, begin = make_engine(engine.url, lock_timeout=20), threading.Barrier(4)

    def load(_number):
        begin.wait()
        return changes.policy_loaded(patient, keyring, HASH, environment="production", now=NOW)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(load, range(4))) == [False, False, False, True]
    patient.dispose()
    assert [event.type for event in tail(engine, keyring)] == ["exchange.decided", "policy.loaded"]


def test_a_governance_event_is_recorded_by_a_guard_as_any_other_and_refused_out_of_shape(opened, engine):
    guard = opened("local:small")
    asked = {"change": "chg_1", "kind": "prompt", "object": "support-reply", "after": HASH, "detail": "Says please."}
    guard.record("change.requested", payload=asked)
    with pytest.raises(PayloadRefused, match="lacks until"):
        guard.record("exception.requested", payload={"exception": "exc_1", "feature": "desk", "control": "redact"})
    told = tail(engine, guard.keys)
    guard.close()
    assert [(event.type, event.payload) for event in told] == [("change.requested", asked)]


APPLICATIONS = {"break_glass", "change", "exception", "incident", "review"}
"""Families of types that applications record with ``guard.record``; all others are recorded by what is in ``src``."""

BODIES = ("request.", "response.")
"""What is recorded of both is named once, ``f"{what}.scrubbed"``."""

ROOT = Path(__file__).parents[2]


def test_what_applications_are_to_record_they_can(opened, engine):
    guard = opened("local:small")
    theirs = [each for each in SHAPED if each.name.partition(".")[0] in APPLICATIONS]
    for each in theirs:
        assert each.shape is not None
        guard.record(each.name, payload={name: example(kind) for name, kind in each.shape.required.items()})
    told = [event.type for event in tail(engine, guard.keys, 100)]
    guard.close()
    assert told == [each.name for each in theirs]


def test_every_other_type_is_recorded_by_something_and_read_back_by_some_test():
    ours = {name for name in CATALOGUE if name.partition(".")[0] not in APPLICATIONS}
    source = {path for path in (ROOT / "src").rglob("*.py") if path.name != "events.py"}
    assert ours - said_in(source) == set()
    assert ours - said_in((ROOT / "tests").rglob("test_*.py")) == set()


def said_in(paths):
    """The types that code names: as text, by their constant, or by the end of a text that is filled in (``f"{what}.scrubbed"``)."""
    constants = {value: name for name, value in vars(events).items() if name.isupper() and isinstance(value, str)}
    texts, names, ends = set(), set(), set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.JoinedStr(values=[ast.FormattedValue(), ast.Constant(value=str(end))]) if end.startswith("."):
                    ends.add(end)
                case ast.Constant(value=str(value)):
                    texts.add(value)
                case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
                    names.add(name)
    return {
        name
        for name in CATALOGUE
        if name in texts or constants[name] in names or (name.startswith(BODIES) and any(map(name.endswith, ends)))
    }


def test_other_signing_keys_are_on_record_under_their_own_first_checkpoint(engine, writer, keyring):
    old, new = (make_signer("example.com/log", seed * 32) for seed in (b"o", b"n"))

    def sign(*signers):
        writer.commit([r.event(at=NOW)]).result(60)
        trusted = (old.verifier, new.verifier)
        for _ in range(2):  # a second process finds nothing to tell
            Keeper(engine, signers, trusted=trusted, clock=lambda: NOW, keyring=keyring).sign()
        return [event.payload for event in tail(engine, keyring, 100) if event.type == "signing_key.changed"]

    name = {signer: f"ed25519-{signer.verifier.id.hex()}" for signer in (old, new)}
    both = sorted(name.values())
    assert sign(old) == []
    assert sign(old, new) == [{"keys": both, "before": [name[old]]}]
    assert sign(new)[1:] == [{"keys": [name[new]], "before": both}]
    report = verify(engine, [old.verifier, new.verifier], origin="example.com/log", keyring=keyring, now=NOW)
    assert (report.status, report.unsigned) == (Status.OK, 0)


def test_roles_that_were_granted_are_on_record_where_there_are_keys_and_a_warning_tells_where_not(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    url = new_postgres()
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "production")
    monkeypatch.setenv("AIGUARD_DATABASE_URL", url)
    without = CliRunner().invoke(main, ["db", "roles", "--apply"])
    assert without.exit_code == 0, without.output
    assert "not be on record" in without.output
    monkeypatch.setenv("AIGUARD_KEYS", base64.b64encode(b"m" * 32).decode())
    done = CliRunner().invoke(main, ["db", "roles", "--apply"])
    assert (done.exit_code, "warning" in done.output) == (0, False), done.output
    engine = make_engine(url)
    (event,) = tail(engine, MasterKeyRing([b"m" * 32]))
    engine.dispose()
    assert (event.type, event.payload["act"]) == ("admin.acted", "db.roles")
    assert event.payload["counts"] == {"aiguard_app": 0, "aiguard_auditor": 0, "aiguard_retention": 0}
