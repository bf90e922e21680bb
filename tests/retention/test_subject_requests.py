from __future__ import annotations

import json
import random
import shutil
import threading
import time
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from tests.support import records as r
from tests.support.postgres import server_uri

from aiguard import retention, store
from aiguard.audit import tail
from aiguard.audit.note import make_signer
from aiguard.audit.signing import sign_head
from aiguard.audit.verify import Status, verify
from aiguard.db import make_engine, upgrade, writing
from aiguard.errors import IntegrityError
from aiguard.identity import named
from aiguard.retention import Backups, HoldScope, NobodyKnown, erasing, find_person, meet_person
from aiguard.retention.erasing import IN_FLIGHT
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing
from aiguard.types import Actor

MASTER = MasterKeyRing([b"k" * 32])
DAY = timedelta(days=1)


def about(id, **changes):
    names = named(MASTER.pseudonym, Actor(id=id, tenant="acme"), id)
    return r.artifact(**{**names, **changes})


def told_of(id, **changes):
    names = named(MASTER.pseudonym, Actor(id=id, tenant="acme"), id)
    payload = {"provider": "openai", "findings": {"EMAIL_ADDRESS": {"tokenize": 2}}}
    return r.event(**{**names, "payload": payload, **changes})


def find(people, id="jane"):
    return find_person(people, id, tenant="acme")


@pytest.fixture
def people(engine):
    return SubjectKeyRing(MASTER, MASTER, KeyStore(engine, apart=False))


@pytest.fixture
def writer(make_writer, people):
    return make_writer(keyring=people)


def erase(engine, people, id="jane", **changes):
    return retention.erase(
        engine, people, find(people, id), requested_by="dpo", now=changes.pop("now", r.NOW), **changes
    )


def count(engine, table="artifacts"):
    return r.scalars(engine, f"SELECT count(*) FROM aiguard_{table}")[0]


def test_an_export_holds_everything_about_the_person_and_nothing_about_others(engine, writer, people):
    mine = [about("jane", content="jane's first"), about("jane", content="jane's second", data_class="output")]
    tom = about("tom", content="tom's own")
    for_tom = about("tom", actor=mine[0].actor, content="jane wrote about tom")
    writer.commit([*mine, tom, for_tom, told_of("jane"), told_of("tom")]).result(5)
    data = retention.export(engine, people, find(people), by="dpo", now=r.NOW)
    assert sorted(each["content"] for each in data["artifacts"]) == ["jane's first", "jane's second"]
    assert [event["payload"]["provider"] for event in data["events"]] == ["openai"]
    assert "tom" not in json.dumps(data)
    assert data["artifacts"][0]["basis"] == "GDPR Art. 6(1)(f)"
    told = tail(engine, people)[-1]
    assert (told.type, told.payload) == ("subject.exported", {"artifacts": 2, "tokens": 0, "events": 1})


def test_one_damaged_row_hides_no_other_in_an_export(engine, writer, people):
    broken = about("jane")
    writer.commit([broken, about("jane", content="fine")]).result(5)
    with writing(engine) as connection:
        connection.execute(text("UPDATE aiguard_artifacts SET owner = 'x' WHERE id = :id"), {"id": broken.id})
    found = retention.export(engine, people, find(people), by="dpo", now=r.NOW)["artifacts"]
    assert sorted(str(each["content"]) for each in found) == ["None", "fine"]


def told(engine, people):
    return [event.type for event in tail(engine, people, 100)]


def test_an_erasure_takes_the_keys_and_the_rows_of_one_person_only(engine, writer, people):
    jane, tom = about("jane"), about("tom", content="tom's")
    writer.commit([jane, tom, told_of("jane"), told_of("tom")]).result(5)
    before = find(people)
    done = erase(engine, people, backups=Backups(data=35))
    assert (done.state, done.keys_apart, done.pending_until) == ("pending", False, r.NOW + 35 * DAY)
    assert done.counts == {"keys": 2, "artifacts": 1, "vault_entries": 0, "payloads": 1}
    assert dict(done.providers) == {"openai": "pending"}
    assert find(people).names == {}
    assert [each.content for each in store.artifacts(engine, people, decision_id=tom.decision_id)] == ["tom's"]
    with pytest.raises(NobodyKnown):
        erase(engine, people)
    writer.commit([about("jane")]).result(5)
    assert not set(find(people).names.values()) & set(before.names.values())


