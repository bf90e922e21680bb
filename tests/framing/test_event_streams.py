"""Server-sent events and JSON lines: any cut of the bytes gives the same events."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.errors import MalformedInput
from aiguard.framing import NdjsonReader, SseEvent, SseReader, TooLarge


def events(data: bytes, size: int | None = None) -> list[SseEvent]:
    reader, step = SseReader(), size or max(len(data), 1)
    found = [event for at in range(0, len(data), step) for event in reader.feed(data[at : at + step])]
    return found + reader.finish()


def feed_often(reader, chunk: bytes) -> None:
    for _ in range(200):
        reader.feed(chunk)


def test_an_answer_in_events_is_read_in_order() -> None:
    stream = b': hi\n\nevent: delta\ndata: {"a":1}\nid: 7\n\ndata: [DONE]\n\n'
    assert events(stream) == [
        SseEvent(comments=("hi",)),
        SseEvent(event="delta", data='{"a":1}', id="7"),
        SseEvent(data="[DONE]"),
    ]


def test_every_line_ending_the_mark_and_missing_spaces_are_read_alike() -> None:
    for end in ("\n", "\r", "\r\n"):
        stream = "\ufeff" + end.join(
            ["data:a", "data: b", "data", "retry: 10", "retry: x", "other: c", "id: a\0b", "", ""]
        )
        assert events(stream.encode()) == [SseEvent(data="a\nb\n", retry=10)]


def test_a_retry_time_is_too_short_to_be_anybodys_number() -> None:
    assert events(b"data: a\nretry: 4111111111111111\n\ndata: b\nretry: 536904399\n\ndata: c\nretry: 86400000\n\n") == [
        SseEvent(data="a"),
        SseEvent(data="b"),
        SseEvent(data="c", retry=86_400_000),
    ]


def test_a_line_feed_belongs_to_the_return_before_it_once() -> None:
    for size in (1, 2, 3):
        assert events(b"data: a\r\n\ndata: b\r\n\r\n", size) == [SseEvent(data="a"), SseEvent(data="b")]


def test_an_event_without_its_blank_line_is_not_handed_out() -> None:
    reader = SseReader()
    assert reader.feed(b"data: a\n\ndata: b\n") == [SseEvent(data="a")]
    assert reader.finish() == []
    assert reader.truncated
    whole = SseReader()
    whole.feed(b"data: a\n\n")
    whole.finish()
    assert not whole.truncated


def test_bytes_that_are_not_utf8_end_the_stream_without_being_quoted() -> None:
    reader = SseReader()
    with pytest.raises(MalformedInput) as error:
        reader.feed(b"data: jane\xff\n\n")
    assert "jane" not in str(error.value) + repr(reader)
    with pytest.raises(ValueError, match="ended"):
        reader.feed(b"data: a\n\n")


def test_an_event_beyond_the_bound_is_refused_however_it_arrives() -> None:
    for chunk in (b"data: " + b"a" * 200, b"data: a\n", b":\n", b"a"):
        reader = SseReader(max_event=100)
        with pytest.raises(TooLarge):
            feed_often(reader, chunk)


def test_a_field_cannot_smuggle_in_another() -> None:
    assert SseEvent(data="x").with_data("a\r\ndata: b\rc").encode() == b"data: a\ndata: data: b\ndata: c\n\n"
    with pytest.raises(MalformedInput):
        SseEvent(data="a", event="x\nid: 1").encode()


values = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12)
blocks = st.builds(
    SseEvent,
    data=st.one_of(st.none(), st.lists(values, min_size=1, max_size=3).map("\n".join)),
    id=st.one_of(st.none(), values.filter(lambda value: "\0" not in value)),
    retry=st.one_of(st.none(), st.integers(0, 10**8 - 1)),
    comments=st.lists(values, max_size=2).map(tuple),
).filter(lambda event: event.data is not None or event.id is not None or event.retry is not None or event.comments)


@given(st.lists(blocks, max_size=5), st.sampled_from([b"\n", b"\r", b"\r\n"]), st.integers(1, 9), st.booleans())
def test_what_is_written_is_read_again_whatever_the_cut(written, end, size, mark) -> None:
    stream = b"".join(event.encode() for event in written).replace(b"\n", end)
    assert events((b"\xef\xbb\xbf" if mark else b"") + stream, size) == written


lines = st.lists(st.sampled_from([b"data", b"data:", b"id", b"event", b"retry", b":", b" ", b"\n", b"\r", b"\r\n", b"1", b"\0", b"\xef\xbb\xbf", "é".encode()]), max_size=30)  # fmt: skip


@given(lines.map(b"".join), st.integers(1, 5))
def test_any_bytes_cut_anywhere_give_the_events_of_the_whole(stream: bytes, size: int) -> None:
    assert events(stream, size) == events(stream)


@given(st.binary(max_size=60))
def test_no_bytes_at_all_make_a_reader_fail_otherwise(stream: bytes) -> None:
    try:
        stream.decode()
    except UnicodeDecodeError:
        with suppress(MalformedInput):  # a character that the end cuts off only truncates
            events(stream, 3)
    else:
        assert events(stream, 3) == events(stream)


# ---------------------------------------------------------------- JSON lines


def documents(data: bytes, size: int) -> list[object]:
    reader = NdjsonReader()
    found = [document for at in range(0, len(data), size) for document in reader.feed(data[at : at + size])]
    return [document.value for document in found + reader.finish()]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), values),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(values, inner, max_size=3)),
    max_leaves=6,
)


@given(st.lists(json_values, max_size=5), st.sampled_from([b"\n", b"\r\n", b"\n\n"]), st.integers(1, 9), st.booleans())
def test_documents_are_read_in_order_whatever_the_cut(written, end, size, ended) -> None:
    stream = end.join(json.dumps(value).encode() for value in written) + (end if ended else b"")
    assert documents(stream, size) == written


@pytest.mark.parametrize("line", [b'{"a":1,"a":2}', b"{", b"NaN", b"\xff", b"[1] [2]"])
def test_a_line_that_is_not_one_strict_document_ends_the_stream(line: bytes) -> None:
    reader = NdjsonReader()
    with pytest.raises(MalformedInput):
        reader.feed(line + b"\n")
    with pytest.raises(ValueError, match="ended"):
        reader.feed(b"1\n")


def test_a_line_beyond_the_bound_is_refused_before_it_ends() -> None:
    with pytest.raises(TooLarge):
        feed_often(NdjsonReader(max_line=100), b'"a')
