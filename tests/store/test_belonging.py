"""The data knows the key store that holds its keys: another one, or an empty one, is refused before anything is written."""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Table, delete, func, inspect, select
from tests.support.commands import run, talk
from tests.support.guards import JANE, POLICY
from tests.support.older import at_0023
from tests.support.postgres import new_postgres

from aiguard import open_guard
from aiguard.db import make_engine, reading, upgrade, writing
from aiguard.detect import known_types
from aiguard.errors import SettingsError
from aiguard.policy import parse_policy
from aiguard.settings import Environment, Settings
from aiguard.store import DataKeyRow, KeyStore, KnownKeyStore, belonging
from aiguard.store.keystore import IDENTITY
from aiguard.types import utc_now

MASTER = b"m" * 32
KEYS = cast("Table", DataKeyRow.__table__)
KNOWN = cast("Table", KnownKeyStore.__table__)


@pytest.fixture
def key_stores(backend, tmp_path):
    """The URLs of two key stores with a table and nothing in it."""
    urls = [
        new_postgres(empty=True) if backend == "postgresql" else f"sqlite:///{tmp_path}/keys{number}.db"
        for number in (1, 2)
    ]
    for url in urls:
        store = KeyStore(make_engine(url), apart=True)
        store.prepare()
        store.close()
    return urls


@pytest.fixture
def start(database_url):
    """Starts a production guard with a key store, has Jane say something, and closes it."""

    def start(key_store=None, said="hello", database=database_url):
        settings = Settings(
            environment=Environment.PRODUCTION,
            database=database,
            key_store=key_store,
            keys=(MASTER,),
            log_protection=False,
        )
        guard = open_guard(settings, policy=parse_policy(POLICY, "test policy", known_types()))
        try:
            talk(guard, said)
        finally:
            guard.close()

    return start


def keys_in(url):
    engine = make_engine(url)
    with reading(engine) as connection:
        there = inspect(connection).has_table(KEYS.name)
        found = connection.execute(select(func.count()).select_from(KEYS)).scalar_one() if there else 0
    engine.dispose()
    return found


def forget(url, table, *where):
    engine = make_engine(url)
    with writing(engine) as connection:
        connection.execute(delete(table).where(*where))
    engine.dispose()


def test_an_empty_key_store_is_refused_and_nothing_is_written_into_it(start, key_stores):
    mine, empty = key_stores
    start(mine)
    with pytest.raises(SettingsError, match=r"no identity.* is not the one"):
        start(empty)
    assert keys_in(empty) == 0
    start(mine)


def test_the_evidence_database_is_not_taken_for_the_key_store_when_the_setting_is_forgotten(
    start, key_stores, database_url
):
    start(key_stores[0])
    with pytest.raises(SettingsError, match="AIGUARD_KEY_STORE_URL is not set"):
        start(None)
    assert keys_in(database_url) == 0


def test_a_key_store_apart_is_refused_where_the_keys_are_beside_the_data(start, key_stores):
    start(None)
    with pytest.raises(SettingsError, match="not the one"):
        start(key_stores[0])
    start(None)


def test_the_key_store_of_other_data_is_refused(start, key_stores, backend, tmp_path):
    other = new_postgres() if backend == "postgresql" else f"sqlite:///{tmp_path}/other.db"
    engine = make_engine(other)
    upgrade(engine)
    engine.dispose()
    start(key_stores[0])
    start(key_stores[1], database=other)
    with pytest.raises(SettingsError, match="not the one"):
        start(key_stores[1])


def test_the_keys_of_the_newest_rows_decide_where_data_was_kept_before_there_were_identities(
    start, key_stores, database_url
):
    mine, empty = key_stores
    start(mine)
    forget(database_url, KNOWN)  # as an upgrade leaves it
    forget(mine, KEYS, KEYS.c.lookup == IDENTITY)
    with pytest.raises(SettingsError, match="not the one"):
        start(empty)
    assert keys_in(empty) == 0
    start(mine)
    with pytest.raises(SettingsError, match="not the one"):
        start(empty)


def test_a_backup_of_the_keys_from_before_there_were_identities_is_taken_for_what_it_is(start, key_stores):
    mine, _ = key_stores
    start(mine)
    forget(mine, KEYS, KEYS.c.lookup == IDENTITY)
    start(mine)
    store = KeyStore(make_engine(mine), apart=True)
    assert store.identity() is not None
    store.close()


