from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from tests.support import records as r

from aiguard import retention
from aiguard.audit import tail
from aiguard.db import make_engine
from aiguard.retention import HoldRefused, HoldScope
from aiguard.types import new_id

DAY = timedelta(days=1)


def hold(engine, keyring, scope=None, **changes):
    options = {
        "matter": "Doe v. Acme",
        "custodian": "legal@example.org",
        "placed_by": "ann",
        "review_at": r.NOW + 90 * DAY,
        "now": r.NOW,
        **changes,
    }
    return retention.place(engine, keyring, scope or HoldScope(subject=r.ACTOR), **options)


def expired(**changes):
    return r.artifact(expires_at=r.NOW - DAY, **changes)


def ids(engine):
    return set(r.scalars(engine, "SELECT id FROM aiguard_artifacts"))


def test_what_is_held_is_not_pruned_until_a_second_person_releases_it(engine, writer, keyring):
    held, other = expired(), expired(subject=r.OTHER, actor=r.OTHER)
    writer.commit([held, other]).result(5)
    placed = hold(engine, keyring)
    assert placed.covers == 1
    plan = retention.plan(engine, r.NOW)
    assert (plan.expired, plan.staying, plan.held) == (1, 1, 1)
    assert retention.prune(engine, keyring, r.NOW).deleted == 1
    assert ids(engine) == {held.id}
    for same in ("ann", " Ann ", "", "  ", "ＡＮＮ", "a\u200bnn"):
        with pytest.raises(HoldRefused):
            retention.release(engine, keyring, placed.id, released_by=same, now=r.NOW)
    retention.release(engine, keyring, placed.id, released_by="bob", now=r.NOW)
    assert retention.prune(engine, keyring, r.NOW).deleted == 1
    assert [event.type for event in tail(engine, keyring) if event.type.startswith("hold")] == [
        "hold.placed",
        "hold.released",
    ]


def test_a_hold_covers_what_is_kept_later_too(engine, writer, keyring):
    hold(engine, keyring)
    writer.commit([expired()]).result(5)
    assert retention.prune(engine, keyring, r.NOW).deleted == 0


@pytest.mark.parametrize(
    ("scope", "fits"),
    [
        ({"subject": r.ACTOR}, {"mine"}),
        ({"actor": r.OTHER}, {"theirs", "mixed"}),
        ({"subject": r.ACTOR, "actor": r.ACTOR}, {"mine"}),
        ({"feature": "search"}, {"theirs"}),
        ({"data_class": "output"}, {"mixed"}),
        ({"tenant": "T"}, {"theirs"}),
        ({"subject": r.OTHER, "feature": "support-reply"}, {"mixed"}),
        ({"created_from": r.NOW + DAY}, {"mixed"}),
        ({"created_until": r.NOW}, {"theirs"}),
        ({"created_from": r.NOW, "created_until": r.NOW + DAY}, {"mine"}),
    ],
)
def test_everything_that_a_hold_says_has_to_fit(engine, writer, keyring, scope, fits):
    rows = {
        "mine": expired(),
        "theirs": expired(subject=r.OTHER, actor=r.OTHER, feature="search", tenant="T", created_at=r.NOW - DAY),
        "mixed": expired(subject=r.OTHER, actor=r.OTHER, data_class="output", created_at=r.NOW + DAY),
    }
    writer.commit(list(rows.values())).result(5)
    assert hold(engine, keyring, HoldScope(**scope)).covers == len(fits)
    retention.prune(engine, keyring, r.NOW)
    assert ids(engine) == {rows[name].id for name in fits}


def test_a_decision_can_be_held(engine, writer, keyring):
    decision = new_id("agd")
    writer.commit([expired(decision_id=decision), expired()]).result(5)
    assert hold(engine, keyring, HoldScope(decision_id=decision)).covers == 1


@pytest.mark.parametrize(
    "wrong",
    [{"matter": " "}, {"custodian": ""}, {"placed_by": ""}, {"review_at": r.NOW}, {"scope": HoldScope()}],
    ids=["matter", "custodian", "person", "review", "everything"],
)
def test_a_hold_without_what_it_needs_is_refused(engine, keyring, wrong):
    with pytest.raises(HoldRefused):
        hold(engine, keyring, **wrong)
    assert retention.holds(engine) == []


def test_a_hold_on_everything_must_be_meant(engine, writer, keyring):
    writer.commit([expired(), expired(subject=r.OTHER)]).result(5)
    assert hold(engine, keyring, HoldScope(), everything=True).covers == 2


def test_holds_are_listed_with_what_they_cover_and_when_to_look_again(engine, writer, keyring):
    writer.commit([expired(), expired()]).result(5)
    placed = hold(engine, keyring)
    (listed,) = retention.holds(engine)
    assert listed == placed
    assert not listed.overdue(r.NOW)
    assert listed.overdue(r.NOW + 90 * DAY)
    retention.release(engine, keyring, placed.id, released_by="bob", now=r.NOW)
    assert retention.holds(engine) == []
    assert [each.released_by for each in retention.holds(engine, released=True)] == ["bob"]
    with pytest.raises(HoldRefused, match="already"):
        retention.release(engine, keyring, placed.id, released_by="eve", now=r.NOW)
    with pytest.raises(HoldRefused, match="no hold"):
        retention.release(engine, keyring, "hld_none", released_by="eve", now=r.NOW)


def test_no_name_or_matter_is_in_the_log(engine, keyring):
    hold(engine, keyring)
    (event,) = tail(engine, keyring)
    told = str(event)
    assert not [word for word in ("Doe", "legal@example.org", "ann") if word in told]


def test_placing_a_hold_and_pruning_cannot_race(engine, database_url, writer, keyring):
    """Whatever is there when a hold has been placed is there for good, though a run was in full swing."""
    for _ in range(6):
        writer.commit([expired() for _ in range(500)]).result(10)
    other = make_engine(database_url)
    run = threading.Thread(target=retention.prune, args=(other, keyring, r.NOW), kwargs={"batch_size": 20, "pause": 0})
    run.start()
    while retention.plan(engine, r.NOW).staying + retention.plan(engine, r.NOW).expired == 3000 and run.is_alive():
        time.sleep(0.001)
    placed = hold(engine, keyring)
    there = ids(engine)
    run.join(60)
    other.dispose()
    assert 0 < placed.covers == len(there) < 3000
    assert ids(engine) == there


def test_a_plan_is_applied_as_it_was_or_not_at_all(engine, writer, keyring):
    writer.commit([expired(), expired(), r.artifact()]).result(5)
    plan = retention.plan(engine, r.NOW)
    assert retention.confirmed(engine, plan.token) == plan
    writer.commit([expired()]).result(5)
    with pytest.raises(retention.PlanDrifted, match="changed"):
        retention.confirmed(engine, plan.token)
    again = retention.plan(engine, r.NOW)
    hold(engine, keyring)
    for token in (again.token, "nonsense", "", plan.token[:-1]):
        with pytest.raises(retention.PlanDrifted):
            retention.confirmed(engine, token)
