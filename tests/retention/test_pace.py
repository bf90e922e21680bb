"""A run keeps out of the way of those who write, never falls behind them, and takes its full speed back when they stop."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aiguard.retention.pace import AHEAD, GAITS, REMEMBERED, Pace

seconds = st.floats(0.0001, 2.0)
batches = st.lists(st.tuples(st.integers(0, 2_000), seconds, seconds), min_size=1, max_size=30)
gaits = st.sampled_from(sorted(GAITS.values(), key=lambda gait: gait.rows))


@given(gait=gaits, most=st.integers(1, 5_000), steps=batches)
def test_beside_others_a_run_rests_longer_than_it_takes_and_deletes_more_than_they_write(gait, most, steps):
    pace, now = Pace(gait=gait, most=most), 0.0
    for others, worked, took in steps:
        before = pace.rows
        rest = pace.after(now=now, others=others, worked=worked, took=took)
        assert 1 <= pace.rows <= most
        if others:
            assert rest >= gait.rest * took
            assert pace.rows >= min(AHEAD * others, most)
            assert pace.rows >= min(gait.smallest, most)
            assert pace.rows <= max(2 * before, AHEAD * others, gait.smallest)
        now += took + rest


@given(gait=gaits, steps=batches)
def test_alone_it_comes_back_to_its_full_speed(gait, steps):
    pace, now = Pace(gait=gait, most=gait.rows), 0.0
    for others, worked, took in steps:
        now += took + pace.after(now=now, others=others, worked=worked, took=took)
    now += REMEMBERED
    for _ in range(12):
        assert pace.after(now=now, others=0, worked=0.1, took=0.1) == pace.pause
    assert pace.rows == gait.rows


@given(gait=gaits)
def test_who_writes_now_and_then_is_minded_between_two_writes(gait):
    pace = Pace(gait=gait, most=gait.rows)
    pace.after(now=0.0, others=1, worked=0.001, took=0.001)
    assert pace.after(now=REMEMBERED / 2, others=0, worked=1.0, took=1.0) >= gait.rest
    assert pace.rows == gait.smallest
