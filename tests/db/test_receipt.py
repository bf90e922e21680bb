from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from concurrent.futures import CancelledError, Future, InvalidStateError

import pytest

from aiguard.db.receipt import AT_ONCE, Chain, Receipt, Sleeper
from aiguard.db.waiting import Item, Line


@pytest.fixture(params=["future", "receipt"])
def make(request):
    """Whatever holds for a future of the standard library holds for a receipt."""
    return Future if request.param == "future" else lambda: Receipt(Chain())


def waiting(future, ask=lambda future: future.result(30)):
    """A thread that asks for the answer, and what it gets."""
    got: list[object] = []

    def work():
        try:
            got.append(ask(future))
        except Exception as error:  # noqa: BLE001 - looked at below
            got.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, got


def asleep(receipt, count=1):
    deadline = time.monotonic() + 30
    while len(receipt._sleepers) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_an_answer_is_given_to_whoever_waits_and_whoever_asks_later(make):
    future = make()
    assert not future.done()
    waiters = [waiting(future) for _ in range(5)]
    assert future.set_running_or_notify_cancel()
    assert future.running()
    future.set_result(None)
    for thread, _ in waiters:
        thread.join(30)
    assert [got for _, got in waiters] == [[None]] * 5
    assert (future.result(0), future.exception(0), future.done(), future.running()) == (None, None, True, False)
    assert not future.cancel()


def test_a_failure_is_raised_to_whoever_waits(make):
    future, error = make(), ValueError("no")
    thread, got = waiting(future)
    other, found = waiting(future, lambda future: future.exception(30))
    future.set_exception(error)
    thread.join(30)
    other.join(30)
    assert got == found == [error]
    with pytest.raises(ValueError, match="no"):
        future.result()


def test_it_is_answered_once(make):
    future = make()
    future.set_result(None)
    with pytest.raises(InvalidStateError):
        future.set_result(None)
    with pytest.raises(InvalidStateError):
        future.set_exception(ValueError())


@pytest.mark.parametrize("timeout", [0, -1, 0.001, -1.5])
def test_who_waits_in_vain_is_told_so(make, timeout):
    future = make()
    with pytest.raises(concurrent.futures.TimeoutError):
        future.result(timeout)
    with pytest.raises(concurrent.futures.TimeoutError):
        future.exception(timeout)
    future.set_result(None)
    assert future.result(timeout) is None


def test_a_wait_without_end_may_be_asked_for_in_seconds(make):
    future = make()
    thread, got = waiting(future, lambda future: future.result(1e6))
    future.set_result(None)
    thread.join(30)
    assert got == [None]


def test_what_is_cancelled_before_it_begins_is_never_answered(make):
    future = make()
    seen: list[object] = []
    future.add_done_callback(seen.append)
    thread, got = waiting(future)
    assert future.cancel()
    assert future.cancel()
    thread.join(30)
    assert isinstance(got[0], CancelledError)
    assert future.cancelled()
    assert seen == [future]
    assert not future.set_running_or_notify_cancel()
    with pytest.raises(CancelledError):
        future.result(0)
    with pytest.raises(InvalidStateError):
        future.set_result(None)


def test_what_runs_cannot_be_cancelled(make):
    future = make()
    assert future.set_running_or_notify_cancel()
    assert not future.cancel()
    future.set_result(None)
    assert future.result(0) is None


def test_callbacks_run_when_it_is_done_or_at_once(make):
    future = make()
    seen: list[object] = []
    future.add_done_callback(lambda future: seen.append(("before", future.done())))
    future.set_result(None)
    future.add_done_callback(lambda future: seen.append(("after", future.done())))
    assert seen == [("before", True), ("after", True)]


def test_the_standard_library_waits_for_it(make):
    futures = [make() for _ in range(4)]
    futures[0].set_result(None)
    futures[1].set_exception(ValueError())
    assert concurrent.futures.wait(futures, timeout=0).done == set(futures[:2])
    timer = threading.Thread(target=lambda: [futures[2].set_result(None), futures[3].set_exception(ValueError())])
    timer.start()
    assert set(concurrent.futures.as_completed(futures, timeout=30)) == set(futures)
    timer.join(30)


def test_asyncio_waits_for_it(make):
    async def ask():
        kept, failed, withdrawn = make(), make(), make()
        tasks = [asyncio.wrap_future(each) for each in (kept, failed, withdrawn)]
        threading.Thread(target=lambda: [kept.set_result(None), failed.set_exception(ValueError())]).start()
        tasks[2].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        return answers, withdrawn

    (kept, failed, withdrawn), future = asyncio.run(ask())
    assert kept is None
    assert isinstance(failed, ValueError)
    assert isinstance(withdrawn, asyncio.CancelledError)
    assert future.cancelled()


def sleepers(count):
    return [Sleeper() for _ in range(count)]


def awake(some):
    return [not each.gate.locked() for each in some]


def test_two_are_woken_and_each_wakes_one_more():
    chain, some = Chain(), sleepers(6)
    chain.wake(some)
    assert awake(some) == [True] * AT_ONCE + [False] * (6 - AT_ONCE)
    chain.next()
    assert awake(some) == [True] * 3 + [False] * 3
    chain.rest()
    assert all(awake(some))
    assert not chain


def test_who_has_gone_is_passed_over():
    chain, some = Chain(), sleepers(6)
    some[1].gone = some[2].gone = True
    chain.wake(some)
    assert awake(some) == [True, False, False, True, False, False]


def test_a_crowd_wakes_itself_though_some_of_it_have_gone():
    chain = Chain()
    receipts = [Receipt(chain) for _ in range(40)]
    impatient = [waiting(receipt, lambda future: future.result(0.01)) for receipt in receipts[::4]]
    for thread, got in impatient:
        thread.join(30)
        assert isinstance(got[0], TimeoutError)
    patient = [waiting(receipt) for receipt in receipts]
    for receipt in receipts:
        asleep(receipt)
    chain.wake([sleeper for receipt in receipts for sleeper in receipt.finish(None)])
    for thread, got in patient:
        thread.join(30)
        assert got == [None]
    assert not chain


def test_one_alone_wakes_all_others_one_after_another():
    chain = Chain()
    first, second, third = (Receipt(chain) for _ in range(3))
    threads = [waiting(each) for each in (first, second, third)]
    for receipt in (first, second, third):
        asleep(receipt)
    told = [sleeper for receipt in (first, second, third) for sleeper in receipt.finish(None)]
    chain._asleep.extend(told)
    chain.next()  # one alone: the others depend on those who woke before them
    for thread, got in threads:
        thread.join(30)
        assert got == [None]


def test_a_receipt_that_is_asked_in_vain_many_times_keeps_none_of_them():
    receipt = Receipt(Chain())
    for _ in range(50):
        with pytest.raises(TimeoutError):
            receipt.result(0)
    assert len(receipt._sleepers) == 0


@pytest.mark.parametrize("busy", [False, True])
def test_the_line_wakes_whoever_nobody_woke(busy):
    line, some = Line(limit=10, batch=10), sleepers(6)
    line.chain.wake(some)  # and none of them wakes another, as threads do that somebody else keeps from running
    if busy:
        line.put(Item((), 1, time.monotonic() + 60, Receipt(line.chain)))
        assert line.take() is not None
        assert all(awake(some))
        return
    thread = threading.Thread(target=line.take)
    thread.start()
    assert all(each.gate.acquire(timeout=30) for each in some)
    line.close()
    thread.join(30)
