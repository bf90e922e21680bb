from __future__ import annotations

import base64
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.framing.jsontree import JsonDocument
from aiguard.providers import UnknownShape
from aiguard.providers.wire.sealed import is_sealed, maybe_sealed, sealed
from aiguard.providers.wire.shape import read, record

RANDOM = random.Random(7)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def texts(value: Any, check: Any = sealed) -> list[str]:
    return [part.text for part in read(record({"signature": check}), JsonDocument.of({"signature": value})).parts]


def test_almost_all_random_bytes_are_sealed() -> None:
    seals = [encoded(RANDOM.randbytes(RANDOM.randint(75, 4000))) for _ in range(400)]

    assert sum(map(is_sealed, seals)) >= 380


def test_the_name_of_a_model_may_stand_among_them() -> None:
    content = RANDOM.randbytes(100) + b"\x12\x18claude-opus-4-5-20251101\x00" + RANDOM.randbytes(100)

    assert is_sealed(encoded(content))


@given(st.text(min_size=75, max_size=400))
def test_no_text_is_sealed(text: str) -> None:
    plain = text.encode("ascii", "ignore") * 75

    assert not is_sealed(encoded(plain[:600]))
    assert not is_sealed(encoded(text.encode("utf-8", "replace") + b"4111111111111111" * 4))


@pytest.mark.parametrize(
    "hidden",
    [b"4111111111111111", b"alice@example.com", b"AKIAIOSFODNN7EXAMPLE", b"4111 1111 1111 1111", b"call 0171 5559999"],
)
def test_a_value_among_random_bytes_is_not_sealed(hidden: bytes) -> None:
    assert not is_sealed(encoded(RANDOM.randbytes(200) + hidden + RANDOM.randbytes(200)))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "abc",
        encoded(RANDOM.randbytes(64)),
        encoded(b"\0" * 400),
        encoded(b"\0".join(b"%d" % digit for digit in range(99))),
        "A" * 400,
        encoded(RANDOM.randbytes(200)) + "!",
        encoded(RANDOM.randbytes(200))[:-3],
        "sk-proj-" + encoded(RANDOM.randbytes(200)),
    ],
)
def test_what_is_short_regular_or_broken_is_not_sealed(value: str) -> None:
    assert not is_sealed(value)


def test_what_is_sealed_is_structure_and_everything_else_is_a_part() -> None:
    whole = encoded(RANDOM.randbytes(300))

    assert texts(whole) == texts(whole, maybe_sealed) == []
    assert texts("abc") == texts("abc", maybe_sealed) == ["abc"]
    assert texts("call me", maybe_sealed) == ["call me"]
    assert texts(5, maybe_sealed) == ["5"]


@pytest.mark.parametrize("value", ["call me", "alice@example.com", 5, None, ["abc"], "é"])
def test_what_is_not_base64_is_refused_in_a_request(value: Any) -> None:
    with pytest.raises(UnknownShape, match="'signature' holds characters"):
        texts(value)
