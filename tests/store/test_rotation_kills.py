"""``kill -9`` at any step of a rotation: no key is lost, none is undecryptable, and the next run ends it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support import records as r
from tests.support.commands import guard_here, run, state, talk

from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing
from aiguard.store.keys import append_key, load_or_create_key_file

__all__ = ["state"]

ROOT = Path(__file__).parents[2]
OLD, BOTH, NEW = (MasterKeyRing(keys) for keys in ([b"o" * 32], [b"o" * 32, b"n" * 32], [b"n" * 32]))
MANY = 330
SCRIPT = """
import os, signal, sys
from sqlalchemy import event
from aiguard.db import make_engine
from aiguard.store import KeyStore, MasterKeyRing
engine, where, left = make_engine(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def step(at):
    global left
    if at == where:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
class Ring(MasterKeyRing):
    def wrap(self, key, *, aad):
        step("wrap")
        return super().wrap(key, aad=aad)
event.listen(engine, "commit", lambda _connection: step("commit"))
event.listen(engine, "after_cursor_execute", lambda *seen: step("update") if seen[2].startswith("UPDATE") else None)
KeyStore(engine, apart=True).rewrap(Ring([b"o" * 32, b"n" * 32]), progress=lambda _count: step("told"))
"""
KILLS = [("wrap", 0), ("wrap", 37), ("update", 40), ("commit", 0), ("told", 0), ("update", 99), ("commit", 1)]


def child(script, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def test_people_keys_survive_any_number_of_kills_and_the_run_that_is_not_killed_ends_it(engine, database_url):
    keys = KeyStore(engine, apart=True)
    lookups = [OLD.pseudonym("subject", str(number)) for number in range(MANY)]
    before = {lookup: key.name for lookup, key in SubjectKeyRing(OLD, OLD, keys).subject_keys(lookups).items()}
    seen = set()
    for where, after in KILLS:
        killed = child(SCRIPT, database_url, where, after, cwd=ROOT)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        people = SubjectKeyRing(BOTH, BOTH, keys)
        assert {lookup: key.name for lookup, key in people.existing_keys(lookups).items()} == before
        seen.add(keys.counts().get(NEW.kek, 0))
    assert len(seen) > 2  # it went on from where it was
    assert child(SCRIPT, database_url, "nowhere", 0, cwd=ROOT).returncode == 0
    assert dict(keys.counts()) == {NEW.kek: MANY}
    assert {lookup: key.name for lookup, key in SubjectKeyRing(NEW, NEW, keys).existing_keys(lookups).items()} == before


def test_a_damaged_key_keeps_no_other_from_being_wrapped_anew_and_stays_as_it_is(engine):
    keys = KeyStore(engine, apart=True)
    lookups = [OLD.pseudonym("subject", str(number)) for number in range(MANY)]
    SubjectKeyRing(OLD, OLD, keys).subject_keys(lookups)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE aiguard_data_keys SET kek = 'strange' WHERE kek <> '' AND lookup = (SELECT min(lookup) FROM aiguard_data_keys)"
        )
    strange = "SELECT wrapped FROM aiguard_data_keys WHERE kek = 'strange'"
    whole = bytes(r.scalars(engine, strange)[0])
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE aiguard_data_keys SET wrapped = substr(wrapped, 1, 40) WHERE kek = 'strange'"
        )
    assert keys.rewrap(BOTH) == MANY - 1
    assert dict(keys.counts()) == {NEW.kek: MANY - 1, "strange": 1}
    assert bytes(r.scalars(engine, strange)[0]) == whole[:40]
    assert keys.rewrap(BOTH) == 0


def test_rotating_at_once_loses_no_key(tmp_path):
    path = tmp_path / "master.key"
    (first,) = load_or_create_key_file(path)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: append_key(path), range(24)))
    keys = load_or_create_key_file(path)
    assert keys[0] == first
    assert sorted(MasterKeyRing([key]).kek for key in keys[1:]) == sorted(made)


@pytest.mark.parametrize("step", ["os.fsync", "os.chown", "Path.replace"])
def test_a_rotation_that_is_killed_leaves_the_keys_as_they_were_and_the_next_one_clears_up(tmp_path, step):
    path = tmp_path / "master.key"
    (first,) = load_or_create_key_file(path)
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom aiguard.store.keys import append_key\n"
        f"{step} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\nappend_key(Path(sys.argv[1]))"
    )
    assert child(script, path).returncode == -signal.SIGKILL
    assert load_or_create_key_file(path) == (first,)
    (left,) = [each for each in tmp_path.iterdir() if each != path]
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    append_key(path)
    assert load_or_create_key_file(path)[0] == first
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_that_was_killed_before_it_could_tell_is_told_of_by_the_next(state):
    guard = guard_here()
    talk(guard, "write to jane.roe@example.org")
    guard.close()
    run("keys", "rotate")
    script = (
        "import os, signal\nimport aiguard.cli.keys as keys\nfrom aiguard.cli import main\n"
        "keys._tell = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\nmain(['keys', 'rewrap'])"
    )
    assert child(script, env=dict(os.environ)).returncode == -signal.SIGKILL
    assert "keys.rewrapped" not in run("audit", "tail", "--json").stdout
    assert "0 people's keys" in run("keys", "rewrap").stdout
    assert run("audit", "tail", "--json").stdout.count("keys.rewrapped") == 1
    again = guard_here()
    talk(again, "write to jane.roe@example.org")
    again.close()
