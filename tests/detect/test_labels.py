"""A number right behind its own name counts though its check fails, and a lone number is everything that it can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.detect import default_detector
from aiguard.detect.catalogue import catalogue
from aiguard.detect.catalogue.numbers import LABELLED
from aiguard.scan import Engine, Recognizer
from aiguard.scan.words import JOINED_WITHIN, labelled, words
from aiguard.types import Finding

detector = default_detector()


def found(text: str, *, context: str = "") -> dict[str, tuple[str, float]]:
    return {each.type: (text[each.start : each.end], each.score) for each in detector.detect(text, context=context)}


@pytest.mark.parametrize(
    ("text", "type", "value"),
    [
        ("Her PESEL is 44051401358, I think", "PL_PESEL", "44051401358"),
        ("Medicare number: 2123 45671 9", "AU_MEDICARE", "2123 45671 9"),
        ("Aadhaar no. 2341 2341 2347.", "IN_AADHAAR", "2341 2341 2347"),
        ("| NHS number | 943 476 5871 |", "UK_NHS", "943 476 5871"),
        ("credit card number is 4567-8901-2345-6789.", "CREDIT_CARD", "4567-8901-2345-6789"),
        ("IBAN: DE89 3704 0044 0532 0130 01 please", "IBAN_CODE", "DE89 3704 0044 0532 0130 01"),
        ("SSN 912-34-5678", "US_SSN", "912-34-5678"),
        ("身份证号：110101198001011081", "CN_RESIDENT_ID", "110101198001011081"),
    ],
)
def test_a_mistyped_number_behind_its_name_is_found_for_less(text: str, type: str, value: str) -> None:
    assert found(text)[type] == (value, LABELLED)


@pytest.mark.parametrize(
    "text",
    [
        "the PESEL register had 44051401358 rows",
        "sin 123 456 789 personas",
        "ein 12-3456789 Artikel",
        "NHS number 000 000 0000",
        "my card reader counted 4567-8901-2345-6789",
    ],
)
def test_a_name_further_off_and_an_ordinary_word_are_no_label(text: str) -> None:
    assert not [each for each in detector.detect(text) if each.score == LABELLED]


def test_a_number_that_checks_out_keeps_its_own_score() -> None:
    assert found("PESEL: 44051401359")["PL_PESEL"][1] > LABELLED


def test_the_key_of_a_value_is_its_label() -> None:
    assert found("44051401358", context="customer_pesel")["PL_PESEL"] == ("44051401358", LABELLED)
    assert "PL_PESEL" not in found("in room 44051401358", context="customer_pesel")


def test_every_label_is_among_the_words_that_are_looked_for() -> None:
    labelled_ones = [each for each in catalogue() if each.labels]
    assert len(labelled_ones) > 200
    assert all(set(each.labels) <= set(each.context) for each in labelled_ones if each.context)


@given(st.text("  :=#.\n\t-_'\"(|no is", max_size=2 * JOINED_WITHIN))
def test_nothing_but_what_joins_stands_between_a_label_and_its_value(between: str) -> None:
    wanted = words(("pesel",))
    assert wanted is not None
    if len(between) > JOINED_WITHIN or any(word in ("n", "i", "s", "o", "nn", "oo") for word in between.split()):
        assert not labelled(wanted, f"pesel {between} x ")
    else:
        assert not labelled(wanted, f"pesel {between} thing ")


def test_a_lone_number_is_everything_that_its_check_digits_allow() -> None:
    assert {"PHONE_NUMBER", "AU_MEDICARE", "US_NPI"} <= set(found("2123456701"))
    assert {each.start for each in detector.detect(" 2123456701 ")} == {1}
    assert set(found("so 2123456701 it is")) == set()


def test_a_reading_that_says_little_counts_only_where_there_is_no_other() -> None:
    assert set(found("73904618253094618")) == {"ID_NUMBER"}
    assert "ID_NUMBER" not in found("2123456701")


def test_what_is_found_by_itself_settles_what_a_lone_text_is() -> None:
    assert set(found("4111 1111 1111 1111")) == {"CREDIT_CARD"}


def test_readings_of_a_lone_value_do_not_drop_each_other_whatever_their_priority() -> None:
    def lone(name: str, type: str, priority: int, score: float) -> Recognizer:
        return Recognizer(
            name=name,
            type=type,
            pattern=r"\b\d{6}\b",
            base_score=0.1,
            context_score=0.1,
            alone_score=score,
            priority=priority,
        )

    engine = Engine([lone("a", "A", 60, 0.55), lone("b", "B", 30, 0.52), lone("c", "C", 5, 0.51)])
    assert [each.type for each in engine.detect("537190")] == ["A", "B"]
    only_c: list[Finding] = Engine([lone("c", "C", 5, 0.51)]).detect("537190")
    assert [each.type for each in only_c] == ["C"]
