"""What a text says behind its escapes and underscores is found in a stream as it is in the whole text (law 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.redact.test_stream import EXAMPLES, PEM, cut, fragments

from aiguard.detect import default_detector
from aiguard.detect.parts import detect_text
from aiguard.detect.stream import PartScan
from aiguard.redact import redact
from aiguard.scan import HeldTooLong
from aiguard.types import Finding, Operator

RULES = {"*": Operator(name="replace")}

escapes = st.sampled_from(
    [
        "_", "\\", "\\n", "\\\\n", "\\u0040", "\\\\u0040", "\\u0031", "\\x34", '\\"', "\\u00", "\\x", "\n", "_\n",
        "\\ud835\\udfd2", "\\uD835", "\\udfd2", "\\ud8", "\\u{40}", "\\u{", "\\u{110000}", "\\U00000040", "\\U0000",
        "&", "&#64;", "&nbsp;", "&amp;#49;", "&#x3", "\\.", "\\_", "\\@",
    ]
)  # fmt: skip


def spelled(text: str, at: int) -> str:
    """``text`` with one character written as an escape."""
    at %= max(1, len(text))
    return f"{text[:at]}\\u{ord(text[at]):04x}{text[at + 1 :]}" if text and ord(text[at]) < 0x10000 else text


escaped = st.lists(
    st.one_of(fragments, escapes, st.builds(spelled, st.sampled_from([*EXAMPLES, PEM]), st.integers(0, 60))),
    max_size=10,
).map("".join)


def shown(text: str, found: Sequence[Finding]) -> tuple[str, Any]:
    done = redact(text, found, RULES)
    return done.text, done.counts


def streamed(scan: PartScan, chunks: Sequence[str]) -> tuple[str, dict[tuple[str, str], int]]:
    pieces = [*map(scan.feed, chunks), scan.finish()]
    out, counts = "", dict[tuple[str, str], int]()
    for text, more in (shown(piece.text, piece.findings) for piece in pieces):
        out += text
        for key, count in more.items():
            counts[key] = counts.get(key, 0) + count
    return out, counts


@settings(max_examples=150)
@given(cut(escaped), st.sampled_from(["", "", "", "phone_number", "password"]))
@example((r"-\u002d" + PEM[2:], [r"-\u002d", *PEM[2:]]), "")
@example(("12-34-56-78-90-12_\nso it goes", ["12-34-56-78-90-12_\n", "so it goes"]), "")
@example(("eyJ_212 555 01\\u00387\\/ssn", [*"eyJ_212 555 01\\u00387\\/ssn"]), "")
@example(("ZAC6309_\\u0020", ["ZAC63", "09_\\u", "0020"]), "")
def test_any_chunking_gives_the_findings_of_the_whole_text(sample: Any, context: str) -> None:
    text, chunks = sample
    whole = shown(text, detect_text(default_detector(), text, context=context))
    assert streamed(PartScan(default_detector(), context=context), chunks) == whole


@pytest.mark.parametrize(
    "text",
    [
        r"card \ud835\udfd2111111111111111",
        r"jane\u{40}example.com",
        r"jane\U00000040example.com",
        r"\\ud835\\udfd2111111111111111",
    ],
)
def test_an_escape_of_two_halves_in_braces_or_of_eight_figures_is_read(text: str) -> None:
    found = detect_text(default_detector(), text)
    assert [finding.type for finding in found] in (["CREDIT_CARD"], ["EMAIL_ADDRESS"])
    for cut_at in range(len(text)):
        assert streamed(PartScan(default_detector()), [text[:cut_at], text[cut_at:]]) == shown(text, found)


@settings(max_examples=60)
@given(cut(escaped), cut(escaped))
def test_a_fork_goes_on_by_itself(begun: Any, other: Any) -> None:
    scan = PartScan(default_detector())
    out = [shown(piece.text, piece.findings)[0] for piece in map(scan.feed, begun[1])]
    fork = scan.fork()
    for first, chunks in ((fork, other[1]), (scan, [])):
        text = begun[0] + "".join(chunks)
        assert "".join(out) + streamed(first, chunks)[0] == shown(text, detect_text(default_detector(), text))[0]


@pytest.mark.parametrize(
    "text",
    [
        r"jane\_roe\@example\.org",
        "jane&#64;example.org and 4111&nbsp;1111 1111&#160;1111",
        "jane.roe&commat;example&period;org",
        r"jane\u{40}example.org",
        r"jane\U00000040example.org",
        "{&quot;password&quot;: &quot;hunter2Tango!9&quot;}",
        "jane&amp;#x40;example.org",
    ],
)
def test_what_escapes_spell_is_found_and_covered(text: str) -> None:
    left = redact(text, detect_text(default_detector(), text), RULES).text
    for shown in ("jane", "example", "4111", "1111", "hunter2"):
        assert shown not in left


@pytest.mark.parametrize("text", ["&#99999999;", r"\u{ffffff}", r"\Uffffffff", "&#xffffffff;", "&#0;", "R&D; AT&T;"])
def test_what_is_no_character_is_none(text: str) -> None:
    assert detect_text(default_detector(), text) == []
    assert streamed(PartScan(default_detector()), [*text])[0] == text


def test_a_line_with_underscores_and_escapes_comes_out_while_it_arrives() -> None:
    scan = PartScan(default_detector())
    assert scan.feed(r"so _this_ begins \d and goes on, th").text == r"so _this_ begins \d and goes on, "


def test_what_is_held_for_a_reading_is_bounded() -> None:
    scan = PartScan(default_detector(), max_held=1000)
    for _ in range(100):
        scan.feed(r"\u0061bcd")
    with pytest.raises(HeldTooLong):
        scan.feed("abcd" * 100)
