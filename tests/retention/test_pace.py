"""A run keeps out of the way of those who write, never falls behind them, and takes its full speed back when they stop."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aiguard.db.engine import WAL_PAGES
from aiguard.retention.pace import AHEAD, GAITS, HURRY, LONG, REMEMBERED, SPREAD, STUCK, Drain, Pace

seconds = st.floats(0.0001, 2.0)
batches = st.lists(st.tuples(st.integers(0, 2_000), seconds, seconds), min_size=1, max_size=30)
gaits = st.sampled_from(sorted(GAITS.values(), key=lambda gait: gait.rows))


@given(gait=gaits, most=st.integers(1, 5_000), steps=batches)
def test_beside_others_a_run_rests_longer_than_it_takes_and_makes_up_for_what_they_write(gait, most, steps):
    pace, now = Pace(gait=gait, most=most), 0.0
    owed = 0
    for others, worked, took in steps:
        deleted = pace.rows
        rest = pace.after(now=now, deleted=deleted, others=others, worked=worked, took=took)
        assert 1 <= pace.rows <= most
        owed = max(0, owed + AHEAD * others - deleted)
        assert pace.beside_others == (now < pace.minded_until)
        if others:
            assert rest >= (1 if owed <= pace.rows else HURRY) * gait.rest * took
            assert pace.rows >= min(owed / SPREAD, most)
            assert pace.rows >= min(gait.smallest, most)
            assert pace.rows <= max(2 * deleted, -(-owed // SPREAD), gait.smallest)
        elif now >= pace.minded_until:
            owed = 0
        now += took + rest


@given(gait=gaits, each=st.integers(1, 300), took=st.floats(0.001, 0.05), number=st.integers(50, 200))
def test_however_much_others_write_a_run_keeps_ahead_of_it(gait, each, took, number):
    pace, deleted = Pace(gait=gait, most=AHEAD * each * 2), 0
    for step in range(number):
        deleted += pace.rows
        pace.after(now=float(step), deleted=pace.rows, others=each, worked=took, took=took)
    assert deleted >= AHEAD * each * (number - SPREAD - 1)


@given(gait=gaits, steps=batches)
def test_alone_it_comes_back_to_its_full_speed(gait, steps):
    pace, now = Pace(gait=gait, most=gait.rows), 0.0
    for others, worked, took in steps:
        now += took + pace.after(now=now, deleted=pace.rows, others=others, worked=worked, took=took)
    now += REMEMBERED
    for _ in range(12):
        assert pace.after(now=now, deleted=pace.rows, others=0, worked=0.1, took=0.1) == pace.pause
    assert pace.rows == gait.rows


@given(gait=gaits)
def test_who_writes_now_and_then_is_minded_between_two_writes(gait):
    pace = Pace(gait=gait, most=gait.rows)
    pace.after(now=0.0, deleted=1, others=1, worked=0.001, took=0.001)
    assert pace.after(now=REMEMBERED / 2, deleted=1, others=0, worked=1.0, took=1.0) >= gait.rest
    assert pace.rows == gait.smallest


def test_a_long_log_is_begun_anew_before_others_have_to_move_it_and_not_in_vain_each_time():
    drain = Drain()
    assert LONG < STUCK < WAL_PAGES
    assert not drain.stuck(STUCK - 1)
    assert drain.stuck(STUCK)
    assert [drain.stuck(STUCK + more) for more in (100, STUCK - 1, STUCK, STUCK + 100)] == [False, False, True, False]
    assert not drain.stuck(10)  # it was begun anew
    assert drain.stuck(STUCK)
