from __future__ import annotations

import itertools
import re
import string
from typing import Any, cast

import pytest
import re2
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from aiguard.detect import catalogue, default_detector
from aiguard.scan import Engine, Recognizer
from aiguard.scan.closure import Headed, Mentions, NotClosed, Tails, alphabet_within, closure, head

LETTERS = "ab"
LONGEST_ENDING = 10
IN_RUN = frozenset(string.ascii_letters + string.digits + "_.~@:/?&=+%-")
WORDS = ["".join(letters) for size in range(1, 6) for letters in itertools.product(LETTERS, repeat=size)]


def matches(pattern: str, text: str) -> bool:
    return bool(pattern) and re2.fullmatch(pattern, text) is not None


pieces = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", "(?i:A)", "ab"])
patterns = st.recursive(
    pieces,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda branches: f"(?:{'|'.join(branches)})"),
        st.builds(lambda piece, n: f"(?:{piece})" + n, inner, st.sampled_from(["?", "*", "+", "{2}", "{1,2}", "{0,2}?", "{2,}", "{0}"])),
        inner.map(lambda piece: f"({piece})"),
    ),
    max_leaves=5,
)  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(patterns)
@example("(?:ababab){2}")
@example("(?:(?:ab){2,}b*a)+")
def test_a_closure_matches_exactly_the_non_empty_prefixes_of_matches(pattern: str) -> None:
    assume(_once(pattern) <= LONGEST_ENDING)
    closed = closure(pattern)
    # A prefix of up to three letters of some match of up to five: longer matches of these patterns repeat themselves.
    whole = [word for word in WORDS if matches(pattern, word)]
    prefixes = {word[:size] for word in whole for size in range(1, len(word) + 1)}
    for word in WORDS:
        if word in prefixes:
            assert matches(closed, word)
        elif len(word) <= 2 and matches(closed, word):
            assert any(matches(pattern, word + rest) for rest in _endings(LONGEST_ENDING))


def _once(pattern: str) -> int:
    """How long a match can be in which nothing is repeated without need: what a prefix of a match lacks is no longer."""
    for repeat, once in (("{2,}", "{2}"), ("*", "?"), ("+", "")):
        pattern = pattern.replace(repeat, once)
    return int(re._parser.parse(pattern).getwidth()[1])  # type: ignore[attr-defined]


def _endings(longest: int):
    for size in range(longest + 1):
        yield from ("".join(letters) for letters in itertools.product(LETTERS, repeat=size))


@pytest.mark.parametrize(
    ("pattern", "prefixes", "others"),
    [
        (r"ab{2}c", ["a", "ab", "abb", "abbc"], ["", "b", "abc", "abbcc"]),
        (r"(?i)Key: \d{2,3}", ["k", "KEY", "key: ", "key: 1", "Key: 123"], ["key:1", "key: 1234"]),
        (r"\bab\b", ["a", "ab"], ["abc"]),
        (r"(?:a{2}b){2}", ["aabaab", "aabaa", "aab"], ["aba", "aabaaba"]),
        (r"(?s)<.>", ["<", "<\n", "<\n>"], [">"]),
        (r"é+x", ["é", "éé", "ééx"], ["x"]),
        (r"", [], ["", "a"]),
    ],
)
def test_what_a_closure_matches(pattern: str, prefixes: list[str], others: list[str]) -> None:
    closed = closure(pattern)
    assert [text for text in prefixes if not matches(closed, text)] == []
    assert [text for text in others if matches(closed, text)] == []


@pytest.mark.parametrize("recognizer", catalogue(), ids=lambda recognizer: recognizer.name)
def test_every_prefix_of_every_match_in_the_catalogue_is_held(recognizer) -> None:
    tails = Tails([closure(recognizer.pattern)])
    program = re2.compile(recognizer.pattern)
    for value in recognizer.examples:
        for match in program.finditer(value):
            for end in range(match.start() + 1, match.end() + 1):
                data = value[:end].encode()
                assert tails.start(data) <= len(value[: match.start()].encode())


