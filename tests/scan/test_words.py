from __future__ import annotations

import re

import re2
from hypothesis import given
from hypothesis import strategies as st

from aiguard.scan.views import FOLD
from aiguard.scan.words import last, preceding, spaced, trigger, words

LISTED = ("tax id", "pan", "ни", "карта", "カード", "ıd", "身份证", "téléphone", "d.o.b", "st nr")
PIECES = ("карта", "КАРТА", "Карта".translate(FOLD), "КАРТА".translate(FOLD), "カード", "カート", "ıd", "TAXId", "XPan", "Pans", "tax", "Tax", "ID", "id", "Id", " ", "_", "-", "pan", "Pan", "PAN", "s", "S", "company", "ни", "НИ", "身份证", "téléphone", "D.O.B", "St", "Nr", "1", "é", "\n", "(")  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_a_text_in_which_a_word_is_found_is_always_noticed_in_advance(text: str) -> None:
    pattern = words(LISTED)
    if last(pattern, spaced(text)) >= 0:
        assert re2.search(trigger(LISTED), text)


def test_keys_are_read_as_the_words_they_are_made_of() -> None:
    pattern = words(("tax id",))
    for key in ("taxId", "customerTax_id", "TAX-ID", "tax ids"):
        assert last(pattern, spaced(key)) > 0, key
        assert re2.search(trigger(("tax id",)), key), key
    assert last(pattern, spaced("syntax idea")) == -1
    assert not re2.search(trigger(("pan",)), "a company's panel")


def test_a_word_behind_capitals_begins_with_the_last_of_them() -> None:
    pattern = words(("ssn", "number"))
    for key in ("SSNNumber", "customerSSNNumber", "SSNs", "userSSN", "HTTPNumber"):
        assert last(pattern, spaced(key)) > 0, key
        assert re2.search(trigger(("ssn", "number")), key), key


def test_a_word_is_known_in_a_text_whose_letters_were_read_as_latin_ones_or_without_marks() -> None:
    listed = ("телефон", "инн", "αφμ", "マイナンバー", "numarası")
    for text in ("Телефон", "ТЕЛЕФОНА", "ИНН", "инн", "ΑΦΜ", "ﾏｲﾅﾝﾊﾞｰ", "マイナンハ\u3099ー", "NUMARASI", "numarası"):
        read = text.translate(FOLD)
        assert last(words(listed), spaced(read)) > 0, text
        assert re2.search(trigger(listed), read), text
    assert last(words(listed), "отелефон") == last(words(("pan",)), "panel") == -1


UNSPACED = "\u4e00-\u9fff"
NESTED = ("a/c", "card", "card no", "cards", "no", "número", "身分證", "身分", "c")


def test_a_word_of_a_script_without_spaces_counts_behind_any_letter() -> None:
    for text in ("我的手机号是", "请拨打手机", "제휴대폰은", "וטלפון"):
        assert last(words(("手机", "휴대폰", "טלפון")), text) > 0, text
    assert last(words(("phone", "тел")), "microphone отел") == -1
    assert preceding("这是一个很长的没有标点的句子我的手机号是1", 20, 8).endswith("手机号是")
    assert preceding("a long microphone 1", 18, 6) == " "


def simply(listed: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = "|".join(re.escape(word) for word in sorted(listed, key=len, reverse=True))
    begins = rf"(?<![^\W\d_])(?![{UNSPACED}])|(?=[{UNSPACED}])"
    return re.compile(rf"(?:{begins})(?:{longest_first})s?(?![a-z]|(?<=[a-z])[ß-öø-ɏͰ-ϿЀ-ӿ])")


@given(st.lists(st.sampled_from([*NESTED, "s", " ", "x", "1", "é", "\n", "cardn", "我的"]), max_size=8).map("".join))
def test_words_in_a_tree_are_the_words_of_the_list(text: str) -> None:
    found = words(NESTED)
    assert found is not None
    assert [each.span() for each in found.finditer(text)] == [each.span() for each in simply(NESTED).finditer(text)]
