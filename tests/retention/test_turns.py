"""Whatever deletes, or seals anew, does it in small batches beside those who write, and rests in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support import records as r
from tests.support.many import keep_values

from aiguard import retention
from aiguard.policy import parse_policy
from aiguard.retention import duties, find_person, payloads, turns
from aiguard.retention.pace import GAITS, Pace
from aiguard.retention.recompute import recompute
from aiguard.retention.turns import Turns
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing
from aiguard.types import Record, new_id

MASTER = MasterKeyRing([b"k" * 32])
MANY = 60
RULES = parse_policy(
    '[retention.prompt]\nduration = "3d"\nbasis = "law"\nmechanism = "delete"\nowner = "dpo"\n', "p.toml", []
)


@pytest.fixture
def people(engine):
    return SubjectKeyRing(MASTER, MASTER, KeyStore(engine, apart=False))


def nobodys():
    return r.event(actor="", subject="")


def vault(engine, people):
    return duties.prune_vault(engine, people, r.NOW, run_id=new_id("wrk"))


def old_payloads(engine, people):
    return payloads.erase_payloads_before(
        engine, people, r.NOW - timedelta(days=9), decision_id=new_id("wrk"), now=r.NOW, beat=lambda _count: None
    )


def erasure(engine, people):
    person = retention.Person(
        lookups={"subject": r.ACTOR}, names={"subject": people.subject_keys([r.ACTOR])[r.ACTOR].name}
    )
    return retention.erase(engine, people, person, requested_by="dpo", now=r.NOW).counts["artifacts"]


def other_rules(engine, people):
    return recompute(engine, people, RULES, now=r.NOW).changed


@pytest.mark.parametrize("work", [vault, old_payloads, erasure, other_rules])
def test_it_goes_in_small_batches_and_rests_while_others_write(engine, make_writer, people, monkeypatch, work):
    writer = make_writer(keyring=people)
    if work is vault:
        keep_values(engine, MANY, r.NOW - timedelta(days=1))
    old = r.NOW - timedelta(days=10)
    records: list[Record] = [r.event(at=old) for _ in range(MANY)] if work is old_payloads else []
    if work in (erasure, other_rules):
        records = [r.artifact(actor=r.ACTOR, subject=r.ACTOR, retention_hash="old") for _ in range(MANY)]
    writer.commit([*records, nobodys()]).result(10)

    name = engine.dialect.name
    gait = replace(GAITS[name], smallest=7, turn=1e-9)
    monkeypatch.setattr(turns, "GAITS", {name: gait})
    seen, rests = [], []
    after = Pace.after

    def noted(self, *, deleted, others, took, **rest):
        resting = after(self, deleted=deleted, others=others, took=took, **rest)
        seen.append((deleted, others))
        if self.beside_others:
            rests.append(resting >= min(1.0, 0.2 * gait.rest) * took)
        writer.commit([nobodys()]).result(10)
        return min(resting, 0.01)

    monkeypatch.setattr(Pace, "after", noted)
    assert work(engine, people) == MANY
    assert sum(deleted for deleted, _ in seen) == MANY
    assert seen[0][0] == 7
    assert max(deleted for deleted, _ in seen[2:]) <= 7  # it was alone before the second
    assert [others for _, others in seen] == [0] + [1] * (len(seen) - 1)
    assert len(rests) == len(seen) - 1
    assert all(rests)


def test_a_batch_that_found_nothing_is_none(engine):
    work = Turns(engine)
    with work.turn():
        pass
    assert work.taken == 0


def test_a_batch_that_fails_is_none_and_leaves_nothing(engine, writer):
    writer.commit([r.artifact()]).result(10)
    work = Turns(engine)

    def fails():
        with work.turn() as turn:
            turn.connection.exec_driver_sql("DELETE FROM aiguard_artifacts")
            turn.did(1)
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert (work.taken, r.scalars(engine, "SELECT count(*) FROM aiguard_artifacts")) == (0, [1])


def test_finding_a_person_says_which_keys_are_theirs(engine, people):
    names = retention.people.lookups_of(people, "jane", None)
    assert find_person(people, "jane").keys == {}
    key = people.subject_keys([names["user"]])[names["user"]]
    assert find_person(people, "jane").keys == {"user": key.id.hex()}