@pytest.mark.parametrize("pattern", [r"(?<=a)b", r"(a)\1", r"\pLx", r"[[:alpha:]]x", "a{,3}", r"(?>a)b", "\ud800", "("])
def test_what_the_two_syntaxes_do_not_share_is_refused(pattern: str) -> None:
    with pytest.raises(NotClosed):
        closure(pattern)


def test_tails_begin_where_the_longest_possible_match_does() -> None:
    tails = Tails([closure(r"\d{2} \d{2}"), closure("xyz")])
    assert tails.start(b"12 34") == 0
    assert tails.start(b"12 34 ") == 3
    assert tails.start(b"12 34a") == 6
    assert tails.start(b"ab 12 ") == 3
    assert tails.start("é 12 xy".encode()) == 6
    assert tails.start(b"") == 0
    assert Tails([]).start(b"abc") == 3


def test_an_alphabet_is_judged_with_what_re2_folds_into_it() -> None:
    letters = frozenset(string.ascii_letters)
    assert alphabet_within("[a-z]{3}X?|(?:b|c)+", letters)
    assert alphabet_within("(?i)abc", letters)
    assert not alphabet_within("(?i)ask", letters)
    assert not alphabet_within("(?i)[a-z]", letters)
    assert not alphabet_within(r"a\d", letters)
    assert not alphabet_within("[^a]", letters)
    assert not alphabet_within("a.", letters)
    assert not alphabet_within("é", letters)


def test_mentions_are_the_patterns_that_occur() -> None:
    mentions = Mentions(["phone", "ssn", "tax id"])
    assert sorted(mentions.of(b"my ssn and phone")) == [0, 1]
    assert mentions.of(b"nothing") == []


def _gapped() -> list[Any]:
    found = []
    for recognizer in cast("Engine", default_detector()).recognizers:
        begins = head(recognizer.pattern, IN_RUN)
        if begins is not None:
            found += [pytest.param(recognizer, begins, text, id=recognizer.name) for text in recognizer.examples]
    return found


@pytest.mark.parametrize(("recognizer", "begins", "text"), _gapped())
def test_what_may_become_a_match_with_a_gap_is_held_from_where_it_begins(
    recognizer: Recognizer, begins: tuple[str, str], text: str
) -> None:
    match = re2.compile(recognizer.pattern.encode()).search(text.encode())
    assert match is not None
    start, end = match.span()
    headed, tails = Headed(begins[0], [closure(recognizer.pattern)]), Tails([begins[1]])
    whole = text.encode()
    for stop in range(start + 1, end + 1):
        if whole[stop : stop + 1] and whole[stop] & 0xC0 == 0x80:
            continue  # within a character
        data = whole[:stop]
        held = min(headed.start(data), tails.start(data))
        in_run = all(chr(byte) in IN_RUN for byte in data[start:])
        assert held <= start or (in_run and not begins[1])


def test_a_headed_pattern_costs_little_where_heads_stand_side_by_side() -> None:
    begins = head(r"(?i)key[^\n]{0,200}=([a-z]{5,100})")
    assert begins is not None
    headed = Headed(begins[0], [closure(r"(?i)key[^\n]{0,200}=([a-z]{5,100})")])
    assert headed.start(b"key" * 100_000 + b"\n") == 300_001
    assert headed.start(b"\n" + b"key" * 20) == 1


@pytest.mark.parametrize(
    ("pattern", "begins"),
    [
        ("ab[a ]{0,40}c", True),
        ("ab[a-z]{0,40}c", False),
        (r"(?:a|b.{0,99})c", True),
        (".{0,99}c", False),
        ("a(?:b.{20})?c", True),
    ],
)
def test_a_gap_is_a_long_repeat_of_something_with_a_blank_in_it(pattern: str, *, begins: bool) -> None:
    assert (head(pattern) is not None) is begins