def test_what_another_process_still_writes_with_a_destroyed_key_is_swept(engine, make_writer, people):
    slow = make_writer(keyring=SubjectKeyRing(MASTER, MASTER, KeyStore(engine, apart=False), validity=60))
    slow.commit([about("jane")]).result(5)
    done = erase(engine, people)
    slow.commit([about("jane")]).result(5)
    assert (count(engine), done.sweep_at) == (1, r.NOW + IN_FLIGHT)
    assert retention.resume(engine, people, now=r.NOW + IN_FLIGHT / 2) == []
    (swept,) = retention.resume(engine, people, now=r.NOW + IN_FLIGHT)
    assert (count(engine), swept.sweep_at, swept.counts["artifacts"]) == (0, None, 2)
    assert retention.resume(engine, people, now=r.NOW + 2 * IN_FLIGHT) == []


def test_an_erasure_is_complete_when_the_last_backup_that_has_the_key_is_gone(engine, writer, people):
    writer.commit([about("jane")]).result(5)
    id = erase(engine, people, backups=Backups(data=35)).id
    retention.resume(engine, people, now=r.NOW + IN_FLIGHT)
    assert retention.erasure(engine, id).state == "pending"
    (done,) = retention.resume(engine, people, now=r.NOW + 35 * DAY)
    assert (done.state, retention.resume(engine, people, now=r.NOW + 36 * DAY)) == ("completed", [])


def test_every_provider_is_named_however_long_ago_it_was_called(engine, writer, people, monkeypatch):
    monkeypatch.setattr(erasing, "EXCHANGES", 2)
    for provider in ("anthropic", "openai", "openai", "openai", "openai"):
        writer.commit([told_of("jane", payload={"provider": provider, "findings": {}})]).result(5)
    assert dict(erase(engine, people).providers) == {"anthropic": "pending", "openai": "pending"}


def test_where_nobody_said_how_long_backups_live_somebody_must_confirm(engine, writer, people):
    writer.commit([about("jane"), told_of("jane")]).result(5)
    id = erase(engine, people).id
    retention.resume(engine, people, now=r.NOW + 900 * DAY)
    assert retention.erasure(engine, id).state == "pending"
    retention.confirm(engine, people, id, what="openai", state="unverifiable", by="dpo", now=r.NOW)
    done = retention.confirm(engine, people, id, what="backups", by="dpo", now=r.NOW)
    assert (done.state, dict(done.providers)) == ("completed", {"openai": "unverifiable"})
    types = told(engine, people)
    assert types[types.index("subject.erasure_requested") :].count("subject.erasure_confirmed") == 2
    with pytest.raises(NobodyKnown):
        retention.confirm(engine, people, id, what="nobody", by="dpo", now=r.NOW)
    with pytest.raises(NobodyKnown):
        retention.confirm(engine, people, "ers_none", what="backups", by="dpo", now=r.NOW)


def test_a_hold_stands_against_an_erasure_and_its_release_lets_it_go_on(engine, writer, people):
    held, free = about("jane", content="held"), about("jane", data_class="output")
    writer.commit([held, free]).result(5)
    scope = HoldScope(subject=find(people).subject, data_class="prompt")
    hold = retention.place(
        engine, people, scope, matter="m", custodian="c", placed_by="ann", review_at=r.NOW + DAY, now=r.NOW
    )
    done = erase(engine, people)
    assert (done.state, done.counts["held"], count(engine)) == ("held", 2, 1)
    assert [each.content for each in store.artifacts(engine, people, decision_id=held.decision_id)] == ["held"]
    (still,) = retention.resume(engine, people, now=r.NOW + DAY)
    assert still.state == "held"
    retention.release(engine, people, hold.id, released_by="bob", now=r.NOW)
    (gone,) = retention.resume(engine, people, now=r.NOW + DAY)
    assert (gone.state, count(engine), find(people).names) == ("pending", 0, {})
    assert "held" not in gone.counts
    assert {"subject.erasure_held", "subject.erased"} <= set(told(engine, people))


