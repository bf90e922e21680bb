"""The filters before the exact patterns: they never leave out what could be found, and stay fast on texts never seen before."""

from __future__ import annotations

import random
import sysconfig
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiguard.detect import catalogue, default_detector
from aiguard.scan import Engine, Recognizer
from aiguard.scan.prefilter import Prefilter, Words, coarse
from aiguard.scan.recognizer import compile_pattern
from aiguard.scan.views import FOLD
from aiguard.scan.words import last, spaced, words

RECOGNIZERS = catalogue()
PATTERNS = sorted({recognizer.pattern for recognizer in RECOGNIZERS})
LISTS = sorted({recognizer.context for recognizer in RECOGNIZERS if recognizer.context})
FILTER = Prefilter([coarse(pattern) for pattern in PATTERNS])
WORDS = Words(LISTS)
EXACT = [words(listed) for listed in LISTS]
PROGRAMS = [compile_pattern(Recognizer(name="p", type="T", pattern=pattern)) for pattern in PATTERNS]
SAID = [word for listed in LISTS for word in listed]

pieces = st.one_of(
    st.sampled_from([example for recognizer in RECOGNIZERS for example in recognizer.examples]),
    st.sampled_from(SAID),
    st.sampled_from(SAID).map(str.upper),
    st.sampled_from(SAID).map(lambda word: word.translate(FOLD)),
    st.sampled_from(SAID).map(lambda word: word.upper().translate(FOLD)),
    st.sampled_from(SAID).map(lambda word: word.title().replace(" ", "")),
    st.sampled_from(["s", " ", "_", "-", "x", "É", "1", ".", "я"]),
    st.text(max_size=4),
)
texts = st.lists(pieces, max_size=6).map("".join)


@settings(deadline=None)
@given(texts)
def test_no_pattern_that_matches_is_left_out(text: str) -> None:
    data = text.encode("utf-8", "replace")
    matching = {index for index, program in enumerate(PROGRAMS) if program.search(data) is not None}
    assert matching <= set(FILTER.hits(data))


@settings(deadline=None)
@given(texts)
def test_no_list_of_words_that_has_one_in_the_text_is_left_out(text: str) -> None:
    said = {index for index, exact in enumerate(EXACT) if last(exact, spaced(text)) >= 0}
    assert said <= set(WORDS.hits(text.encode("utf-8", "replace")))


@pytest.mark.parametrize("recognizer", RECOGNIZERS, ids=lambda recognizer: recognizer.name)
def test_every_example_passes_the_filters(recognizer: Recognizer) -> None:
    one = Prefilter([coarse(recognizer.pattern)])
    assert all(one.hits(example.encode()) == [0] for example in recognizer.examples)


def test_text_that_was_never_seen_costs_little_more_than_text_that_was() -> None:
    detector = default_detector()
    generator = random.Random(7)

    def page() -> str:
        made = ("".join(generator.choices("etaoinshrdlucmfwypvbgkqjxz", k=generator.randint(2, 9))) for _ in range(350))
        return " ".join(word.title() if generator.random() < 0.2 else word for word in made)

    def seconds(pages: list[str]) -> float:
        start = time.process_time()
        for text in pages:
            detector.detect(text)
        return time.process_time() - start

    seconds([page() for _ in range(200)])
    fresh = [page() for _ in range(100)]
    first = seconds(fresh)
    again = min(seconds(fresh) for _ in range(3))
    assert first < 40 * again  # one set of everything: several hundred times, however much it has seen


def test_the_sets_keep_their_states_over_much_text_of_many_kinds() -> None:
    """A set whose names each keep a state alive begins again from nothing over and over: a hundred times the cost, for ever."""
    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    pages = [source.read_bytes() for source in sources[:150]]
    engine = Engine(RECOGNIZERS, lazy=True)
    filters = engine.filters
    sets = [*(part for _, part in filters._patterns._parts), filters._words._plain[0], filters._rare]

    def seconds(each: Prefilter) -> float:
        start = time.process_time()
        for page in pages:
            each.hits(page)
        return time.process_time() - start

    least = min(seconds(Prefilter([b"zzzq"])) for _ in range(3))
    for each in sets:
        seconds(each)
        assert min(seconds(each) for _ in range(3)) < 20 * least
