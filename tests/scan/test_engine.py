from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiguard.scan import Engine, Recognizer, RecognizerError, ScanFailed, check
from aiguard.types import Detector


def even(text: str) -> bool:
    return int("".join(c for c in text if c.isdigit())) % 2 == 0


NUMBER = Recognizer(
    name="number", type="NUMBER", pattern=r"\b\d(?:[ ]?\d){3,9}\b", validate=even, shrink=3, max_length=20
)
WORD = Recognizer(name="word", type="WORD", pattern=r"\bsecret\b", priority=10)


def spans(text: str, *recognizers: Recognizer, context: str = "") -> list[tuple[str, str]]:
    return [(f.type, text[f.start : f.end]) for f in Engine(recognizers).detect(text, context=context)]


def test_an_engine_is_a_detector() -> None:
    engine = Engine([NUMBER, WORD])
    assert isinstance(engine, Detector)
    assert engine.types == {"NUMBER", "WORD"}


def test_offsets_are_characters_whatever_stands_before() -> None:
    for before in ("", "é", "日本語 ", "😀😀 ", "\ud800 ", "\x00"):
        text = before + " 1234 and secret"
        assert spans(text, NUMBER, WORD) == [("NUMBER", "1234"), ("WORD", "secret")]


def test_after_a_failed_validation_the_search_goes_on_one_character_later() -> None:
    assert spans("7 1234", Recognizer(name="n", type="N", pattern=r"\b\d(?:[ ]?\d){3,4}\b", validate=even)) == [
        ("N", "7 1234")
    ]
    odd_first = Recognizer(name="n", type="N", pattern=r"\b\d(?:[ ]?\d){3,4}\b", validate=lambda t: t == "1234")
    assert spans("7 1234", odd_first) == [("N", "1234")]


def test_a_candidate_that_fails_may_lose_its_last_groups() -> None:
    assert spans("1234 5", NUMBER) == [("NUMBER", "1234")]


def test_a_comma_that_must_not_stand_before_may_part_columns() -> None:
    number = replace(NUMBER, not_after=",")
    assert spans("Jane,1234", number) == [("NUMBER", "1234")]
    assert spans("7,1234", number) == []


def test_the_digits_of_a_decimal_fraction_are_no_number() -> None:
    number = replace(NUMBER, pattern=r"\b\d{10}\b")
    for text in ("0.1234567890", "(0.1234567890)", "-77.1234567890", "[0.5, 123.1234567890]"):
        assert spans(text, number) == [], text
    for text in ("1712.1234567890", "v0.1234567890", "n. 1234567890", ".1234567890", "No.1234567890", "1.0.1234567890"):
        assert spans(text, number) == [("NUMBER", "1234567890")], text
    assert spans("1.1234 5678", NUMBER) == [("NUMBER", "1234 5678")]


def test_a_letter_of_any_alphabet_goes_on_a_word() -> None:
    assert spans("1234é", NUMBER) == []
    assert spans("д1234", NUMBER) == []
    assert spans("電話1234番", NUMBER) == [("NUMBER", "1234")]


def test_the_sign_of_a_footnote_is_no_part_of_a_number() -> None:
    for text in ("x 4111111112² and", "4111111112³", "¹4111111112", "m²4111111112"):
        assert spans(text, NUMBER) == [("NUMBER", "4111111112")], text
    assert spans("4111111112é", NUMBER) == []


def test_words_before_a_match_and_its_key_count_and_words_after_it_do_not() -> None:
    code = Recognizer(
        name="code", type="CODE", pattern=r"\b\d{4}\b", context=("pin code",), deny=("year",), base_score=0.2
    )
    assert spans("pin code: 1234", code) == [("CODE", "1234")]
    assert spans("1234 is my pin code", code) == []
    assert spans("pin code" + " " * 80 + "1234", code) == []
    assert spans("1234", code, context="userPinCode") == [("CODE", "1234")]
    assert spans("pin code of the year 1234", code) == []


def test_of_a_long_key_the_end_is_read_and_no_more_is_remembered() -> None:
    code = Recognizer(name="code", type="CODE", pattern=r"\b\d{4}\b", context=("phone",), base_score=0.2)
    engine = Engine([code])
    assert [found.type for found in engine.detect("1234", context="x" * 100_000 + " phone")] == ["CODE"]
    assert engine.detect("1234", context="phone " + "x" * 100_000) == []
    tracemalloc.start()
    for number in range(100):
        engine.detect("1234", context=f"{number} phone" * 10_000)
    assert tracemalloc.get_traced_memory()[0] < 1_000_000
    tracemalloc.stop()


