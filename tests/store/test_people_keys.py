from __future__ import annotations

import json
import pickle
import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from tests.support import records as r

from aiguard import store
from aiguard.audit import tail
from aiguard.db import make_engine, writing
from aiguard.errors import IntegrityError, SchemaRevisionError, StoreUnavailable
from aiguard.store import DataKey, KeyDestroyed, KeyStore, MasterKeyRing, SubjectKeyRing
from aiguard.types import SubjectKeys

MASTER = MasterKeyRing([b"k" * 32])
JANE, MO = (MASTER.pseudonym("subject", name) for name in ("jane", "mo"))


class Memory:
    """A key store in a dictionary that counts how often it was asked."""

    def __init__(self):
        self.rows = {}
        self.asked: Counter[str] = Counter()

    def by_lookup(self, lookups):
        self.asked["by_lookup"] += 1
        return {lookup: self.rows[lookup] for lookup in lookups if lookup in self.rows}

    def by_id(self, key_id):
        self.asked["by_id"] += 1
        return next((row for row in self.rows.values() if row.key_id == key_id), None)

    def add(self, keys):
        for key in keys:
            self.rows.setdefault(key.lookup, key)


class Ticking:
    now = 0.0

    def __call__(self):
        return self.now


def ring_on(memory, **options):
    return SubjectKeyRing(MASTER, MASTER, memory, **options)


@pytest.fixture
def people(engine):
    return SubjectKeyRing(MASTER, MASTER, KeyStore(engine, apart=False))


def test_it_is_a_ring_with_a_key_for_every_person():
    assert isinstance(ring_on(Memory()), SubjectKeys)
    assert not isinstance(MASTER, SubjectKeys)


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_what_a_person_sealed_opens_in_another_process_with_the_same_store(plaintext, aad):
    memory = Memory()
    sealed = ring_on(memory).subject_keys([JANE])[JANE].seal(plaintext, aad=aad)
    assert ring_on(memory).open(sealed, aad=aad) == plaintext
    assert len(plaintext) < 6 or plaintext not in sealed


