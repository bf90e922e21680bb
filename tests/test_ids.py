"""Names for things."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.ids import POOL, crockford_128, new_id

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def number(text):
    value = 0
    for each in text:
        value = value * 32 + DIGITS.index(each)
    return value


@given(st.binary(min_size=16, max_size=16))
def test_128_bits_are_a_number_in_26_digits(data):
    assert len(crockford_128(data)) == 26
    assert number(crockford_128(data)) == int.from_bytes(data, "big")


@given(st.integers(0, 2**48 - 1))
def test_an_id_begins_with_its_time_in_milliseconds(milliseconds):
    id = new_id("agd", (milliseconds + 0.5) / 1000)
    assert id.startswith("agd_")
    assert len(id) == 30
    assert abs(number(id[4:14]) - milliseconds) <= 1  # a float of seconds


def test_ids_are_unique_whoever_asks():
    with ThreadPoolExecutor(8) as pool:
        ids = [each for some in pool.map(lambda _: [new_id("evt") for _ in range(2_000)], range(8)) for each in some]
    assert len(set(ids)) == len(ids)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_repeat_its_parents_ids():
    new_id("evt")  # what was drawn for later is there
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(sending, " ".join(new_id("evt", 0) for _ in range(POOL)).encode())
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as pipe:
        theirs = pipe.read().split()
    os.waitpid(child, 0)
    assert len(theirs) == POOL
    assert not {new_id("evt", 0) for _ in range(POOL)} & set(theirs)