def test_a_finding_within_another_of_the_same_or_higher_priority_is_dropped() -> None:
    wide = Recognizer(name="wide", type="WIDE", pattern=r"a secret thing", priority=10)
    assert spans("a secret thing", wide, WORD) == [("WIDE", "a secret thing")]


def test_overlapping_findings_of_one_type_are_united() -> None:
    left = Recognizer(name="left", type="T", pattern=r"abc", boundary=False)
    right = Recognizer(name="right", type="T", pattern=r"cde", boundary=False)
    assert spans("abcde", left, right) == [("T", "abcde")]


def test_hidden_characters_and_look_alikes_are_seen_through_and_covered() -> None:
    assert spans("sec\u200bret", WORD) == [("WORD", "sec\u200bret")]
    assert spans("ｓｅｃｒｅｔ", WORD) == [("WORD", "ｓｅｃｒｅｔ")]
    assert spans("ѕесrеt", WORD) == [("WORD", "ѕесrеt")]
    tagged = "hi " + "".join(chr(0xE0000 + ord(c)) for c in "secret")
    assert [f.type for f in Engine([WORD]).detect(tagged)] == ["WORD"]


def test_encoded_text_is_looked_into_and_what_carries_the_value_is_the_finding() -> None:
    assert spans("x=aGVyZSBpcyB0aGUgc2VjcmV0IHdvcmQ= y", WORD) == [("WORD", "aGVyZSBpcyB0aGUgc2VjcmV0IHdvcmQ=")]
    assert spans("q=a%20secret%20b", WORD)[0] == ("WORD", "secret")
    assert spans("q=%D0%B4%20s%65cret%20b&x=1", WORD) == [("WORD", "s%65cret")]
    assert spans("q=s%2565cret%20b", WORD) == [("WORD", "q=s%2565cret%20b")]  # encoded twice: there is no telling


def test_a_plain_value_beside_an_encoded_blank_is_not_widened() -> None:
    mail = Recognizer(name="m", type="MAIL", pattern=r"\w{1,9}@\w{1,9}\.com")
    assert spans("/s?q=a%20b&m=jo@ex.com", mail) == [("MAIL", "jo@ex.com")]


def test_a_value_that_stands_plain_in_a_run_hides_no_encoded_one_beside_it() -> None:
    mail = Recognizer(name="m", type="MAIL", pattern=r"\w{1,9}@\w{1,9}\.com")
    assert spans("/s?a=jo@ex.com&b=jo%40ex.com", mail) == [("MAIL", "jo@ex.com"), ("MAIL", "jo%40ex.com")]
    twice = "a=jo@ex.com&b=jo%2540ex.com"
    assert ("MAIL", twice) in spans(twice, mail)
    entities = "a=jo@ex.com&b=jo&#64;ex.com"
    assert spans(entities, mail) == [("MAIL", entities)]


def test_bytes_that_are_no_text_do_not_hide_what_is_percent_encoded_beside_them() -> None:
    for beside in ("n=Ren%E9", "n=%00", "n=%ff%fe", "n=%1b%5B0m", "n=%C3%A9%C3"):
        assert ("WORD", "s%65cret") in spans(f"{beside}&q=s%65cret", WORD), beside


@pytest.mark.parametrize(
    "which",
    [
        lambda engine: engine.filters._patterns._parts[0][1],
        lambda engine: engine.filters._patterns._parts[1][1],
        lambda engine: engine.filters._words._plain[0],
        lambda engine: engine.filters._alone,
    ],
    ids=["patterns with edges", "patterns without", "words", "whole texts"],
)
def test_a_scan_that_did_not_happen_is_a_refusal(which: Callable[[Engine], Any]) -> None:
    others = replace(WORD, name="alone", base_score=0.1, alone_score=0.6), replace(WORD, name="named", boundary=False)
    engine = Engine([WORD, *others])

    class Broken:
        def Match(self, data: bytes) -> None:  # noqa: N802 - RE2's name
            return None

    which(engine)._set = Broken()
    with pytest.raises(ScanFailed):
        engine.detect("secret")


