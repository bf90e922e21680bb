"""Content codings: any chunking gives the whole, and no bomb is unpacked."""

from __future__ import annotations

import gzip
import itertools
import random
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from aiguard.errors import MalformedInput
from aiguard.framing.encodings import ContentDecoder, UnknownCoding
from aiguard.framing.jsontree import TooLarge

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: bytes(brotli.compress(data, quality=3)),
    "zstd": zstandard.compress,
}
codings = st.sampled_from(sorted(PACK))


def decode(data: bytes, coding: str, *, cuts: list[int] | None = None, max_bytes: int | None = 1 << 20) -> bytes:
    decoder = ContentDecoder(coding, max_bytes=max_bytes)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    out = b"".join(decoder.feed(data[a:b]) for a, b in itertools.pairwise(edges))
    decoder.finish()
    return out


@given(
    st.binary(max_size=2000) | st.text(max_size=50).map(lambda t: t.encode() * 40), codings, st.lists(st.integers(0))
)
def test_a_coded_body_decodes_to_the_same_bytes_however_it_is_cut(body, coding, cuts):
    assert decode(PACK[coding](body), coding, cuts=cuts) == body


@given(st.binary(max_size=500), codings, codings)
def test_two_codings_come_off_in_the_order_they_were_put_on(body, inner, outer):
    assert decode(PACK[outer](PACK[inner](body)), f"{inner}, {outer}") == body


@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from(["gzip", "zstd"]), st.lists(st.integers(0)))
def test_every_member_of_a_body_is_read(first, second, coding, cuts):
    assert decode(PACK[coding](first) + PACK[coding](second), coding, cuts=cuts) == first + second


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_body_of_nothing_but_empty_members_is_read_in_linear_time(coding):
    def seconds(members):
        data = PACK[coding](b"") * members
        started = time.process_time()
        assert decode(data, coding) == b""
        return time.process_time() - started

    seconds(100)
    assert min(seconds(40_000) for _ in range(2)) < 20 * max(min(seconds(4_000) for _ in range(3)), 0.001)


@given(st.binary(min_size=1, max_size=300), codings, st.integers(1))
def test_a_body_that_is_cut_off_is_refused(body, coding, cut):
    packed = PACK[coding](body)
    with pytest.raises(MalformedInput):
        decode(packed[: 1 + cut % (len(packed) - 1)] if len(packed) > 1 else packed[:0] + b"\x1f", coding)


@given(st.binary(max_size=300), codings, st.binary(min_size=1, max_size=20))
def test_nothing_may_follow_the_end_of_a_coding(body, coding, garbage):
    with pytest.raises(MalformedInput):
        decode(PACK[coding](body) + b"\x00" + garbage, coding)


@given(st.binary(min_size=1, max_size=200), codings)
def test_bytes_that_are_no_coding_are_refused_or_decode_to_something_whole(body, coding):
    decoder = ContentDecoder(coding, max_bytes=1 << 16)
    try:
        decoder.feed(body)
        decoder.finish()
    except MalformedInput:
        return
    assert coding in ("zstd", "br"), "a few bytes can be a whole empty stream of these"


@pytest.mark.parametrize("coding", sorted(PACK))
def test_a_bomb_is_refused_before_it_is_unpacked(coding):
    bomb = PACK[coding](bytes(60 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge) as refused:
            decode(bomb, coding)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused.value.status == 413
    assert peak < 16 << 20


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_stream_without_an_end_is_bounded_by_what_came_in(coding):
    with pytest.raises(TooLarge, match="times its size"):
        decode(PACK[coding](bytes(60 << 20)), coding, max_bytes=None)


def test_a_bomb_in_a_bomb_is_refused():
    inner = gzip.compress(bytes(200 << 20), compresslevel=1)
    with pytest.raises(TooLarge):
        decode(gzip.compress(inner), "gzip, gzip")


@pytest.mark.parametrize("coding", ["identity", "", " Identity , "])
def test_no_coding_is_passed_on_and_counted(coding):
    assert decode(b"abc", coding) == b"abc"
    with pytest.raises(TooLarge):
        decode(b"abc", coding, max_bytes=2)


@pytest.mark.parametrize("coding", ["compress", "aws-chunked", "gzip;q=1", "gzip, gzip, gzip", "dcb"])
def test_a_coding_that_is_not_known_is_refused(coding):
    with pytest.raises(UnknownCoding) as refused:
        ContentDecoder(coding, max_bytes=10)
    assert refused.value.status == 415


@pytest.mark.parametrize(("coding", "package"), [("br", "brotli"), ("zstd", "zstandard")])
def test_a_coding_whose_package_is_missing_is_refused(coding, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnknownCoding, match=r"aiguard\[web\]"):
        ContentDecoder(coding, max_bytes=10)


def test_random_bytes_that_do_not_pack_are_read_in_full():
    body = random.Random(1).randbytes(900_000)
    for coding, pack in PACK.items():
        assert decode(pack(body), coding) == body
