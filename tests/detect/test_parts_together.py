"""Asking many parts at once whether anything is in them says of none that it holds nothing when something is found in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiguard.detect import catalogue, default_detector
from aiguard.detect.parts import detect_parts
from aiguard.scan import Engine, Recognizer
from aiguard.types import Part, PartKind

EXAMPLES = sorted({example for recognizer in catalogue() for example in recognizer.examples})
WORDS = (
    "",
    " ",
    "kettle",
    "the parcel",
    "12",
    "code",
    "é",
    "_",
    "\\n",
    "%41",
    "4111 1111",
    "1111 1111",
    "my ssn is",
    "078-05-1120",
    "DE",
    "\n",
)
KEYS = ("", "text", "ssn", "customer_id", "phone", "-", "password", "überweisung")

TEXT = st.one_of(
    st.sampled_from(EXAMPLES), st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join), st.text(max_size=12)
)
PARTS = st.lists(
    st.builds(
        Part,
        text=TEXT,
        context=st.sampled_from(KEYS),
        kind=st.sampled_from(PartKind),
        pointer=st.sampled_from(["/messages/0/content/0/text", "/messages/0/content/1/text", "/a", "/lines/3/text"]),
    ),
    max_size=12,
)


class Plain:
    """The built-in engine as any other detector."""

    def __init__(self, engine: Engine) -> None:
        self.types = engine.types
        self.detect = engine.detect


@settings(deadline=None, max_examples=150)
@given(PARTS)
def test_parts_asked_together_have_the_findings_of_each(parts: Sequence[Part]) -> None:
    engine = default_detector()
    assert isinstance(engine, Engine)
    assert detect_parts(engine, parts) == detect_parts(Plain(engine), parts)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(TEXT, st.sampled_from(KEYS)), max_size=12))
def test_nothing_is_found_where_nothing_is_said_to_be(texts: Sequence[tuple[str, str]]) -> None:
    engine = default_detector()
    assert isinstance(engine, Engine)
    for (text, key), nothing in zip(texts, engine.filters.nothing_in(texts), strict=True):
        assert not (nothing and engine.detect(text, context=key))


def test_most_of_an_ordinary_document_is_said_to_hold_nothing() -> None:
    engine = default_detector()
    assert isinstance(engine, Engine)
    texts = [(f"I asked {count} days ago, and nobody rang.", "text") for count in range(3)] + [("author", "lines")]
    assert engine.filters.nothing_in(texts) == [True] * 4


@pytest.mark.parametrize("pattern", [r"^ab\d", r"ab\d$", r"\Aab\d", r"ab\d\z", r"ab\d(?:,|$)"])
@pytest.mark.parametrize("score", [0.9, 0.1])
def test_a_pattern_that_asks_where_the_text_begins_or_ends_is_asked_of_each(pattern: str, score: float) -> None:
    own = Recognizer(name="own", type="OWN", pattern=pattern, base_score=score, context=("code",))
    for tried in (own, replace(own, boundary=False)):
        engine = Engine([tried])
        texts = [("the code", "a"), ("ab1", "code"), ("ab1", "a"), ("code ab1", "a"), ("kettle", "a")]
        for (text, key), nothing in zip(texts, engine.filters.nothing_in(texts), strict=True):
            assert not (nothing and engine.detect(text, context=key)), (text, key)
