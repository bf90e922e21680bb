from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from tests.support import records as r

from aiguard import retention, store
from aiguard.audit import tail
from aiguard.audit.read import counts
from aiguard.db import make_engine, writing
from aiguard.policy import parse_policy
from aiguard.retention import ledger
from aiguard.retention.duties import Interrupted, figures, prometheus, run_due
from aiguard.retention.ledger import LEASE, MAX_ATTEMPTS, LeaseLost
from aiguard.retention.pace import GAITS
from aiguard.retention.planning import plan
from aiguard.retention.pruning import _said
from aiguard.retention.recompute import recompute
from aiguard.retention.ticker import Ticker
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing
from aiguard.types import Sensitivity

MASTER = MasterKeyRing([b"k" * 32])
JANE = MASTER.pseudonym("subject", "-:jane")
DAY = timedelta(days=1)
RULE = 'basis = "law"\nmechanism = "delete"\nowner = "dpo"\n'


def policy(prompt="30d", extra=""):
    return parse_policy(f'[retention.prompt]\nduration = "{prompt}"\n{RULE}\n{extra}', "p.toml", ["EMAIL_ADDRESS"])


@pytest.fixture
def people(engine):
    return SubjectKeyRing(MASTER, MASTER, KeyStore(engine, apart=False))


@pytest.fixture
def writer(make_writer, people):
    return make_writer(keyring=people)


def at(moment):
    return lambda: moment


def count(engine):
    return r.scalars(engine, "SELECT count(*) FROM aiguard_artifacts")[0]


def outcomes(engine, people, rules, moment):
    return {duty.job: duty for duty in run_due(engine, people, rules, clock=at(moment))}


