"""The law of this folder, over any history of keeping, holding, releasing, pruning and moving clocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from tests.support import records as r

from aiguard import retention
from aiguard.audit import story
from aiguard.db import Writer
from aiguard.retention import Gone, HoldScope
from aiguard.retention.evidence import ids_root
from aiguard.store import MasterKeyRing
from aiguard.types import ArtifactRecord

DAY = timedelta(days=1)
DAYS = st.integers(-3, 3)
FEATURES = st.sampled_from(["one", "two", "three"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), DAYS, FEATURES),
        st.tuples(st.just("hold"), st.just(0), FEATURES),
        st.tuples(st.just("release"), st.integers(0, 5), st.just("")),
        st.tuples(st.just("prune"), DAYS, st.integers(1, 4)),
    ),
    max_size=25,
)


@dataclass
class Model:
    """What should be there."""

    kept: dict[str, ArtifactRecord] = field(default_factory=dict)
    holds: dict[str, str] = field(default_factory=dict)

    def due(self, now: datetime) -> set[str]:
        held = set(self.holds.values())
        return {id for id, each in self.kept.items() if each.expires_at <= now and each.feature not in held}


@pytest.fixture
def backend() -> str:
    return "sqlite"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_exactly_what_is_due_and_not_held_goes_and_every_batch_can_be_proved(
    engine: Engine, writer: Writer, keyring: MasterKeyRing, steps: list[tuple[str, int, Any]]
) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM aiguard_artifacts"))
    for hold in retention.holds(engine):
        retention.release(engine, keyring, hold.id, released_by="b", now=r.NOW)
    model = Model()
    for step, number, more in steps:
        now = r.NOW + number * DAY
        if step == "keep":
            record = r.artifact(feature=more, expires_at=now)
            writer.commit([record]).result(5)
            model.kept[record.id] = record
        elif step == "hold":
            options: dict[str, Any] = {
                "matter": "m",
                "custodian": "c",
                "placed_by": "a",
                "review_at": r.NOW + DAY,
                "now": r.NOW,
            }
            placed = retention.place(engine, keyring, HoldScope(feature=more), **options)
            model.holds[placed.id] = more
        elif step == "release" and model.holds:
            id = sorted(model.holds)[number % len(model.holds)]
            retention.release(engine, keyring, id, released_by="b", now=r.NOW)
            del model.holds[id]
        elif step == "prune":
            due = model.due(now)
            plan = retention.plan(engine, now)
            assert (plan.expired, plan.staying) == (len(due), len(model.kept) - len(due))
            went: dict[int, list[str]] = {}
            done = retention.prune(engine, keyring, now, batch_size=more, pause=0, witness=partial(_remember, went))
            assert (done.deleted, done.left) == (len(due), 0)
            assert {id for ids in went.values() for id in ids} == due
            events = [event for event in story(engine, done.run_id, keyring=keyring) if event.type == "store.pruned"]
            assert [event.payload["ids_root"] for event in events] == [
                ids_root(went[number]) for number in sorted(went)
            ]
            model.kept = {id: each for id, each in model.kept.items() if id not in due}
    assert set(r.scalars(engine, "SELECT id FROM aiguard_artifacts")) == set(model.kept)


def _remember(went: dict[int, list[str]], batch: int, gone: Gone) -> None:
    went[batch] = list(gone.ids)
