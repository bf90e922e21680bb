from __future__ import annotations

import re

import re2
from hypothesis import given
from hypothesis import strategies as st

from aiguard.scan.words import last, spaced, trigger, words

LISTED = ("tax id", "pan", "ни", "身份证", "téléphone", "d.o.b", "st nr")
PIECES = ("tax", "Tax", "ID", "id", "Id", " ", "_", "-", "pan", "Pan", "PAN", "s", "S", "company", "ни", "НИ", "身份证", "téléphone", "D.O.B", "St", "Nr", "1", "é", "\n", "(")  # fmt: skip


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


NESTED = ("a/c", "card", "card no", "cards", "no", "número", "身分證", "身分", "c")


def simply(listed: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = "|".join(re.escape(word) for word in sorted(listed, key=len, reverse=True))
    return re.compile(rf"(?<![^\W\d_])(?:{longest_first})s?(?![a-z]|(?<=[a-z])[ß-öø-ɏͰ-ϿЀ-ӿ])")


@given(st.lists(st.sampled_from([*NESTED, "s", " ", "x", "1", "é", "\n", "cardn"]), max_size=8).map("".join))
def test_words_in_a_tree_are_the_words_of_the_list(text: str) -> None:
    found = words(NESTED)
    assert found is not None
    assert [each.span() for each in found.finditer(text)] == [each.span() for each in simply(NESTED).finditer(text)]
