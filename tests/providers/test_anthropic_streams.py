"""The events of a streamed Message, taken apart without any I/O."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.providers.test_anthropic_wire import ANSWER, CITATION, SHORT, SIGNATURE, request
from tests.providers.variants import CARD, MARKER, variants
from tests.support.messages import events, message, put_together, stream

from aiguard.errors import MalformedInput
from aiguard.framing.jsontree import JsonDocument
from aiguard.framing.sse import SseEvent, SseReader
from aiguard.providers import UnknownShape, wire_for
from aiguard.providers.wire.shape import read
from aiguard.providers.wire.streams import Frame, WireStream, put


def reader() -> WireStream:
    return wire_for("anthropic").stream(request("/v1/messages", SHORT))


def take(wire: WireStream, value: Any) -> Frame:
    """``value`` taken apart, as an event of its type."""
    return wire.read(SseEvent(event=value["type"], data="…"), copy.deepcopy(value))


def take_all(values: Sequence[Any]) -> list[Frame]:
    wire = reader()
    return [take(wire, value) for value in values]


def begun(*values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "message_start", "message": message([])}, *values]


def start(kind: str = "text", index: int = 0, **more: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **more}}


def grows(kind: str = "text_delta", index: int = 0, **more: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def stops(index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


WHOLE = list(events(ANSWER, (100,)))


def test_every_text_of_an_answer_is_in_the_deltas_of_its_channel() -> None:
    texts: dict[Any, str] = {}
    kinds: dict[Any, tuple[str, bool]] = {}
    for frame in take_all(WHOLE):
        for delta in frame.deltas:
            texts[delta.channel] = texts.get(delta.channel, "") + delta.text
            kinds[delta.channel] = (delta.kind, delta.said)

    assert texts == {
        (0, "thinking"): "sam writes",
        (2, "citation", 1): "as it was",
        (2, "text"): "hello there",
        (3, "partial_json"): json.dumps({"to": "alice@example.com", "copies": 2}),
    }
    assert kinds == {
        (0, "thinking"): ("meta", False),
        (2, "citation", 1): ("prose", False),
        (2, "text"): ("prose", True),
        (3, "partial_json"): ("tool", False),
    }


def test_a_block_ends_its_channels_and_a_signature_ends_what_it_signs() -> None:
    frames = take_all(WHOLE)
    ends = [end for frame in frames for end in frame.ends]

    assert ends == [(0, "thinking"), (0,), (1,), (2, "citation", 1), (2,), (3,), ()]
    assert [frame.terminal for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert not any(frame.failed for frame in frames)


def test_usage_is_counted_over_the_whole_stream() -> None:
    counted = [frame.usage for frame in take_all(WHOLE) if frame.usage]

    assert counted[0] == {"input_tokens": 11, "output_tokens": 1, "total_tokens": 12}
    assert counted[-1] == {"input_tokens": 11, "output_tokens": 2, "total_tokens": 13}


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    places=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_any_chunking_of_the_bytes_gives_the_same_events_and_they_can_be_written_again(
    sizes: list[int], places: list[int]
) -> None:
    data = b"".join(stream(ANSWER, sizes))
    at = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    wire, sse, out = reader(), SseReader(), b""
    for first, last in pairwise(at):
        for seen in sse.feed(data[first:last]):
            assert seen.data is not None
            frame = wire.read(seen, json.loads(seen.data))
            for delta in frame.deltas:
                put(frame.value, delta.path, delta.text)
            out += wire.write(seen, frame.value).encode()

    assert [json.loads(line[6:]) for line in out.decode().split("\n") if line.startswith("data: ")] == list(
        events(ANSWER, sizes)
    )
    assert put_together(out)["content"] == ANSWER["content"]


def test_whatever_is_put_anywhere_in_an_event_is_a_part_or_a_delta_or_refused() -> None:
    accepted = 0
    for number, value in enumerate(WHOLE):
        for _, changed in variants(value):
            if not isinstance(changed, dict) or not isinstance(changed.get("type"), str):
                continue
            wire = reader()
            for earlier in WHOLE[:number]:
                take(wire, earlier)
            try:
                frame = take(wire, changed)
            except MalformedInput as error:
                assert MARKER not in str(error)  # noqa: PT017 - most are accepted
                continue
            accepted += 1
            body = read(frame.check, JsonDocument.of(frame.value))
            hidden = [part.text.replace(MARKER, "safe").replace(str(CARD), "safe") for part in body.parts]
            left = json.loads(body.render(hidden))
            written = wire.write(SseEvent(event="x", id=MARKER, retry=CARD, comments=(MARKER,)), left).encode()
            assert MARKER.encode() not in written
            assert str(CARD).encode() not in written
    assert accepted > 150


@pytest.mark.parametrize(
    "values",
    [
        [start()],
        begun(*begun()),
        [{"type": "message_start", "message": message([{"type": "text", "text": "early"}])}],
        [{"type": "message_start", "message": None}],
        begun(start(index=1)),
        begun(start(text="early")),
        begun(start("thinking", thinking="", signature="early")),
        begun(start("tool_use", id="t", name="f", input={"to": "early"})),
        begun(start(citations=[CITATION])),
        begun({"type": "content_block_start", "index": 0, "content_block": "text"}),
        begun(start(), start()),
        begun(grows(text="x")),
        begun(start(), grows(text=5)),
        begun(start(), grows(text="x", index=1)),
        begun(start(), grows(text="x", index=True)),
        begun(start(), grows(text="x", index=-1)),
        begun(start(), {"type": "content_block_delta", "index": 0, "delta": "x"}),
        begun(start(), grows("thinking_delta", thinking="x")),
        begun(start(), grows("input_json_delta", partial_json="{")),
        begun(start("thinking"), grows(text="x")),
        begun(start("thinking"), grows("signature_delta", signature="a"), grows("signature_delta", signature="b")),
        begun(start("thinking"), grows("signature_delta", signature="a"), grows("thinking_delta", thinking="x")),
        begun(start("tool_use"), grows("citations_delta", citation=CITATION)),
        begun(start("redacted_thinking", data=SIGNATURE), grows("signature_delta", signature="a")),
        begun(start("novelty"), grows(text="x")),
        begun(start(), grows("novelty_delta", words="x")),
        begun(start(), stops(), grows(text="x")),
        begun(start(), stops(), stops()),
        begun(stops()),
        begun({"type": "message_stop"}, {"type": "ping"}),
        begun({"type": "error", "error": {}}, start()),
        begun({"type": "novelty"}),
        [{"type": 5}],
    ],
)
def test_a_stream_out_of_order_is_refused(values: list[Any]) -> None:
    wire = reader()
    for value in values[:-1]:
        take(wire, value)

    with pytest.raises(UnknownShape):
        wire.read(SseEvent(data="…"), copy.deepcopy(values[-1]))


@pytest.mark.parametrize("value", [[], None, "message_stop", 3])
def test_an_event_that_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(UnknownShape):
        reader().read(SseEvent(data="…"), value)


def test_an_event_under_another_name_than_its_type_is_refused() -> None:
    with pytest.raises(UnknownShape, match="another than its name"):
        reader().read(SseEvent(event="error", data="…"), {"type": "ping"})


def test_an_error_ends_the_stream_as_failed() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy, alice"}}
    frame = take_all(begun(start(), grows(text="x"), error))[-1]

    assert (frame.failed, frame.terminal, frame.ends) == (True, True, ((),))
    assert "busy, alice" in {part.text for part in read(frame.check, JsonDocument.of(frame.value)).parts}


def test_a_block_of_an_unknown_type_is_scanned_whole_where_it_begins() -> None:
    frame = take_all(begun(start("novelty", words=["alice@example.com"])))[-1]

    assert "alice@example.com" in {part.text for part in read(frame.check, JsonDocument.of(frame.value)).parts}
