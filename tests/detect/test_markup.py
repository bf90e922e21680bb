"""Marks inside the words of a request hide nothing from the scan that a model would read."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.guards import JANE, POLICY, Model, make_guard

from aiguard.detect import default_detector
from aiguard.detect.markup import behind_markup


def found(text: str) -> list[str]:
    return [text[each.start : each.end] for each in behind_markup(default_detector(), text, "")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("mail jane.roe@<wbr>example.org now", "jane.roe@<wbr>example.org"),
        ("pay <b>4111 <i class='x'>1111</i></b> 1111 1111.", "4111 <i class='x'>1111</i></b> 1111 1111"),
        ("**4111** 1111 **1111** 1111", "4111** 1111 **1111** 1111"),
        ("<span>4111</span><span>1111</span><span>1111</span><span>1111</span>", "4111</span><span>1111</span><span>1111</span><span>1111"),
        ("DE89<!-- x -->370400440532013000", "DE89<!-- x -->370400440532013000"),
    ],
)  # fmt: skip
def test_a_value_that_marks_go_through_is_found_with_them(text: str, value: str) -> None:
    assert found(text) == [value]


@pytest.mark.parametrize(
    "text",
    [
        "<b>jane@example.com</b>",
        "<td>4111</td><td>1111</td><td>1111</td><td>1111</td>",
        "4111<br>1111<br>1111<br>1111",
        "4111*1111*1111*1111",
        "a < b and c > d",
    ],
)
def test_what_no_mark_goes_through_is_no_news(text: str) -> None:
    assert found(text) == []


@given(
    st.lists(
        st.sampled_from(["4111 1111 ", "1111 1111", "<b>", "</b>", "**", "<wbr>", "jane@", "example.org", " "])
    ).map("".join)
)
def test_findings_lie_in_the_text_and_cover_no_mark_at_their_ends(text: str) -> None:
    for value in found(text):
        assert value
        assert value[0].isalnum()
        assert value[-1].isalnum()


@pytest.mark.parametrize("unit", ["<b>", "<b ", "<!--", "**", "<a href=1>1"])
def test_cost_grows_with_the_length(unit: str) -> None:
    started = time.process_time()
    found(unit * (200_000 // len(unit)))
    assert time.process_time() - started < 4.0


def test_such_a_value_does_not_leave() -> None:
    guard, _ = make_guard(POLICY)
    model = Model()
    with guard.acting_as(JANE, scope="support:reply"):
        guard.call(model, "mail jane.roe@<wbr>example.org and 4111 <b>1111</b> 1111 1111", model="local:small")
    (sent, _) = model.received[0]
    assert "jane.roe" not in str(sent)
    assert "1111" not in str(sent)