def test_a_hold_on_somebody_of_whom_nothing_is_kept_yet_covers_what_comes(engine, writer, people):
    person = meet_person(people, "jane", tenant="acme")
    scope = HoldScope(subject=person.names["subject"], actor=person.names["user"])
    retention.place(engine, people, scope, matter="m", custodian="c", placed_by="a", review_at=r.NOW + DAY, now=r.NOW)
    writer.commit([about("jane", expires_at=r.NOW - DAY)]).result(5)
    assert retention.prune(engine, people, r.NOW).deleted == 0
    assert erase(engine, people).state == "held"


def test_an_erasure_that_died_after_any_step_is_ended_by_the_next_run(engine, writer, people, monkeypatch):
    steps = ["latch", "_held", "_delete", "erase_payloads_of", "checkpoint"]
    for number, step in enumerate(steps):
        writer.commit([about(f"p{number}")]).result(5)

        def dies(*_args, **_options):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(f"aiguard.retention.erasing.{step}", dies)
            with pytest.raises(KeyboardInterrupt):
                erase(engine, people, f"p{number}")
    resumed = retention.resume(engine, people, now=r.NOW + IN_FLIGHT)
    assert len(resumed) == len(steps)
    assert {each.state for each in resumed} == {"pending"}
    assert {each.sweep_at for each in resumed} == {None}
    assert count(engine) == 0
    assert count(engine, "data_keys") == 0