@pytest.mark.parametrize(
    ("recognizer", "says"),
    [
        (Recognizer(name="bad", type="T", pattern=r"(?<=a)b"), "does not compile"),
        (Recognizer(name="bad", type="T", pattern=r"a*"), "empty string"),
        (Recognizer(name="bad", type="T", pattern=r"a+"), "bound its repeats"),
        (Recognizer(name="bad", type="T", pattern=r"a", base_score=90), "base_score must be from 0 to 1"),
        (Recognizer(name="bad", type="T", pattern=r"(a)(b)"), "groups"),
        (Recognizer(name="bad", type="T", pattern=r"abc", examples=("xyz",)), "own example 1"),
        (Recognizer(name="bad", type="T", pattern=r"abc", counter_examples=("abc",)), "own counter-example 1"),
    ],
)
def test_a_recognizer_that_cannot_be_used_is_refused_by_name(recognizer: Recognizer, says: str) -> None:
    with pytest.raises(RecognizerError, match="'bad'") as error:
        check(recognizer)
    assert says in str(error.value)


def test_a_check_that_raises_ends_the_scan_and_nothing_of_the_value_comes_out() -> None:
    number = Recognizer(
        name="number", type="NUMBER", pattern=r"N[0-9a-f]{4}", validate=lambda value: int(value[1:]) > 5
    )
    with pytest.raises(ScanFailed, match="'number' raised ValueError") as failed:
        Engine([number]).detect("N0001 N00ff")
    assert failed.value.__context__ is None


def test_two_recognizers_of_one_name_are_refused() -> None:
    with pytest.raises(RecognizerError, match="same name"):
        Engine([WORD, WORD])


@given(st.text(), st.text())
def test_every_value_is_found_wherever_it_stands(before: str, after: str) -> None:
    text = f"{before} secret {after}"
    at = len(before) + 1
    assert any(f.start <= at and f.end >= at + 6 for f in Engine([WORD]).detect(text))


surrogates = st.text(alphabet=st.characters(codec=None))


@given(surrogates)
def test_any_str_at_all_can_be_scanned_and_every_finding_lies_in_it(text: str) -> None:
    for finding in Engine([NUMBER, WORD]).detect(text):
        assert 0 <= finding.start < finding.end <= len(text)


@given(st.lists(st.sampled_from(["secret", "1234", "12", " ", "é", "a", "\ud800", "\u200b"]), max_size=30))
def test_findings_are_sorted_and_repeatable(pieces: list[str]) -> None:
    text = "".join(pieces)
    engine = Engine([NUMBER, WORD])
    found = engine.detect(text)
    assert found == engine.detect(text)
    assert [f.start for f in found] == sorted(f.start for f in found)


@settings(deadline=None, max_examples=10)
@given(st.sampled_from(["1", "1 ", "12 34 ", "secret", "1234 secret ", "é1 "]))
def test_cost_grows_with_the_length_and_not_faster(unit: str) -> None:
    engine = Engine([NUMBER, WORD])

    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        best = 9.0
        for _ in range(3):
            begin = time.process_time()
            engine.detect(text)
            best = min(best, time.process_time() - begin)
        return best

    assert seconds(40_000) < 12 * seconds(10_000) + 0.02


def test_threads_see_what_one_thread_sees() -> None:
    engine = Engine([NUMBER, WORD])
    texts = [f"{i} secret é {2 * i + 1000}" for i in range(200)]
    expected = [engine.detect(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(engine.detect, texts)) == expected


def test_a_word_that_the_window_cuts_is_not_a_context_word() -> None:
    code = Recognizer(
        name="code", type="CODE", pattern=r"\b\d{4}\b", context=("phone",), base_score=0.2, context_window=10
    )
    assert spans("phone     1234", code) == [("CODE", "1234")]
    assert spans("microphone     1234", code) == []


def test_a_value_that_stands_plain_elsewhere_is_still_found_where_it_is_encoded() -> None:
    mail = Recognizer(name="m", type="MAIL", pattern=r"\w{1,9}@\w{1,9}\.com")
    encoded = "bWFpbCBqb0BleC5jb20gcGxlYXNl"  # mail jo@ex.com please
    assert spans(f"{encoded} and jo@ex.com", mail) == [("MAIL", encoded), ("MAIL", "jo@ex.com")]


def test_of_two_findings_alike_the_first_recognizer_names_the_type_whatever_else_the_text_holds() -> None:
    first = Recognizer(name="first", type="FIRST", pattern=r"\bx\d{3}\b")
    second = Recognizer(name="second", type="SECOND", pattern=r"\b[a-z]\d{3}\b")
    for around in ("", "secret ", "y123 secret ", "1234 y123 "):
        assert ("FIRST", "x123") in spans(f"{around}x123 {around}", WORD, NUMBER, first, second)