def test_a_key_store_that_was_emptied_is_refused(start, key_stores):
    mine, _ = key_stores
    start(mine)
    forget(mine, KEYS)
    with pytest.raises(SettingsError, match="not the one"):
        start(mine)
    assert keys_in(mine) == 0


def test_of_two_first_starts_with_different_key_stores_one_is_refused(engine, key_stores):
    stores = [KeyStore(make_engine(url), apart=True) for url in key_stores]
    barrier, ended = threading.Barrier(2), []

    def first(store):
        barrier.wait()
        try:
            belonging.bind(engine, store, utc_now())
        except SettingsError:
            ended.append("refused")
        else:
            ended.append("bound")

    threads = [threading.Thread(target=first, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["bound", "refused"]
    for store in stores:
        store.close()


@pytest.fixture
def told(monkeypatch, tmp_path, database_url, key_stores):
    """Commands with the settings of the database and its own key store; gives the other key store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "production")
    monkeypatch.setenv("AIGUARD_KEYS", base64.b64encode(MASTER).decode())
    monkeypatch.setenv("AIGUARD_DATABASE_URL", database_url)
    monkeypatch.setenv("AIGUARD_KEY_STORE_URL", key_stores[0])
    return key_stores[1]


@pytest.mark.parametrize(
    "command",
    [
        ["db", "check"],
        ["db", "upgrade"],
        ["run-due"],
        ["keys", "list"],
        ["keys", "rewrap"],
        ["subject", "erase", JANE.id, "--tenant", str(JANE.tenant), "--yes"],
        ["prune", "--apply"],
    ],
    ids=" ".join,
)
def test_commands_refuse_another_key_store_and_say_which_setting(start, key_stores, told, monkeypatch, command):
    start(key_stores[0])
    run("db", "check")
    monkeypatch.setenv("AIGUARD_KEY_STORE_URL", told)
    Path("aiguard.toml").write_text(POLICY, encoding="utf-8")
    assert "AIGUARD_KEY_STORE_URL" in run(*command, code=1).output
    assert keys_in(told) == 0


def test_an_upgrade_is_on_record_also_where_the_key_store_is_another_one(
    start, key_stores, told, database_url, monkeypatch
):
    start(key_stores[0])
    engine = make_engine(database_url)
    with writing(engine) as connection:
        at_0023(connection)
    engine.dispose()
    monkeypatch.setenv("AIGUARD_KEY_STORE_URL", told)
    assert "AIGUARD_KEY_STORE_URL" in run("db", "upgrade", code=1).output
    assert "admin.acted" in run("audit", "tail").output
    assert keys_in(told) == 0


def test_a_key_store_that_is_lost_for_good_can_be_given_up(start, key_stores, told, monkeypatch):
    start(key_stores[0])
    monkeypatch.setenv("AIGUARD_KEY_STORE_URL", told)
    run("keys", "adopt", "--yes")
    run("db", "check")
    assert "keys.adopt" in run("audit", "tail", "--json", "--reason", "ticket 7").output
    start(told)
    assert "nothing to do" in run("keys", "adopt", "--yes").output
    with pytest.raises(SettingsError, match="not the one"):
        start(key_stores[0])


def test_the_identity_is_no_key_that_could_be_counted_or_wrapped(start, key_stores, told):
    start(key_stores[0])
    people = keys_in(key_stores[0]) - 1
    listed = run("keys", "list", "--json").output
    assert f'"people": {people}' in listed
    assert "warning" not in listed
    assert '"rewrapped": 0' in run("keys", "rewrap", "--json").output


def test_a_url_of_a_key_store_where_no_file_is_makes_none(start, told, tmp_path, key_stores, monkeypatch):
    start(key_stores[0])
    monkeypatch.setenv("AIGUARD_KEY_STORE_URL", f"sqlite:///{tmp_path}/typo.db")
    assert "AIGUARD_KEY_STORE_URL" in run("db", "check", code=1).output
    with pytest.raises(SettingsError, match="AIGUARD_KEY_STORE_URL"):
        start(f"sqlite:///{tmp_path}/typo.db")
    assert not (tmp_path / "typo.db").exists()