@given(st.binary(max_size=40), st.data())
def test_any_changed_bit_or_cut_of_a_persons_ciphertext_is_noticed(plaintext, data):
    ring = ring_on(Memory())
    sealed = bytearray(ring.subject_keys([JANE])[JANE].seal(plaintext, aad=b"row 1"))
    position = data.draw(st.integers(0, len(sealed) - 1))
    with pytest.raises(IntegrityError):
        ring.open(bytes(sealed[:position]), aad=b"row 1")
    sealed[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(IntegrityError):
        ring.open(bytes(sealed), aad=b"row 1")


def test_people_have_unrelated_names_and_cannot_open_what_is_about_others():
    ring = ring_on(Memory())
    keys = ring.subject_keys([JANE, MO])
    assert len({keys[JANE].name, keys[MO].name, JANE, MO}) == 4
    with pytest.raises(IntegrityError):
        keys[MO].open(keys[JANE].seal(b"x", aad=b""), aad=b"")


def test_a_destroyed_key_takes_the_content_and_the_name_with_it():
    memory, ticking = Memory(), Ticking()
    ring = ring_on(memory, monotonic=ticking)
    before = ring.subject_keys([JANE])[JANE]
    sealed = before.seal(b"x", aad=b"")
    del memory.rows[JANE]
    ticking.now = ring.validity + 0.1
    with pytest.raises(KeyDestroyed):
        ring.open(sealed, aad=b"")
    assert ring.cached_keys([JANE]) is None
    assert ring.subject_keys([JANE])[JANE].name != before.name
    with pytest.raises(KeyDestroyed):
        ring.open(sealed, aad=b"")


def test_a_fresh_key_is_not_asked_for_again():
    memory, ticking = Memory(), Ticking()
    ring = ring_on(memory, monotonic=ticking)
    ring.subject_keys([JANE, MO])
    asked = dict(memory.asked)
    ticking.now = ring.validity - 0.1
    assert set(ring.cached_keys([JANE, MO]) or ()) == {JANE, MO}
    assert set(ring.subject_keys([MO, JANE])) == {JANE, MO}
    assert dict(memory.asked) == asked


def test_a_wrapped_key_that_was_given_to_another_person_does_not_open():
    memory = Memory()
    ring_on(memory).subject_keys([JANE, MO])
    memory.rows[MO] = replace(memory.rows[JANE], lookup=MO)
    with pytest.raises(IntegrityError):
        ring_on(memory).subject_keys([MO])


def test_a_person_who_is_erased_while_their_key_is_made_gets_another():
    class Erasing(Memory):
        def add(self, keys):
            super().add(keys)
            if not self.asked["add"]:
                self.rows.clear()
            self.asked["add"] += 1

    memory = Erasing()
    assert set(ring_on(memory).subject_keys([JANE, MO])) == {JANE, MO}


def test_no_key_is_shown_or_handed_out():
    memory = Memory()
    ring = ring_on(memory)
    key = ring.subject_keys([JANE])[JANE]
    shown = f"{ring!r} {key!r} {memory.rows[JANE]!r}"
    assert memory.rows[JANE].wrapped.hex() not in shown
    assert str(memory.rows[JANE].wrapped) not in shown
    with pytest.raises(TypeError):
        pickle.dumps(ring)


def test_records_carry_names_and_ciphertexts_of_the_persons_own_key(engine, make_writer, people):
    writer = make_writer(keyring=people)
    record = r.artifact(subject=JANE, actor=MO, content="about jane")
    writer.commit([record, r.event(record.decision_id, subject=JANE, actor=MO)]).result(5)
    (found,) = store.artifacts(engine, people, decision_id=record.decision_id)
    (event,) = tail(engine, people)
    names = people.subject_keys([JANE, MO])
    assert (found.content, found.subject, found.actor) == ("about jane", names[JANE].name, names[MO].name)
    assert (event.subject, event.actor) == (found.subject, found.actor)
    stored = json.dumps([str(row) for row in r.scalars(engine, "SELECT leaf FROM aiguard_audit_events")])
    assert JANE not in stored
    with pytest.raises(IntegrityError):
        store.artifacts(engine, MASTER, decision_id=record.decision_id)


def test_a_row_given_to_another_subject_does_not_open(engine, make_writer, people):
    record = r.artifact(subject=JANE)
    make_writer(keyring=people).commit([record, r.artifact(subject=MO)]).result(5)
    with writing(engine) as connection:
        name = people.subject_keys([MO])[MO].name
        connection.execute(text("UPDATE aiguard_artifacts SET subject = :n WHERE id = :i"), {"n": name, "i": record.id})
    with pytest.raises(IntegrityError):
        store.artifacts(engine, people, decision_id=record.decision_id)


def test_many_writers_agree_on_one_key_for_a_person(database_url, make_writer, engine):
    engines = [make_engine(database_url) for _ in range(4)]
    rings = [SubjectKeyRing(MASTER, MASTER, KeyStore(each, apart=False)) for each in engines]
    lookups = [MASTER.pseudonym("subject", str(number)) for number in range(30)]
    names: list[dict[str, str]] = []

    def ask(ring):
        names.append({lookup: key.name for lookup, key in ring.subject_keys(lookups).items()})

    threads = [threading.Thread(target=ask, args=(ring,)) for ring in rings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(names) == 4
    assert all(each == names[0] for each in names)
    for each in engines:
        each.dispose()


def test_a_key_store_that_is_gone_refuses_the_record_and_only_those_that_need_it(make_writer, engine):
    gone = make_engine("postgresql://nobody@127.0.0.1:9/none", lock_timeout=1)
    writer = make_writer(keyring=SubjectKeyRing(MASTER, MASTER, KeyStore(gone, apart=True)))
    with pytest.raises(StoreUnavailable):
        writer.commit([r.artifact(subject=JANE)]).result(5)
    writer.commit([r.event(actor="", subject="")]).result(5)
    assert r.scalars(engine, "SELECT count(*) FROM aiguard_artifacts") == [0]


def test_rewrapping_moves_every_key_under_the_newest_master_key(engine):
    key_store = KeyStore(engine, apart=False)
    lookups = [MASTER.pseudonym("subject", str(number)) for number in range(900)]
    before = {k: v.name for k, v in SubjectKeyRing(MASTER, MASTER, key_store).subject_keys(lookups).items()}
    both, new = MasterKeyRing([b"k" * 32, b"n" * 32]), MasterKeyRing([b"n" * 32])
    steps: list[int] = []
    assert key_store.rewrap(both, progress=steps.append) == 900
    assert (sum(steps), len(steps) > 1, key_store.rewrap(both)) == (900, True, 0)
    assert dict(key_store.counts()) == {new.kek: 900}
    after = {k: v.name for k, v in SubjectKeyRing(MASTER, new, key_store).subject_keys(lookups).items()}
    assert before == after
    with pytest.raises(IntegrityError, match=new.kek):
        SubjectKeyRing(MASTER, MASTER, key_store).subject_keys(lookups)


def test_a_store_without_its_table_says_the_command(empty_url):
    engine = make_engine(empty_url)
    key_store = KeyStore(engine, apart=True)
    with pytest.raises(SchemaRevisionError, match="aiguard db upgrade"):
        key_store.check()
    key_store.prepare()
    key_store.prepare()
    key_store.check()
    SubjectKeyRing(MASTER, MASTER, key_store, clock=lambda: datetime.now(UTC)).subject_keys([JANE])
    assert key_store.destroy([JANE, MO]) == 1
    key_store.scrub()
    engine.dispose()


def test_a_key_prints_only_its_id():
    assert repr(DataKey(b"12345678", b"s" * 32)) == "DataKey(3132333435363738)"


def test_a_damaged_key_fails_its_person_and_nobody_else_of_the_batch(engine, make_writer, people):
    anna, bert = (people.pseudonym("subject", name) for name in ("anna", "bert"))
    writer = make_writer(keyring=people)
    for person in (anna, bert):
        writer.commit([r.event(actor=person, subject=person)]).result(5)
    with writing(engine) as connection:
        damaged = "UPDATE aiguard_data_keys SET wrapped = :junk WHERE lookup = :anna"
        connection.execute(text(damaged), {"junk": b"\x01" * 80, "anna": anna})
    people.forget()
    futures = [writer.commit([r.event(actor=person, subject=person)]) for person in (anna, bert, anna, bert)]
    failures = [future.exception(5) for future in futures]
    assert [failure is None for failure in failures] == [False, True, False, True]


@given(plaintext=st.binary(max_size=200), data=st.data(), nobody=st.booleans())
def test_what_needs_an_hours_key_too_opens_with_both_only_and_any_change_is_noticed(plaintext, data, nobody):
    memory = Memory()
    keys = ring_on(memory).subject_keys([JANE, "hour/2026-03-01T12"])
    person, hour = None if nobody else keys[JANE], keys["hour/2026-03-01T12"]
    sealed = hour.seal_with(person, plaintext, aad=b"row 1")
    assert ring_on(memory).open(sealed, aad=b"row 1") == plaintext
    again = ring_on(memory).reseal(sealed, aad=b"row 1", new_aad=b"row 2")
    assert ring_on(memory).open(again, aad=b"row 2") == plaintext
    place = data.draw(st.integers(0, len(sealed) - 1))
    harm = data.draw(st.sampled_from(["flip", "cut"]))
    changed = sealed[:place] if harm == "cut" else sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
    with pytest.raises(IntegrityError):
        ring_on(memory).open(changed, aad=b"row 1")
    with pytest.raises(IntegrityError):
        ring_on(memory).open(sealed, aad=b"row 2")
    for lookup in ("hour/2026-03-01T12", *(() if nobody else (JANE,))):
        left = Memory()
        left.rows = {other: row for other, row in memory.rows.items() if other != lookup}
        with pytest.raises(KeyDestroyed):
            ring_on(left).open(sealed, aad=b"row 1")