class TestTheLedger:
    def test_a_period_is_run_once(self, engine):
        run = ledger.claim(engine, "prune", "2026-03-01T12", now=r.NOW)
        assert run is not None
        assert ledger.claim(engine, "prune", "2026-03-01T12", now=r.NOW) is None
        ledger.finish(engine, run, now=r.NOW, outcome={"deleted": 3})
        assert ledger.claim(engine, "prune", "2026-03-01T12", now=r.NOW + 400 * DAY) is None
        assert ledger.claim(engine, "prune", "2026-03-01T13", now=r.NOW) is not None
        assert ledger.last_success(engine, "prune") == r.NOW

    def test_a_run_whose_worker_fell_silent_is_taken_over_and_is_no_longer_the_first_ones(self, engine):
        first = ledger.claim(engine, "prune", "p", now=r.NOW)
        assert first is not None
        ledger.renew(engine, first, now=r.NOW + LEASE / 2)
        assert ledger.claim(engine, "prune", "p", now=r.NOW + LEASE) is None
        second = ledger.claim(engine, "prune", "p", now=r.NOW + 2 * LEASE)
        assert second is not None
        assert second.attempt == 2
        for late in (
            lambda: ledger.renew(engine, first, now=r.NOW),
            lambda: ledger.finish(engine, first, now=r.NOW, outcome={}),
            lambda: ledger.fail(engine, first, now=r.NOW, error="E"),
        ):
            with pytest.raises(LeaseLost):
                late()
        ledger.finish(engine, second, now=r.NOW, outcome={})

    def test_a_run_that_fails_is_tried_again_a_few_times(self, engine):
        for attempt in range(1, MAX_ATTEMPTS + 1):
            run = ledger.claim(engine, "prune", "p", now=r.NOW)
            assert run is not None
            assert run.attempt == attempt
            with pytest.raises(OSError, match="disk"):
                ledger.carry_out(engine, run, self.breaks, clock=at(r.NOW))
        assert ledger.claim(engine, "prune", "p", now=r.NOW) is None
        (told,) = ledger.runs(engine)
        assert (told.state, told.attempts, told.outcome) == ("failed", MAX_ATTEMPTS, {"error": "OSError"})

    @staticmethod
    def breaks():
        raise OSError("the disk of jane@example.org")

    def test_of_many_workers_one_has_the_run(self, engine, database_url):
        engines = [make_engine(database_url) for _ in range(6)]
        held: list[Any] = []

        def work(on):
            claims = [ledger.claim(on, "prune", str(period), now=r.NOW) for period in range(10)]
            held.extend(run.period for run in claims if run)

        threads = [threading.Thread(target=work, args=(on,)) for on in engines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(held) == sorted(map(str, range(10)))
        for on in engines:
            on.dispose()


def test_everything_due_is_done_once_an_hour(engine, writer, people):
    writer.commit([r.artifact(expires_at=r.NOW - DAY), r.artifact()]).result(5)
    done = outcomes(engine, people, policy(), r.NOW)
    assert {duty.state for duty in done.values()} == {"done"}
    assert (done["prune"].outcome["deleted"], count(engine)) == (1, 1)
    assert outcomes(engine, people, policy(), r.NOW + timedelta(minutes=59)) == {}
    assert set(outcomes(engine, people, policy(), r.NOW + timedelta(hours=1))) == {"recompute", "prune", "vault"}
    found = figures(engine, r.NOW)
    assert (found.overdue, found.kept, found.last_prune) == (0, 1, r.NOW + timedelta(hours=1))
    assert "aiguard_retention_overdue 0" in prometheus(found)


def test_a_downtime_is_caught_up_in_one_run_and_a_clock_set_back_deletes_less(engine, writer, people):
    writer.commit([r.artifact(expires_at=r.NOW + n * DAY) for n in range(10)]).result(5)
    early = outcomes(engine, people, policy(), r.NOW - 365 * DAY)
    assert early["prune"].outcome["deleted"] == 0
    assert outcomes(engine, people, policy(), r.NOW + 4 * DAY)["prune"].outcome["deleted"] == 5
    assert outcomes(engine, people, policy(), r.NOW + 4 * DAY) == {}


def test_a_job_does_not_delete_half_of_everything_on_its_own(engine, writer, people, monkeypatch):
    monkeypatch.setattr("aiguard.retention.planning.SWEEPING_ROWS", 10)
    writer.commit([r.artifact(expires_at=r.NOW - DAY) for _ in range(11)]).result(5)
    refused = outcomes(engine, people, policy(), r.NOW)["prune"]
    assert (refused.state, refused.outcome["error"], count(engine)) == ("failed", "TooMuchIsDue", 11)
    assert "aiguard prune" in refused.outcome["detail"]


def test_deletion_that_does_not_delete_is_noticed(engine, writer, people):
    trigger = {
        "sqlite": "CREATE TRIGGER keep BEFORE DELETE ON aiguard_artifacts BEGIN SELECT RAISE(IGNORE); END",
        "postgresql": "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; "
        "CREATE TRIGGER keep BEFORE DELETE ON aiguard_artifacts FOR EACH ROW EXECUTE FUNCTION keep()",
    }
    with writing(engine) as connection:
        connection.execute(text(trigger[engine.dialect.name]))
    done = outcomes(engine, people, policy(), r.NOW)["prune"]
    assert (done.state, done.outcome["error"]) == ("failed", "CanarySurvived")
    assert tail(engine, people)[-1].type == "retention.canary_survived"


def test_a_change_of_policy_moves_expiries_and_content_still_opens(engine, writer, people):
    rules = policy()
    kept = [
        r.artifact(subject=JANE, actor=JANE, content="hers", retention_hash=rules.retention_hash),
        r.artifact(subject="", actor="", content="nobody's", retention_hash=rules.retention_hash),
        r.artifact(data_class="eval", retention_hash=rules.retention_hash),
        r.artifact(content="the application's own time"),
    ]
    writer.commit(kept).result(5)
    assert recompute(engine, people, rules, now=r.NOW).changed == 0
    shorter = policy("7d")
    done = recompute(engine, people, shorter, now=r.NOW)
    assert (done.changed, done.uncovered, done.unreadable) == (2, 1, 0)
    for record, days in zip(kept, (7, 7, 30, 30), strict=True):
        (found,) = store.artifacts(engine, people, decision_id=record.decision_id)
        assert (found.content, found.expires_at) == (record.content, record.created_at + timedelta(days=days))
    assert recompute(engine, people, shorter, now=r.NOW).changed == 0
    event = tail(engine, people)[-1]
    assert (event.type, event.payload["changed"]) == ("retention.recomputed", 2)


def test_overrides_count_when_times_are_computed_anew(engine, writer, people):
    rules = policy()
    tenant = people.pseudonym("tenant", "acme")
    theirs = r.artifact(tenant=tenant, retention_hash=rules.retention_hash)
    secret = r.artifact(sensitivity=Sensitivity.RESTRICTED, retention_hash=rules.retention_hash)
    writer.commit([theirs, secret]).result(5)
    extra = f'[[retention.overrides]]\ndata_class = "prompt"\ntenant = "acme"\nduration = "90d"\n{RULE}\n'
    extra += f'[[retention.overrides]]\ndata_class = "prompt"\nsensitivity = "restricted"\nduration = "1d"\n{RULE}\n'
    assert recompute(engine, people, policy(extra=extra), now=r.NOW).changed == 2
    days = [(store.kept(engine, decision_id=each.decision_id)[0].expires_at - r.NOW).days for each in (theirs, secret)]
    assert days == [90, 1]


def test_a_row_that_cannot_be_opened_keeps_its_time(engine, writer, people):
    rules = policy()
    record = r.artifact(subject=JANE, retention_hash=rules.retention_hash)
    writer.commit([record, r.artifact(retention_hash=rules.retention_hash)]).result(5)
    KeyStore(engine, apart=False).destroy([JANE])
    people.forget()
    done = recompute(engine, people, policy("7d"), now=r.NOW)
    assert (done.changed, done.unreadable) == (1, 1)
    assert store.kept(engine, decision_id=record.decision_id)[0].expires_at == record.expires_at


def test_a_row_whose_master_key_is_not_at_hand_is_told_of_and_gets_its_time_when_the_key_is_back(
    engine, writer, people, caplog
):
    rules, shorter = policy(), policy("7d")
    records = [r.artifact(subject="", actor="", retention_hash=rules.retention_hash) for _ in range(2)]
    writer.commit(records).result(5)
    other = MasterKeyRing([b"other" * 6 + b"!!"])
    without = SubjectKeyRing(other, other, people.store)

    def told(done):
        return done.changed, done.unreadable, done.destroyed, done.fresh

    assert told(recompute(engine, without, shorter, now=r.NOW)) == (0, 2, 0, 2)
    assert "2 kept contents do not open" in caplog.text
    assert counts(engine)["retention.recomputed"] == 1
    assert told(recompute(engine, without, shorter, now=r.NOW)) == (0, 2, 0, 0)
    assert counts(engine)["retention.recomputed"] == 1
    assert plan(engine, records[0].expires_at, rules=shorter.retention_hash).expired == 2
    assert told(recompute(engine, people, shorter, now=r.NOW)) == (2, 0, 0, 0)
    for record in records:
        (found,) = store.artifacts(engine, people, decision_id=record.decision_id)
        assert (found.content, found.expires_at) == (record.content, record.created_at + timedelta(days=7))


def test_what_old_events_say_goes_where_policy_has_a_rule_for_it(engine, writer, people):
    writer.commit([r.event(at=r.NOW - 500 * DAY), r.event(at=r.NOW - DAY)]).result(5)
    assert "payloads" not in outcomes(engine, people, policy(), r.NOW)
    rules = policy(extra=f'[retention.audit_payload]\nduration = "400d"\n{RULE}')
    assert outcomes(engine, people, rules, r.NOW)["payloads"].outcome == {"deleted": 1}
    events = tail(engine, people, 50)
    assert [event.seq for event in events if event.erased] == [0]
    (tombstone,) = [event for event in events if event.type == "erasure.completed"]
    assert tombstone.payload["events"] == [[0, 0]]


def test_rules_that_come_back_count_again_and_late_rows_of_old_rules_are_found(engine, writer, people):
    first, second = policy("30d"), policy("7d")
    record = r.artifact(retention_hash=first.retention_hash)
    writer.commit([record]).result(5)

    def days():
        return (store.kept(engine, decision_id=record.decision_id)[0].expires_at - r.NOW).days

    hours = [r.NOW + timedelta(hours=number) for number in range(3)]
    seen = [outcomes(engine, people, rules, hour)["recompute"].outcome["changed"] for rules, hour in zip((second, first, first), hours, strict=True)]  # fmt: skip
    assert (seen, days()) == ([1, 1, 0], 30)
    late = r.artifact(retention_hash=second.retention_hash)
    writer.commit([late]).result(5)
    assert outcomes(engine, people, first, r.NOW + timedelta(hours=4))["recompute"].outcome["changed"] == 1


class TestTheThread:
    def test_it_does_what_is_due_and_stops_between_two_batches(self, engine, writer, people, monkeypatch):
        writer.commit([r.artifact(expires_at=r.NOW - DAY) for _ in range(30)]).result(5)
        gait = replace(GAITS[engine.dialect.name], rows=5)
        monkeypatch.setattr("aiguard.retention.pruning.GAITS", {engine.dialect.name: gait})
        ticker = Ticker(engine, people, policy(), interval=3600, clock=at(r.NOW))
        seen = []

        def told(type, *_):
            seen.append(type)
            if len(seen) == 3:
                ticker._stop.set()

        monkeypatch.setattr("aiguard.retention.pruning._said", lambda *given: told("batch") or _said(*given))
        ticker.turn()
        assert 0 < count(engine) < 30
        assert [run.state for run in ledger.runs(engine, job="prune")] == ["failed"]
        again = Ticker(engine, people, policy(), interval=0.05, clock=at(r.NOW))
        again.start()
        deadline = time.monotonic() + 60
        while [run.state for run in ledger.runs(engine, job="prune")] != ["done"] and time.monotonic() < deadline:
            time.sleep(0.02)
        again.close()
        assert count(engine) == 0
        assert [run.state for run in ledger.runs(engine, job="prune")] == ["done"]

    def test_a_fork_waits_for_a_batch_and_not_for_the_run(self, engine, people):
        ticker = Ticker(engine, people, policy(), interval=3600, clock=at(r.NOW))
        held = []

        def run():
            with ticker._turning, contextlib.suppress(Interrupted):
                for _ in range(1000):
                    ticker._between()
                    time.sleep(0.005)
                    held.append(1)

        thread = threading.Thread(target=run)
        thread.start()
        while not held:
            time.sleep(0.001)
        started = time.monotonic()
        ticker.prepare_to_fork()
        assert time.monotonic() - started < 4
        stands = len(held)
        time.sleep(0.1)
        assert len(held) <= stands + 1
        ticker._stop.set()
        ticker.go_on()
        with pytest.raises(Interrupted):
            ticker._between()
        thread.join(10)

    def test_what_stands_against_it_is_logged_without_a_row(self, people, caplog):
        gone = make_engine("postgresql://nobody@127.0.0.1:9/none", lock_timeout=1)
        Ticker(gone, people, policy(), interval=3600, clock=at(r.NOW)).turn()
        assert "retention did not run" in caplog.text


def test_nothing_goes_by_rules_that_are_no_longer_in_force(engine, writer, people):
    old, new = policy("7d"), policy("90d")
    created = r.NOW - 10 * DAY
    kept = [
        r.artifact(retention_hash=old.retention_hash, created_at=created, expires_at=created + 7 * DAY),
        r.artifact(
            data_class="eval", retention_hash=old.retention_hash, created_at=created, expires_at=created + 7 * DAY
        ),
        r.artifact(expires_at=r.NOW - DAY),
    ]
    writer.commit(kept).result(5)
    period = f"{r.NOW:%Y-%m-%dT%H}-{new.retention_hash[7:23]}"
    assert ledger.claim(engine, "recompute", period, now=r.NOW) is not None  # another worker is at it, slowly
    assert outcomes(engine, people, new, r.NOW)["prune"].outcome["deleted"] == 1
    assert set(r.scalars(engine, "SELECT id FROM aiguard_artifacts")) == {each.id for each in kept[:2]}
    plan = retention.plan(engine, r.NOW, rules=new.retention_hash)
    assert (plan.expired, plan.other_rules) == (0, 2)
    later = outcomes(engine, people, new, r.NOW + timedelta(hours=1))
    assert (later["recompute"].outcome["changed"], later["recompute"].outcome["uncovered"]) == (1, 1)
    assert later["prune"].outcome["deleted"] == 1  # no rule covers it any more: it goes when it was meant to
    assert r.scalars(engine, "SELECT id FROM aiguard_artifacts") == [kept[0].id]


def test_a_hold_on_everything_leaves_nothing_to_delete_and_is_no_alarm(engine, writer, people):
    writer.commit([r.artifact(expires_at=r.NOW - DAY)]).result(5)
    retention.place(
        engine, people, retention.HoldScope(), matter="m", custodian="c", placed_by="ann", review_at=r.NOW + DAY, now=r.NOW,
        everything=True,
    )  # fmt: skip
    done = outcomes(engine, people, policy(), r.NOW)["prune"]
    assert (done.state, done.outcome["deleted"]) == ("done", 0)
    found = figures(engine, r.NOW)
    assert (found.overdue, found.held) == (0, 2)  # the artifact, and what was planted to be deleted
