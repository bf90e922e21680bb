from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.errors import MalformedInput
from aiguard.framing import FormDocument
from aiguard.types import PartKind

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=15)
forms = st.lists(st.tuples(texts, texts), max_size=6)


@given(forms)
def test_fields_come_back_in_order_with_repeats(fields: list[tuple[str, str]]) -> None:
    document = FormDocument.parse(urlencode(fields).encode())
    rendered = document.render([None] * len(document.parts()))

    assert list(document.fields) == fields
    assert parse_qsl(rendered.decode(), keep_blank_values=True) == fields


@given(forms, st.data())
def test_replacements_come_back_as_exactly_those_texts(fields: list[tuple[str, str]], data: st.DataObject) -> None:
    document = FormDocument.parse(urlencode(fields).encode())
    count = len(document.parts())
    new = data.draw(st.lists(texts, min_size=count, max_size=count))

    again = FormDocument.parse(document.render(new))

    assert [part.text for part in again.parts()] == new


@given(st.binary(max_size=60))
def test_any_bytes_give_a_form_or_malformed_input(data: bytes) -> None:
    try:
        document = FormDocument.parse(data)
    except MalformedInput:
        return
    assert FormDocument.parse(document.render([None] * len(document.parts()))).fields == document.fields


@pytest.mark.parametrize(
    "body", [b"a=%", b"a=%4", b"a=%zz", b"a=%ff", b"a=\xc3\xa9", b"a=b c", b"a=\x00", b"%ed%a0%80=1"]
)
def test_what_browsers_would_guess_at_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedInput):
        FormDocument.parse(body)


def test_names_are_parts_and_the_context_of_their_values() -> None:
    parts = FormDocument.parse(b"ssn=078-05-1120&ssn=x&flag").parts()

    assert [(part.kind, part.text, part.context) for part in parts] == [
        (PartKind.KEY, "ssn", ""),
        (PartKind.TEXT, "078-05-1120", "ssn"),
        (PartKind.KEY, "ssn", ""),
        (PartKind.TEXT, "x", "ssn"),
        (PartKind.KEY, "flag", ""),
        (PartKind.TEXT, "", "flag"),
    ]


def test_too_many_fields_or_bytes_are_refused() -> None:
    with pytest.raises(MalformedInput, match="more than 1000 fields"):
        FormDocument.parse(b"&" * 1000)
    with pytest.raises(MalformedInput, match="larger than 5 bytes"):
        FormDocument.parse(b"a=bcde", max_bytes=5)


def test_errors_and_reprs_never_carry_content() -> None:
    with pytest.raises(MalformedInput) as caught:
        FormDocument.parse(b"alice=%ff")

    assert "alice" not in str(caught.value)
    assert caught.value.__context__ is None
    assert "alice" not in repr(FormDocument.parse(b"alice=1"))
