"""How often: exactly as policy says, in memory and in a real Redis, alone and in a crowd."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.guards import JANE, POLICY, make_guard
from tests.support.redis import RedisServer

from aiguard.errors import AccessDenied, ControlFailed, RateLimited, StoreUnavailable
from aiguard.identity.rates import Exceeded, MemoryCounters, RedisCounters, Use, uses_of
from aiguard.policy import Feature
from aiguard.problems import problem
from aiguard.types import Actor, Rate

MINUTE = Rate(limit=3, seconds=60)
DAY = Rate(limit=5, seconds=86_400)


def use(rate=MINUTE, name="reply:actor:A"):
    return Use(name=name, rate=rate)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(params=["memory", "redis"])
def counters(request):
    if request.param == "memory":
        return MemoryCounters()
    return RedisCounters(request.getfixturevalue("redis_url"))


def test_as_many_uses_are_allowed_as_the_rate_says_and_then_it_says_when_to_come_back(counters):
    assert [counters.take([use()]) for _ in range(3)] == [None] * 3
    refused = counters.take([use()])
    assert isinstance(refused, Exceeded)
    assert refused.use == use()
    assert 59 <= refused.retry_after <= 60


def test_callers_features_and_windows_are_counted_apart(counters):
    for _ in range(3):
        assert counters.take([use()]) is None
    assert counters.take([use(name="reply:actor:B")]) is None
    assert counters.take([use(name="triage:actor:A")]) is None
    assert counters.take([use(rate=DAY)]) is None


def test_a_use_that_one_rate_refuses_is_not_held_against_the_others(counters):
    once = Rate(limit=1, seconds=1)
    both = [use(rate=once), use(rate=DAY)]
    assert counters.take(both) is None
    for _ in range(20):
        assert counters.take(both).use.rate == once
    assert [counters.take([use(rate=DAY)]) for _ in range(4)] == [None] * 4
    assert counters.take([use(rate=DAY)]).use.rate == DAY


def test_a_longer_rate_that_is_used_up_refuses_too_and_says_its_own_time(counters):
    both = [use(rate=Rate(limit=10, seconds=1)), use(rate=Rate(limit=1, seconds=3600))]
    assert counters.take(both) is None
    refused = counters.take(both)
    assert refused.use.rate.seconds == 3600
    assert refused.retry_after > 3000


def test_a_use_is_allowed_again_when_the_window_has_moved_on(counters):
    once = use(rate=Rate(limit=2, seconds=1))
    assert counters.take([once]) is None
    assert counters.take([once]) is None
    assert counters.take([once]) == Exceeded(use=once, retry_after=1)
    time.sleep(1.1)
    assert counters.take([once]) is None


def test_a_crowd_gets_exactly_what_the_rate_allows(counters):
    allowed: list[bool] = []
    gate = threading.Barrier(16)
    rates = [use(rate=Rate(limit=40, seconds=600)), use(rate=Rate(limit=1000, seconds=3600), name="reply:tenant:T")]

    def call():
        gate.wait()
        allowed.extend(counters.take(rates) is None for _ in range(10))

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(allowed) == 160
    assert sum(allowed) == 40


def _take_many(url, times, results):
    counters = RedisCounters(url, timeout=5.0)
    results.put(sum(counters.take([use(rate=Rate(limit=50, seconds=600))]) is None for _ in range(times)))


def test_several_processes_that_share_redis_get_together_what_the_rate_allows(redis_url):
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    workers = [spawn.Process(target=_take_many, args=(redis_url, 40, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert sum(results.get(timeout=60) for _ in workers) == 50
    for worker in workers:
        worker.join()


@given(
    st.lists(st.integers(0, 12), max_size=60),
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 20)), min_size=1, max_size=3),
)
def test_no_window_ever_holds_more_uses_than_its_rate_and_no_use_is_refused_without_need(pauses, rates):
    clock = Clock()
    counters = MemoryCounters(clock)
    uses = [use(rate=Rate(limit=limit, seconds=seconds)) for limit, seconds in dict(rates).items()]
    taken: list[float] = []
    for pause in pauses:
        clock.now += pause
        full = [
            each for each in uses
            if sum(moment > clock.now - each.rate.seconds for moment in taken) >= each.rate.limit
        ]  # fmt: skip
        refused = counters.take(uses)
        assert (refused is not None) == bool(full)
        if refused is None:
            taken.append(clock.now)
        else:
            assert refused.use in full
            clock.now += refused.retry_after
            assert sum(moment > clock.now - refused.use.rate.seconds for moment in taken) < refused.use.rate.limit


def test_a_forked_child_counts_for_itself_and_is_not_held_up_by_its_parent():
    counters = MemoryCounters()
    assert [counters.take([use()]) for _ in range(3)] == [None] * 3
    with counters._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if counters.take([use()]) is None else 1)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_counters_that_have_run_out_are_forgotten():
    clock = Clock()
    counters = MemoryCounters(clock)
    for number in range(1000):
        counters.take([use(name=str(number))])
    clock.now += 61
    counters.take([use()])
    assert len(counters._used) == 1


def test_more_callers_than_there_is_room_for_are_refused_and_none_is_forgotten_for_them():
    counters = MemoryCounters(Clock(), size=2)
    assert counters.take([use(name="a")]) is None
    assert counters.take([use(name="b")]) is None
    with pytest.raises(StoreUnavailable, match="AIGUARD_REDIS_URL"):
        counters.take([use(name="c")])
    assert counters.take([use(name="a")]) is None


# --- at admission ---

LIMITED = POLICY.replace('scope = "support:reply"', 'scope = "support:reply"\nrate = ["2/minute", "5/day"]', 1)


def test_an_admission_beyond_the_rate_is_refused_on_record_and_says_when_to_come_back():
    guard, recorder = make_guard(LIMITED)
    for _ in range(2):
        guard.admit(JANE, "support:reply").end()
    with pytest.raises(RateLimited) as raised:
        guard.admit(JANE, "support:reply")
    refused = raised.value
    assert (refused.http_status, refused.limit, refused.window) == (429, 2, 60)
    document = problem(refused, scope="support:reply")
    headers = dict(document.headers)
    assert document.status == 429
    assert headers["Retry-After"] == str(refused.retry_after)
    assert headers["RateLimit-Policy"] == '"ai";q=2;w=60'
    assert headers["RateLimit"] == f'"ai";r=0;t={refused.retry_after}'
    assert headers["Content-Type"] == "application/problem+json"
    event = recorder.events[-1]
    assert (event.type, event.decision_id) == ("access.denied", refused.decision_id)
    assert event.payload["reasons"] == ["rate.exceeded"]
    assert (event.payload["limit"], event.payload["window_s"]) == (2, 60)


def test_each_actor_of_each_tenant_and_kind_has_a_rate_of_its_own():
    guard, _ = make_guard(LIMITED)
    scopes = frozenset({"support:reply"})
    for actor in (
        JANE,
        Actor(id="jane", scopes=scopes, tenant="other"),
        Actor(id="jane", scopes=scopes),
        Actor(id="jane", kind="service", scopes=scopes, tenant="acme"),
        Actor(id="john", scopes=scopes, tenant="acme"),
    ):
        for _ in range(2):
            guard.admit(actor, "support:reply").end()


def test_a_tenant_s_rate_counts_all_of_its_actors_together():
    guard, _ = make_guard(
        POLICY.replace('scope = "support:reply"', 'scope = "support:reply"\ntenant_rate = "3/hour"', 1)
    )
    scopes = frozenset({"support:reply"})
    for number in range(3):
        guard.admit(Actor(id=f"u{number}", scopes=scopes, tenant="acme"), "support:reply").end()
    with pytest.raises(RateLimited):
        guard.admit(Actor(id="u9", scopes=scopes, tenant="acme"), "support:reply")
    guard.admit(Actor(id="u9", scopes=scopes, tenant="other"), "support:reply").end()


def test_a_caller_who_may_not_is_not_counted():
    guard, _ = make_guard(LIMITED)
    for _ in range(9):
        with pytest.raises(AccessDenied):
            guard.admit(Actor(id="jane", tenant="acme"), "support:reply")
    guard.admit(JANE, "support:reply").end()


def test_what_counts_is_a_pseudonym():
    feature = Feature(name="reply", scope="a:b", owner="x", rate=(MINUTE,), tenant_rate=(DAY,))
    guard, _ = make_guard()
    names = guard.names(JANE, None)
    for each in uses_of(feature, names["actor"], names["tenant"]):
        assert "jane" not in each.name
        assert "acme" not in each.name


def test_a_use_that_cannot_be_counted_is_refused_and_why_is_not_in_the_log_line(caplog):
    class Broken:
        def take(self, uses):
            raise RuntimeError("jane@example.org")

    guard, recorder = make_guard(LIMITED, counters=Broken())
    with pytest.raises(ControlFailed) as raised:
        guard.admit(JANE, "support:reply")
    assert (raised.value.http_status, raised.value.reasons[0].code) == (503, "rate.unavailable")
    assert recorder.events[-1].payload["reasons"] == ["rate.unavailable"]
    assert "RuntimeError" in caplog.text
    assert "jane" not in caplog.text


# --- Redis in trouble ---


@pytest.fixture
def server():
    server = RedisServer()
    yield server
    server.thaw() if server._process else None
    server.close()


def refused_in(guard, seconds):
    begun = time.monotonic()
    with pytest.raises(ControlFailed) as raised:
        guard.admit(JANE, "support:reply")
    assert raised.value.reasons[0].code == "rate.unavailable"
    assert time.monotonic() - begun < seconds


def test_nobody_is_let_in_while_redis_is_away_or_frozen_and_all_goes_on_when_it_is_back(server):
    guard, _ = make_guard(LIMITED, counters=RedisCounters(server.url, timeout=0.2))
    guard.admit(JANE, "support:reply").end()
    server.freeze()
    refused_in(guard, 3)
    server.thaw()
    server.stop()
    refused_in(guard, 3)
    server.start()
    guard.admit(JANE, "support:reply").end()


def test_redis_that_is_not_redis_is_a_refusal(tmp_path):
    guard, _ = make_guard(LIMITED, counters=RedisCounters(f"redis+unix://{tmp_path}/nothing.sock", timeout=0.2))
    refused_in(guard, 3)


def test_counting_leaves_only_pseudonyms_in_redis_and_they_expire(redis_server, redis_url):
    guard, _ = make_guard(LIMITED, counters=RedisCounters(redis_url))
    guard.admit(JANE, "support:reply").end()
    keys = redis_server.client().keys()
    assert len(keys) == 2
    assert not any(b"jane" in key or b"acme" in key for key in keys)
    assert all(0 < redis_server.client().ttl(key) <= 86_400 for key in keys)
