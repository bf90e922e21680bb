from __future__ import annotations

import base64
import json
import stat
import sys

import pytest
from tests.support.commands import guard_here, run, state, talk
from tests.support.guards import JANE

from aiguard.db import make_engine
from aiguard.errors import SettingsError, StoreUnavailable
from aiguard.runtime import open_keys
from aiguard.settings import Settings
from aiguard.store import MasterKeyRing
from aiguard.store.datakeys import KeyWrapper

SENT = "write to jane.roe@example.org"

__all__ = ["state"]


def listed():
    return json.loads(run("keys", "list", "--json").stdout)["keys"]


def test_a_rotation_while_the_application_runs_interrupts_nobody(state):
    running = guard_here()
    talk(running, SENT)
    (before,) = listed()
    assert before["used_for"]["people"] == 2

    said = run("keys", "rotate").output
    old, new = listed()
    assert (old["id"], old["names_people"], old["seals"]) == (before["id"], True, False)
    assert new["seals"]
    assert new["id"] in said
    talk(running, SENT)  # still seals with the old key

    rewrapped = json.loads(run("keys", "rewrap", "--json").stdout)
    assert rewrapped == {"rewrapped": 2, "left": 0, "key": new["id"], "scrubbed": True}
    running.keys.forget()
    talk(running, SENT)  # meets a key that only the new file opens, and reads it again
    fresh = guard_here()
    talk(fresh, SENT)
    with running.acting_as(JANE, scope="support:reply", conversation="c1"):
        assert running.recorded_names(JANE, None) == fresh.recorded_names(JANE, None)
    for guard in (running, fresh):
        guard.close()
    assert "people" not in listed()[0]["used_for"]
    told = [line["type"] for line in map(json.loads, run("audit", "tail", "--json").stdout.splitlines())]
    assert (told.count("keys.rotated"), told.count("keys.rewrapped")) == (1, 1)


def test_the_key_file_stays_private_and_keeps_its_keys(state):
    run("db", "upgrade")
    run("keys", "rotate")
    before = (state / ".aiguard/master.key").read_bytes()
    run("keys", "rotate")
    file = state / ".aiguard/master.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes().startswith(before)
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []


def test_in_production_a_new_key_is_printed_to_be_set(state, monkeypatch):
    key = base64.b64encode(b"m" * 32).decode()
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "production")
    monkeypatch.setenv("AIGUARD_KEYS", key)
    result = run("keys", "rotate")
    assert len(base64.b64decode(result.stdout.split()[0])) == 32
    assert "AIGUARD_KEYS" in result.stderr


def test_keys_of_another_database_are_refused_before_anybody_becomes_a_stranger(state, monkeypatch):
    guard = guard_here()
    talk(guard, SENT)
    guard.close()
    monkeypatch.setenv("AIGUARD_KEYS", base64.b64encode(b"w" * 32).decode())
    for command in (
        ["prune", "--apply"],
        ["audit", "tail", "--reason", "x"],
        ["subject", "erase", "jane", "--tenant", "acme", "--yes"],
    ):
        assert "open none of them" in " ".join(run(*command, code=1).output.split())
    with pytest.raises(SettingsError, match="aiguard keys list"):
        guard_here()
    assert "NOT CONFIGURED" in run("keys", "list").output
    monkeypatch.delenv("AIGUARD_KEYS")
    again = guard_here()
    talk(again, SENT)
    again.close()


def test_a_key_that_is_needed_and_not_configured_is_named(state, monkeypatch):
    running = guard_here()
    talk(running, SENT)
    running.close()
    monkeypatch.setenv("AIGUARD_KEYS", base64.b64encode(b"n" * 32).decode())
    result = run("keys", "list")
    assert "NOT CONFIGURED" in result.stdout
    assert "cannot be read" in result.stderr
    run("keys", "rewrap", code=1)


class Vaulted:
    """A key management service: the key never leaves it."""

    kek = "kms/aiguard/1"

    def __init__(self) -> None:
        self.ring = MasterKeyRing([b"h" * 32])
        self.asked = 0
        self.down = False

    def wrap(self, key: bytes, *, aad: bytes) -> bytes:
        return self.ring.seal(key, aad=aad)

    def unwrap(self, wrapped: bytes, *, aad: bytes) -> bytes:
        if self.down:
            raise ConnectionError("arn:aws:kms:secret-detail")
        self.asked += 1
        return self.ring.open(wrapped, aad=aad)


SERVICE = Vaulted()


def service() -> KeyWrapper:
    return SERVICE


def keys_from_elsewhere() -> list[object]:
    return [b"m" * 32, base64.b64encode(b"n" * 32).decode()]


def nothing() -> list[bytes]:
    raise RuntimeError("the secret is hunter2")


def test_peoples_keys_can_be_wrapped_by_a_key_management_service(state, monkeypatch):
    monkeypatch.setenv("AIGUARD_KEY_WRAPPER", f"{__name__}:service")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    SERVICE.down = False
    guard = guard_here()
    talk(guard, SENT)
    assert [row["used_for"] for row in listed() if row["id"] == Vaulted.kek] == [{"people": 2}]
    asked = SERVICE.asked
    guard.keys._by_lookup.clear()
    SERVICE.down = True
    with pytest.raises(StoreUnavailable, match="ConnectionError") as failed:
        guard.recorded_names(JANE, None)
    assert "secret-detail" not in str(failed.value)
    SERVICE.down = False
    talk(guard, SENT)
    assert SERVICE.asked > asked
    guard.close()


def test_an_unchanged_key_is_not_unwrapped_again_when_it_is_checked_for(state):
    engine = make_engine("sqlite:///own.db")
    from aiguard.db import upgrade

    upgrade(engine)
    wrapper = Vaulted()
    settings = Settings.load()
    ring = open_keys(settings, engine, wrapper=wrapper)
    ring.validity = 0.0  # every use asks the store again
    for _ in range(5):
        ring.subject_keys(["A" * 26])
    assert wrapper.asked == 1
    ring.forget()
    ring.subject_keys(["A" * 26])
    assert wrapper.asked == 2
    engine.dispose()


def test_master_keys_can_come_from_a_function(state, monkeypatch):
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "production")
    monkeypatch.setenv("AIGUARD_KEYS_CALLABLE", f"{__name__}:keys_from_elsewhere")
    run("db", "upgrade")
    assert [row["names_people"] for row in listed()] == [True, False]


@pytest.mark.parametrize("path", ["nonsense", "no.such.module:keys", f"{__name__}:missing", f"{__name__}:nothing"])
def test_a_function_that_gives_no_keys_stops_the_start_and_is_not_quoted(state, monkeypatch, path):
    monkeypatch.setenv("AIGUARD_KEYS_CALLABLE", path)
    with pytest.raises(SettingsError, match="AIGUARD_KEYS_CALLABLE") as refused:
        guard_here()
    assert "hunter2" not in str(refused.value)


def test_a_wrapper_that_is_none_stops_the_start(state):
    with pytest.raises(SettingsError, match="wrapper"):
        guard_here(wrapper=object())