def test_keys_that_were_destroyed_apart_before_it_died_are_counted_by_the_run_that_ends_it(
    engine, make_writer, tmp_path, monkeypatch
):
    apart = KeyStore(make_engine(f"sqlite:///{tmp_path}/keys.db"), apart=True)
    apart.prepare()
    people = SubjectKeyRing(MASTER, MASTER, apart)
    make_writer(keyring=people).commit([about("jane")]).result(5)
    there = r.scalars(apart.engine, "SELECT count(*) FROM aiguard_data_keys")[0]
    assert there > 0
    destroy = apart.destroy

    def dies(*arguments, **options):
        destroy(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(apart, "destroy", dies)
        with pytest.raises(KeyboardInterrupt):
            erase(engine, people, "jane")
    (report,) = retention.resume(engine, people, now=r.NOW + IN_FLIGHT)
    assert report.counts["keys"] == there
    (told,) = [event for event in tail(engine, people, 50) if event.type == "subject.erased"]
    assert told.payload["keys"] == there
    apart.close()


@pytest.mark.parametrize("apart", [True, False], ids=["keys apart", "keys beside"])
def test_who_comes_back_before_an_interrupted_erasure_is_ended_keeps_what_is_kept_since(
    engine, make_writer, tmp_path, monkeypatch, apart
):
    keys = KeyStore(make_engine(f"sqlite:///{tmp_path}/keys.db") if apart else engine, apart=apart)
    keys.prepare()
    people = SubjectKeyRing(MASTER, MASTER, keys)
    writer = make_writer(keyring=people)
    writer.commit([about("jane", content="before")]).result(5)
    erased = find(people)
    destroy = keys.destroy

    def dies(*arguments, **options):
        destroy(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(keys, "destroy", dies)
        with pytest.raises(KeyboardInterrupt):
            erase(engine, people)
    if not apart:  # it was rolled back; another erasure of the same person ends, and this one is still to be ended
        retention.erase(engine, people, erased, requested_by="dpo", now=r.NOW)
    people.forget()
    since = about("jane", content="since")
    writer.commit([since]).result(5)
    retention.resume(engine, people, now=r.NOW + IN_FLIGHT)
    people.forget()
    assert [each.content for each in store.artifacts(engine, people, decision_id=since.decision_id)] == ["since"]
    assert count(engine) == 1
    assert set(find(people).names) == set(erased.names)
    keys.close()


def test_two_erasures_of_one_person_at_once_both_end_and_tell_of_each_row_once(engine, database_url, writer, people):
    signer = make_signer("test/log")
    writer.commit([each for _ in range(150) for each in (about("jane"), told_of("jane"), about("tom"))]).result(20)
    person = find(people)
    together, reports = threading.Barrier(3), []

    def run():
        own = make_engine(database_url, lock_timeout=30)
        ring = SubjectKeyRing(MASTER, MASTER, KeyStore(own, apart=False))
        together.wait(30)
        reports.append(retention.erase(own, ring, person, requested_by="dpo", now=r.NOW))
        own.dispose()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(reports) == 3
    assert (count(engine), count(engine, "audit_erased")) == (150, 150)
    assert sum(each.counts["artifacts"] for each in reports) == 150
    assert sum(each.counts["payloads"] for each in reports) == 150
    events = tail(engine, people, 2_000)
    assert sum(each.payload["count"] for each in events if each.type == "erasure.completed") == 150
    sign_head(engine, [signer], now=r.NOW)
    report = verify(engine, [signer.verifier], origin="test/log", keyring=people, now=r.NOW)
    assert (report.status, report.problems) == (Status.OK, [])


def test_the_log_holds_no_id_of_the_person(engine, writer, people):
    writer.commit([about("jane@example.org"), told_of("jane@example.org")]).result(5)
    erase(engine, people, "jane@example.org")
    rows = r.scalars(engine, "SELECT leaf FROM aiguard_audit_events")
    lookups = find(people, "jane@example.org").lookups.values()
    assert not [row for row in rows for word in (*lookups, "jane") if word.encode() in bytes(row)]


def test_the_log_holds_after_an_erasure_and_a_payload_that_was_taken_by_hand_is_noticed(engine, writer, people):
    signer = make_signer("test/log")
    for number in range(30):
        writer.commit([told_of("jane"), told_of("tom"), told_of("jane", actor="", subject=""), about("jane")]).result(5)
        if number == 20:
            sign_head(engine, [signer], now=r.NOW)
    erase(engine, people)

    def verified():
        return verify(engine, [signer.verifier], origin="test/log", keyring=people, now=r.NOW)

    sign_head(engine, [signer], now=r.NOW)
    report = verified()
    assert (report.status, report.problems, report.erased) == (Status.OK, [], 30)
    stay = "SELECT seq FROM aiguard_audit_payloads ORDER BY seq LIMIT 1"
    with pytest.raises(SQLAlchemyError, match="append-only"), writing(engine) as connection:
        connection.execute(text(f"DELETE FROM aiguard_audit_payloads WHERE seq = ({stay})"))
    with writing(engine) as connection:
        connection.execute(text(f"INSERT INTO aiguard_audit_erased (seq, tombstone) SELECT q.seq, 'x' FROM ({stay}) q"))
        connection.execute(text(f"DELETE FROM aiguard_audit_payloads WHERE seq = ({stay})"))
    assert verified().status is Status.TAMPERED
    for statement in ("UPDATE aiguard_audit_erased SET seq = seq + 1000", "DELETE FROM aiguard_audit_erased"):
        with pytest.raises(SQLAlchemyError, match="append-only"), writing(engine) as connection:
            connection.execute(text(statement))


class TestOnSQLite:
    @pytest.fixture
    def backend(self):
        return "sqlite"

    def test_nothing_of_a_person_is_in_any_file_and_an_older_backup_does_not_open(self, tmp_path, make_writer):
        """Data and key store apart: the backup of the data, opened with today's key store, gives nothing back."""
        urls = [f"sqlite:///{tmp_path}/data/aiguard.db", f"sqlite:///{tmp_path}/keys/keys.db"]
        data, keys = (make_engine(url) for url in urls)
        upgrade(data)
        KeyStore(keys, apart=True).prepare()
        people = SubjectKeyRing(MASTER, MASTER, KeyStore(keys, apart=True))
        words = [f"word{random.Random(n).getrandbits(64):x}" for n in range(100)]
        record = about("jane", content=" ".join(words))
        writer = make_writer(data, keyring=people)
        writer.commit([record, told_of("jane")]).result(5)
        secrets = [bytes(each) for each in r.scalars(keys, "SELECT wrapped FROM aiguard_data_keys")]
        sealed = bytes(r.scalars(data, "SELECT content FROM aiguard_artifacts")[0])
        data.dispose()
        shutil.copytree(tmp_path / "data", tmp_path / "backup")

        done = erase(data, people, backups=Backups(keys=0))
        assert (done.state, done.keys_apart) == ("completed", True)
        live = b"".join(file.read_bytes() for name in ("data", "keys") for file in (tmp_path / name).iterdir())
        assert not [secret for secret in secrets if secret in live or secret[40:72] in live]
        assert sealed[100:160] not in live
        everything = live + b"".join(file.read_bytes() for file in (tmp_path / "backup").iterdir())
        assert not [word for word in words if word.encode() in everything]
        backup = make_engine(f"sqlite:///{tmp_path}/backup/aiguard.db")
        assert sealed[100:160] in b"".join(file.read_bytes() for file in Path(tmp_path / "backup").iterdir())
        with pytest.raises(IntegrityError, match="erased"):
            store.artifacts(backup, people, decision_id=record.decision_id)
        for engine in (data, keys, backup):
            engine.dispose()


class TestOnPostgreSQL:
    @pytest.fixture
    def backend(self):
        return "postgresql"

    def test_an_older_copy_of_the_database_does_not_open_and_no_file_of_the_server_has_a_word(
        self, engine, database_url, tmp_path, make_writer
    ):
        started = time.time()
        keys = make_engine(f"sqlite:///{tmp_path}/keys.db")
        KeyStore(keys, apart=True).prepare()
        people = SubjectKeyRing(MASTER, MASTER, KeyStore(keys, apart=True))
        words = [f"word{random.Random(n).getrandbits(64):x}" for n in range(5)]
        record = about("jane", content=" ".join(words))
        writer = make_writer(keyring=people)
        writer.commit([record, told_of("jane")]).result(5)
        secrets = [bytes(each)[40:72] for each in r.scalars(keys, "SELECT wrapped FROM aiguard_data_keys")]
        names = set(find(people).names.values())
        with engine.connect() as connection:
            folder = Path(connection.execute(text("SHOW data_directory")).scalar_one())
            database = connection.execute(text("SELECT current_database()")).scalar_one()
        writer.close()
        engine.dispose()
        with psycopg.connect(server_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}_backup TEMPLATE {database}")

        done = erase(engine, people, backups=Backups(keys=0))
        assert (done.state, done.counts["artifacts"], done.counts["payloads"]) == ("completed", 1, 1)
        backup = make_engine(database_url.replace(f"/{database}", f"/{database}_backup"))
        with pytest.raises(IntegrityError, match="erased"):
            store.artifacts(backup, people, decision_id=record.decision_id)
        assert find(people).names == {}
        with psycopg.connect(server_uri(), autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            oids = connection.execute(
                "SELECT oid::text FROM pg_database WHERE datname LIKE %s", [f"{database}%"]
            ).fetchall()
        files = [file for (oid,) in oids for file in (folder / "base" / oid).iterdir() if file.is_file()]
        files += [
            file for file in (folder / "pg_wal").iterdir() if file.is_file() and file.stat().st_mtime >= started - 2
        ]
        assert any("pg_wal" in str(file) for file in files)
        searched = b"".join(file.read_bytes() for file in [*files, *tmp_path.iterdir()])
        assert (
            sum(name.encode() in searched for name in names) > 0
        )  # the search finds what is there: the backup's names
        assert not [word for word in words if word.encode() in searched]
        assert not [secret for secret in secrets if secret in searched]
        for each in (backup, keys):
            each.dispose()
