"""A rule's mechanism does what its name says: shredded content opens in no copy, anonymised content leads to nobody."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from tests.support import records as r
from tests.support.older import at_0023

from aiguard import Actor, Settings, open_guard, retention, store
from aiguard.audit import story
from aiguard.db import make_engine, upgrade
from aiguard.policy import parse_policy
from aiguard.retention import HoldScope, recompute, shredding
from aiguard.retention.certificates import certificate
from aiguard.store import KeyDestroyed, KeyStore, MasterKeyRing, SubjectKeyRing
from aiguard.store.tables import artifact_aad
from aiguard.types import Sensitivity

MASTER = MasterKeyRing([b"k" * 32])
JANE, MO = (MASTER.pseudonym("subject", name) for name in ("jane", "mo"))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(params=["beside the data", "apart"])
def people(engine, request, tmp_path):
    if request.param == "beside the data":
        yield SubjectKeyRing(MASTER, MASTER, KeyStore(engine, apart=False))
        return
    apart = KeyStore(make_engine(f"sqlite:///{tmp_path}/keys.db"), apart=True)
    apart.prepare()
    yield SubjectKeyRing(MASTER, MASTER, apart)
    apart.close()


@pytest.fixture
def writer(make_writer, people):
    return make_writer(keyring=people)


def shredded(content, expires_at, **changes):
    about = {"actor": JANE, "subject": JANE, "mechanism": "crypto-shred", **changes}
    return r.artifact(content=content, expires_at=expires_at, **about)


def copy_of(engine):
    """Every row as an older backup of the data holds it, by its text."""
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(store.Artifact.__table__.select()).mappings()]


def opened(people, row):
    """With the key store as it is now, by a process that has nothing in memory."""
    fresh = SubjectKeyRing(MASTER, MASTER, people.store)
    return fresh.open(row["content"], aad=artifact_aad(row)).decode()


def texts(people, rows):
    found = set()
    for row in rows:
        try:
            found.add(opened(people, row))
        except KeyDestroyed:
            continue
    return found


def test_once_its_hour_is_over_no_copy_of_shredded_content_opens(engine, writer, people):
    writer.commit(
        [
            shredded("first", r.NOW + 10 * timedelta(minutes=1)),
            shredded("of mo", r.NOW + 50 * timedelta(minutes=1), actor=MO, subject=MO),
            shredded("about nobody", r.NOW + 20 * timedelta(minutes=1), actor="", subject=""),
            shredded("next hour", r.NOW + HOUR),
            r.artifact(content="only deleted", expires_at=r.NOW, actor=JANE, subject=JANE),
        ]
    ).result(5)
    backup = copy_of(engine)
    assert texts(people, backup) == {"first", "of mo", "about nobody", "next hour", "only deleted"}

    within = retention.prune(engine, people, r.NOW + 55 * timedelta(minutes=1))
    assert (within.deleted, within.hour_keys) == (4, 0)
    assert "first" in texts(people, backup)  # the hour is not over, and others may still need its key

    after = retention.prune(engine, people, r.NOW + HOUR)
    assert (after.deleted, after.hour_keys) == (1, 1)
    assert texts(people, backup) == {"next hour", "only deleted"}
    events = {event.type: event.payload for event in story(engine, after.run_id, keyring=people)}
    assert events["store.shredded"]["keys"] == 1
    assert (
        events["store.shredded"]["first_hour"]
        == events["store.shredded"]["last_hour"]
        == r.NOW.isoformat(timespec="microseconds")
    )
    assert events["store.pruned"]["mechanisms"] == {"crypto-shred": 1}
    assert events["store.prune_completed"]["hour_keys"] == 1
    certified = certificate(engine, people, after.run_id, now=r.NOW + HOUR)
    assert [event["type"] for event in certified["events"]] == [
        "store.pruned",
        "store.shredded",
        "store.prune_completed",
    ]
    assert retention.prune(engine, people, r.NOW + HOUR).hour_keys == 0


def test_a_clock_that_is_set_back_destroys_no_key(engine, writer, people):
    writer.commit([shredded("later", r.NOW + HOUR)]).result(5)
    assert retention.prune(engine, people, r.NOW - 365 * DAY).hour_keys == 0
    assert texts(people, copy_of(engine)) == {"later"}


def test_what_a_hold_keeps_can_be_read_until_it_is_released(engine, writer, people):
    writer.commit([shredded("held", r.NOW, feature="held"), shredded("free", r.NOW)]).result(5)
    backup = copy_of(engine)
    options: dict[str, Any] = {"matter": "m", "custodian": "c", "review_at": r.NOW + DAY, "now": r.NOW}
    hold = retention.place(engine, people, HoldScope(feature="held"), placed_by="ann", **options)
    done = retention.prune(engine, people, r.NOW + 2 * HOUR)
    assert (done.deleted, done.hour_keys) == (1, 0)
    assert texts(people, copy_of(engine)) == {"held"}
    assert story(engine, done.run_id, keyring=people)[-1].payload["hour_keys_needed"] == 1
    retention.release(engine, people, hold.id, released_by="bob", now=r.NOW)
    assert retention.prune(engine, people, r.NOW + 2 * HOUR).hour_keys == 1
    assert texts(people, backup) == set()


def test_an_erased_person_takes_their_shredded_content_with_them(engine, writer, people):
    writer.commit([shredded("jane's", r.NOW + DAY), shredded("mo's", r.NOW + DAY, actor=MO, subject=MO)]).result(5)
    people.store.destroy([JANE])
    assert texts(people, copy_of(engine)) == {"mo's"}


def rules(mechanism, duration="30d"):
    return parse_policy(
        f'[retention.prompt]\nduration = "{duration}"\nbasis = "law"\nowner = "dpo"\nmechanism = "{mechanism}"',
        "p.toml",
        [],
    )


def test_a_change_of_mechanism_seals_what_is_kept_anew(engine, writer, people):
    was, now = rules("delete"), rules("crypto-shred", "1h")
    kept = [
        r.artifact(content="about jane", actor=JANE, subject=JANE),
        r.artifact(content="nobody's", actor="", subject=""),
    ]
    writer.commit(kept).result(5)
    with engine.begin() as connection:
        connection.execute(text("UPDATE aiguard_artifacts SET retention_hash = :hash"), {"hash": was.retention_hash})
    for policy in (now, was, now):
        assert recompute.recompute(engine, people, policy, now=r.NOW).changed == 2
        assert texts(people, copy_of(engine)) == {"about jane", "nobody's"}
    backup = copy_of(engine)
    assert retention.prune(engine, people, r.NOW + 2 * HOUR, rules=now.retention_hash).hour_keys == 1
    assert texts(people, backup) == set()


def test_content_from_before_there_were_keys_of_hours_is_sealed_with_one_after_the_upgrade(engine, writer, people):
    now = rules("crypto-shred", "1h")
    writer.commit([r.artifact(content="about jane", actor=JANE, subject=JANE)]).result(5)
    was = rules("delete", "1h")
    with engine.begin() as connection:
        connection.execute(text("UPDATE aiguard_artifacts SET retention_hash = 'before'"))
    assert recompute.recompute(engine, people, was, now=r.NOW).changed == 1
    (row,) = copy_of(engine)
    old = {**row, "mechanism": "crypto-shred"}  # as it was kept then: under the rule, and without the hour's key
    plain = people.open(row["content"], aad=artifact_aad(row))
    (name,) = people.subject_keys([JANE]).values()
    with engine.begin() as connection:
        values = {"hash": now.retention_hash, "content": name.seal(plain, aad=artifact_aad(old))}
        connection.execute(
            text("UPDATE aiguard_artifacts SET mechanism = 'crypto-shred', retention_hash = :hash, content = :content"),
            values,
        )
        at_0023(connection)
    assert recompute.recompute(engine, people, now, now=r.NOW).changed == 0
    upgrade(engine)
    assert recompute.recompute(engine, people, now, now=r.NOW).changed == 1
    backup = copy_of(engine)
    assert texts(people, backup) == {"about jane"}
    assert retention.prune(engine, people, r.NOW + 2 * HOUR, rules=now.retention_hash).hour_keys == 1
    assert texts(people, backup) == set()


def test_a_key_store_that_is_another_one_is_noticed_before_times_are_given_up(engine, writer, people, tmp_path):
    writer.commit([r.artifact(content="kept", actor=JANE, subject=JANE, retention_hash="old")]).result(5)
    other = KeyStore(make_engine(f"sqlite:///{tmp_path}/other.db"), apart=True)
    other.prepare()
    before = copy_of(engine)
    with pytest.raises(recompute.KeysElsewhere, match="AIGUARD_KEY_STORE_URL"):
        recompute.recompute(engine, SubjectKeyRing(MASTER, MASTER, other), rules("delete", "9d"), now=r.NOW)
    other.close()
    assert copy_of(engine) == before
    assert recompute.recompute(engine, people, rules("delete", "9d"), now=r.NOW).changed == 1


def test_a_key_that_goes_while_times_are_computed_anew_is_noticed_before_anything_is_written(
    engine, writer, people, monkeypatch
):
    writer.commit([r.artifact(content="kept", actor=JANE, subject=JANE, retention_hash="old")]).result(5)
    real, raced = shredding.missing, list[Any]()

    def late(keyring, hours, keys):
        if not raced:  # another process destroys the key between its use and the transaction
            raced.append(hours)
            return real(keyring, hours, [b"destroyed"])
        return real(keyring, hours, keys)

    monkeypatch.setattr(recompute, "missing", late)
    assert recompute.recompute(engine, people, rules("crypto-shred"), now=r.NOW).changed == 1
    assert raced
    assert texts(people, copy_of(engine)) == {"kept"}
    assert shredding.missing(people, ["hour/2026-03-31T12"], [b"another"])


def test_of_anonymised_content_only_counts_stay_and_they_are_right(engine, writer, people):
    dice = random.Random(4)
    records = [
        r.artifact(
            actor=dice.choice([JANE, MO]),
            subject=dice.choice([JANE, MO]),
            tenant="T" * 26,
            data_class=dice.choice(["prompt", "output"]),
            feature=dice.choice(["reply", "triage"]),
            sensitivity=dice.choice(list(Sensitivity)),
            mechanism=dice.choice(["anonymise", "anonymise", "delete"]),
            created_at=r.NOW - dice.choice([1, 30]) * DAY - dice.randrange(3600) * timedelta(seconds=1),
            expires_at=r.NOW - dice.randrange(1, 9) * DAY,
        )
        for _ in range(60)
    ]
    writer.commit(records).result(5)
    names = {
        value
        for row in copy_of(engine)
        for value in (row["id"], row["decision_id"], row["subject"], row["actor"], row["tenant"])
    }
    done = [
        retention.prune(engine, people, r.NOW, batch_size=size, at_most=most) for size, most in ((7, 30), (50, None))
    ]
    wanted = Counter(
        (f"{each.created_at:%Y-%m-%d}", each.data_class, each.feature, int(each.sensitivity))
        for each in records
        if each.mechanism == "anonymise"
    )
    stayed = retention.anonymised(engine)
    assert {
        (row["day"], row["data_class"], row["feature"], row["sensitivity"]): row["count"] for row in stayed
    } == wanted
    assert copy_of(engine) == []
    assert set(stayed[0]) == {"day", "data_class", "feature", "sensitivity", "count"}
    assert not names & {str(value) for row in stayed for value in row.values()}
    batches = [
        event.payload
        for run in done
        for event in story(engine, run.run_id, keyring=people)
        if "mechanisms" in event.payload
    ]
    assert sum(payload["mechanisms"].get("anonymise", 0) for payload in batches) == sum(wanted.values())


def test_a_batch_that_fails_counts_nothing(engine, writer, people, monkeypatch):
    writer.commit([r.artifact(mechanism="anonymise", expires_at=r.NOW)]).result(5)

    def broken(*_):
        raise RuntimeError

    monkeypatch.setattr("aiguard.retention.pruning.insert_rows", broken)
    with pytest.raises(RuntimeError):
        retention.prune(engine, people, r.NOW)
    assert (retention.anonymised(engine), len(copy_of(engine))) == ([], 1)


def test_a_guard_seals_by_the_rule_and_reads_what_it_kept(tmp_path):
    policy = parse_policy(
        '[features.reply]\nscope = "reply"\nowner = "support"\nmodels = ["local:small"]\n'
        'keep = { prompt = "redacted", output = "redacted" }\n'
        '[retention.prompt]\nduration = "1h"\nbasis = "law"\nowner = "dpo"\nmechanism = "crypto-shred"\n'
        '[retention.output]\nduration = "1h"\nbasis = "law"\nowner = "dpo"\nmechanism = "delete"\n',
        "p.toml",
        [],
    )
    url = f"sqlite:///{tmp_path}/aiguard.db"
    settings = Settings.load(
        {"AIGUARD_ENVIRONMENT": "test", "AIGUARD_DATABASE_URL": url, "AIGUARD_KEY_FILE": f"{tmp_path}/key"}
    )
    guard = open_guard(settings, policy=policy)
    with guard.acting_as(Actor(id="jane", scopes=frozenset({"reply"})), scope="reply"):
        guard.call(lambda messages, **_: "an answer", "a question", model="local:small")
    rita = Actor(id="rita", scopes=frozenset({"artifact:read:prompt", "artifact:read:output"}))
    kept = {each.data_class: each.content for each in guard.artifacts.read(rita, "OPS-1: a look.", subject="jane")}
    guard.close()
    assert kept.keys() == {"prompt", "output"}
    assert "a question" in kept["prompt"]
    engine = make_engine(url)
    assert {row["data_class"]: row["content"][0] for row in copy_of(engine)} == {"prompt": 3, "output": 2}
    engine.dispose()
