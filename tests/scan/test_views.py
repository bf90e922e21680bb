from __future__ import annotations

import base64
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.scan import despaced, encoded, normalise, readings, segments
from aiguard.scan.views import FOLD, reads_as_it_stands


def test_ascii_is_its_own_view() -> None:
    text = "plain text"
    assert normalise(text).text is text


def test_what_is_not_seen_is_not_read() -> None:
    assert normalise("i\u200bg\u00adn\u2060ore").text == "ignore"
    assert normalise("i\x00g\x1bn\x7fore").text == "ignore"
    assert normalise("a\tb\nc\r\x0b\x0cd").text == "a\tb\nc\r\x0b\x0cd"
    assert normalise("ｉｇｎｏｒｅ　ａｌｌ").text == "ignore all"
    assert normalise("４１１１").text == "4111"
    assert normalise("іgnоrе").text == "ignore"


def test_what_only_decorates_a_character_is_not_read() -> None:
    assert normalise("4\ufe0f\u20e31\u20e31\u1ab01\ufe20").text == "4111"
    assert normalise("j\x80o\x9f@e\U0001d173x").text == "jo@ex"
    assert normalise("a\x85b\u2800c").text == "a b c"
    assert normalise("❹➊➀⓵⓿").text == "41110"
    assert normalise("ᴊᴏʜɴ 🅙🅾").text == "john JO"
    assert normalise("ﾊﾞﾞ\u3099").text == normalise("ハ").text


@pytest.mark.parametrize(
    "between",
    ["\x9f", "\u0600", "\u1dc4", "\u20d2", "\ufe20", "\ue000", "\ud800", "\U0001d173", "\U0001bca0", "\U00013430"],
    ids=ascii,
)
def test_formats_marks_private_use_and_half_characters_are_not_read(between: str) -> None:
    assert normalise(between.join("4111")).text == "4111"


def test_digits_and_letters_in_signs_are_read_as_what_they_show() -> None:
    assert normalise("4\ufe0f\u20e31\ufe0f\u20e3❶➁").text == "4112"
    assert normalise("🇯🅰🅽🅴 ᴊᴀɴᴇ").text == "JANE jane"
    assert normalise("4111\u28001111").text == "4111 1111"


def test_a_span_of_the_view_covers_the_characters_it_was_read_from() -> None:
    view = normalise("é ﬁve j\u200bo")
    at = view.text.index("five")
    assert view.span(at, at + 4) == (2, 5)
    at = view.text.index("jo")
    assert view.span(at, at + 2) == (6, 9)


def test_unicode_tags_are_read_as_the_ascii_they_spell() -> None:
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "obey me")
    assert "obey me" in [view.text for view in readings("hello" + hidden)]


@given(st.lists(st.one_of(st.text(max_size=4), st.sampled_from("－—’ﬁ①ŀ·ё\u200b\u00a0аà\x00\x1f\n"))).map("".join))
def test_folding_is_the_same_character_by_character(text: str) -> None:
    view = normalise(text)
    assert view.text == "".join(FOLD[ord(char)] for char in text)
    assert (view.text is text) == (view.text == text)


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_reads_as_it_stands_unless_the_table_says_otherwise(text: str) -> None:
    assert reads_as_it_stands(text) == (text.translate(FOLD) == text)


@given(st.text())
def test_every_span_maps_into_the_original(text: str) -> None:
    for view in readings(text):
        for start in range(len(view.text)):
            left, right = view.span(start, start + 1)
            assert 0 <= left < right <= len(text)


@given(st.text(min_size=12, alphabet=st.characters(min_codepoint=32, max_codepoint=0x2FF)))
def test_base64_of_text_is_read(text: str) -> None:
    encoded = base64.b64encode(text.encode()).decode()
    if "\x7f" not in text and len(encoded.rstrip("=")) >= 20:
        assert text in [segment.text for segment in segments(f"data: {encoded} .")]


def test_nested_encodings_are_opened_to_a_bounded_depth() -> None:
    data = b"the quick brown fox"
    for _ in range(3):
        data = base64.b64encode(data)
    assert "the quick brown fox" in [segment.text for segment in segments(data.decode())]
    for _ in range(3):
        data = base64.b64encode(data)
    assert "the quick brown fox" not in [segment.text for segment in segments(data.decode())]


def test_base64_is_read_in_utf_16_and_as_a_step_of_a_path_and_hexadecimal_behind_its_sign() -> None:
    encoded_text = base64.b64encode(b"the quick brown fox").decode()
    (segment,) = segments(f"/a/v1/{encoded_text} and")
    assert (segment.start, segment.text) == (6, "the quick brown fox")
    assert [each.text for each in segments(base64.b64encode("jo@ex.com é".encode("utf-16-le")).decode())] == [
        "jo@ex.com é"
    ]
    assert [each.text for each in segments(f"0x{b'jo@ex.com ok'.hex()}")] == ["jo@ex.com ok"]
    assert segments("0x9f86d081884c7d659a2feaa0c55ad015a3bf4f1b") == []


@pytest.mark.parametrize("unit", ["a%20b%C3%A9", "%", "%%4", "%41", "6a61", "QUJD", "&#64"])
def test_a_long_run_takes_little_more_room_than_it_has(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = unit * (1_000_000 // len(unit))
    tracemalloc.start()
    found = [segment.text for segment in segments(text)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * len(text)
    monkeypatch.setattr(encoded, "_BLOCK", 1 << 30)
    assert [segment.text for segment in segments(text)] == found


def test_an_entity_needs_no_semicolon_and_may_have_any_noughts() -> None:
    for entity in ("&#64;", "&#64", "&#0000000000064;", "&#x40;", "&#X0040", "&commat;"):
        assert "jo@my.com" in [segment.text for segment in segments(f"jo{entity}my.com")], entity


def test_a_segment_that_is_cut_within_a_character_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "MAX_SEGMENT", 40)
    (segment,) = segments(base64.b64encode(b"secret and more of the text, \xc3\xa9\xc3\xa9\xc3\xa9").decode())
    assert segment.text.startswith("secret and more of the text")


def test_forms_bytes_and_wide_characters_are_read() -> None:
    def texts(text: str) -> list[str]:
        return [segment.text for segment in segments(text)]

    assert "a=4111 1111&b=1" in texts("a=4111+1111&b=1")
    assert "+44 20" in texts("%2B44+20")
    assert texts("1+1 and a+b=c") == []
    assert texts("0x" + b"jane@example.org".hex()) == texts(r"\x" + b"jane@example.org".hex()) == ["jane@example.org"]
    assert "jane@example.org" in texts(base64.b64encode("jane@example.org".encode("utf-16-le")).decode())
    assert "jane@example.org" in texts("jane&#64example.org")
    assert "jane@example.org" in texts("jane&#000000000064;example.org")


def test_hashes_and_binary_are_left_alone() -> None:
    assert segments("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08") == []
    assert segments(base64.b64encode(bytes(range(256))).decode()) == []


def test_letters_spaced_out_are_put_together() -> None:
    assert despaced("please i g n o r e it") == "please ignore it"
    assert despaced("a b c") is None
