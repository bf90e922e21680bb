"""Law 3 where a model cuts what it says into several texts: a value across a seam is found in a stream as in the whole answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pipeline.test_anthropic_answers import STREAMED, ask, named, outcome, poured, whole
from tests.support.guards import JANE, POLICY, MemoryRecorder, make_guard
from tests.support.messages import message, says, stream

from aiguard.errors import Blocked
from aiguard.guard import Guard
from aiguard.handler import ExchangeHandler
from aiguard.providers import RawRequest, RawResponse, RawStream

TOOL = {"type": "tool_use", "id": "toolu_1", "name": "mail", "input": {"to": "x"}}
HALVES = [
    "jane", "@example.com", "write to jane@exam", "ple.com", "4111 1111", " 1111 1111", "pay 4111 1111 ", "my password is", " h7Gz!qP2w",
    "my SSN is", " 219-09-9999", "DE89 3704 0044", " 0532 0130 00", "x", "5", "_", "\\", "\n", " ", "[EMAIL_", "<TOKEN>", "<TOKEN>", '{"a": 1', "}", "a word",
    "](", "](http://1.2.3.4/(b)?q=", ")", "]", "[", "<", "<a ='", "'", ">", "//", "/",
]  # fmt: skip


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def both(guard: Guard, recorder: MemoryRecorder, answer: Any, chunks: list[bytes]) -> tuple[Any, Any]:
    """What comes of an answer at once and in a stream, with what is on record of each."""
    results: list[Any] = []
    for run in (lambda: whole(guard, answer), lambda: poured(guard, chunks, [])):
        try:
            results.append((run(), outcome(recorder)))
        except Blocked as error:
            results.append((type(error), outcome(recorder)))
    return results[0], results[1]


@settings(max_examples=150, deadline=None)
@given(
    content=st.lists(
        st.one_of(st.builds(text, st.lists(st.sampled_from(HALVES), max_size=3).map("".join)), st.just(TOOL)),
        min_size=2,
        max_size=5,
    ),
    size=st.integers(1, 9),
    places=st.lists(st.integers(0, 10_000), max_size=8),
)
def test_any_cut_of_what_a_message_says_is_treated_as_the_whole(
    content: list[Any], size: int, places: list[int]
) -> None:
    guard, recorder = make_guard(STREAMED)
    with guard.acting_as(JANE, scope="support:reply", conversation="c1"):
        whole(guard, says("ok"))
        token = json.loads(recorder.artifacts[0].content)[0]["text"].removeprefix("my address is ")
        answer = message(named(content, token))
        data = b"".join(stream(answer, [size]))
        at = sorted({place % (len(data) + 1) for place in places})
        chunks = [data[first:last] for first, last in zip([0, *at], [*at, len(data)], strict=True)]
        batch, streamed = both(guard, recorder, answer, chunks)
    assert streamed == batch


@pytest.mark.parametrize(
    ("blocks", "shown"),
    [
        (["mail jane", "@example.com now"], ["mail [REDACTED_EMAIL]", "[REDACTED_EMAIL] now"]),
        (["my password is", " h7Gz!qP2w"], ["my password is", " [REDACTED_SECRET]"]),
        (["a", "b", "c@d.example.com"], None),
    ],
)
def test_a_value_across_a_seam_is_redacted_on_both_sides(blocks: list[str], shown: list[str] | None) -> None:
    guard, recorder = make_guard(STREAMED.replace('US_SSN = "block"', 'SECRET = "replace"'))
    answer = message([text(block) for block in blocks])
    with guard.acting_as(JANE, scope="support:reply"):
        batch, streamed = both(guard, recorder, answer, stream(answer, [2]))
    assert streamed == batch
    if shown is not None:
        assert [block["text"].strip() for block in batch[0]] == [each.strip() for each in shown]


@pytest.mark.parametrize(
    "blocks",
    [
        ["![x](http://203.0.113.5/?q=", "<TOKEN>)"],
        ["![x](http://203.0.113.5/?q=", "a", TOOL, "<TOKEN>)"],
        ["![x]", "(http://203.0.113.5/?q=<TOKEN>)"],
        ["<img src='http://203.0.113.5/?q=", " <TOKEN>'>"],
        ['{"a": "![x](http://203.0.113.5/', "<TOKEN>"],
    ],
)
def test_a_token_stays_one_in_a_link_that_began_in_a_text_before(blocks: list[Any]) -> None:
    guard, recorder = make_guard(STREAMED)
    with guard.acting_as(JANE, scope="support:reply", conversation="c1"):
        whole(guard, says("ok"))
        token = json.loads(recorder.artifacts[0].content)[0]["text"].removeprefix("my address is ")
        content = named([text(block) if isinstance(block, str) else block for block in blocks], token)
        answer = message([*content, text(f" and {token}")])
        batch, streamed = both(guard, recorder, answer, stream(answer, [3]))
    assert streamed == batch
    shown = json.dumps(batch[0])
    assert token in shown
    assert shown.count("jane@example.com") == (0 if "{" in blocks[0] else 1)


def test_a_seam_holds_back_only_until_the_next_block_is_known_to_be_no_text() -> None:
    guard, _ = make_guard(STREAMED)
    answer = message([text("see jane"), TOOL])
    sent: list[bytes] = []
    seen_at: list[int] = []

    def chunks() -> Any:
        for number, chunk in enumerate(stream(answer, [40])):
            sent.append(chunk)
            seen_at.append(number)
            yield chunk

    with guard.acting_as(JANE, scope="support:reply"):
        raw = ExchangeHandler(lambda: guard).handle(
            ask("hello", streamed=True), lambda _raw: RawStream(status=200, chunks=chunks(), close=lambda: None)
        )
        assert isinstance(raw, RawStream)
        for out in raw.chunks:
            if b'"jane' in out or b"see jane" in out:
                break
        last = sent[-1]
    assert b'"tool_use"' in last, "the end of the text came out with the beginning of the next block"


def test_a_text_that_goes_on_after_the_next_one_began_ends_the_stream() -> None:
    guard, recorder = make_guard(POLICY.replace('models = ["local:small"]', 'models = ["openai:small"]'))

    def delta(part: int, said: str) -> bytes:
        event = {
            "type": "response.output_text.delta",
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": part,
            "delta": said,
        }
        return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()

    body = {"model": "small", "input": "hello", "stream": True}
    request = RawRequest(
        provider="openai",
        method="POST",
        url="http://127.0.0.1/v1/responses",
        path="/responses",
        headers=(("content-type", "application/json"),),
        content=json.dumps(body).encode(),
    )
    chunks = [delta(0, "jane"), delta(1, "x"), delta(0, "@example.com")]
    with guard.acting_as(JANE, scope="support:reply"):
        raw = ExchangeHandler(lambda: guard).handle(
            request, lambda _raw: RawStream(status=200, chunks=iter(chunks), close=lambda: None)
        )
        assert isinstance(raw, RawStream)
        with pytest.raises(Blocked, match="goes on after others began"):
            list(raw.chunks)
    assert recorder.types()[-1] == "output.blocked"


def responses_events(parts: list[str], size: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The events of a Response whose one message says ``parts``, and the Response."""
    contents = [{"type": "output_text", "text": part, "annotations": []} for part in parts]
    item = {"id": "m", "type": "message", "status": "completed", "role": "assistant", "content": contents}
    made = {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "small", "output": [item],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "metadata": {},
    }  # fmt: skip
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**made, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
    ]
    for number, part in enumerate(parts):
        place = {"item_id": "m", "output_index": 0, "content_index": number}
        told.append({"type": "response.content_part.added", **place, "part": {**contents[number], "text": ""}})
        told += [
            {"type": "response.output_text.delta", **place, "delta": part[at : at + size]}
            for at in range(0, len(part), size)
        ]
        told.append({"type": "response.output_text.done", **place, "text": part})
        told.append({"type": "response.content_part.done", **place, "part": contents[number]})
    told.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    told.append({"type": "response.completed", "response": made})
    return told, made


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.lists(st.sampled_from(HALVES[:-4]), min_size=1, max_size=3).map("".join), min_size=1, max_size=4),
    size=st.integers(1, 7),
)
def test_every_event_of_a_response_says_what_the_whole_one_says(parts: list[str], size: int) -> None:
    policy = STREAMED.replace('"anthropic:small"', '"openai:small"').replace(
        'US_SSN = "block"', 'US_SSN = "replace", SECRET = "replace"'
    )
    guard, _ = make_guard(policy)
    told, made = responses_events(parts, size)
    body = {"model": "small", "input": "hello"}

    def request(*, streamed: bool) -> RawRequest:
        return RawRequest(
            provider="openai", method="POST", url="http://127.0.0.1/v1/responses", path="/responses",
            headers=(("content-type", "application/json"),), content=json.dumps({**body, "stream": streamed}).encode(),
        )  # fmt: skip

    handler = ExchangeHandler(lambda: guard)
    with guard.acting_as(JANE, scope="support:reply"):
        answer = RawResponse(
            status=200, headers=(("content-type", "application/json"),), content=json.dumps(made).encode()
        )
        raw = handler.handle(request(streamed=False), lambda _raw: answer)
        assert isinstance(raw, RawResponse)
        batch = [part["text"] for part in json.loads(raw.content)["output"][0]["content"]]
        chunks = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in told]
        live = handler.handle(
            request(streamed=True), lambda _raw: RawStream(status=200, chunks=iter(chunks), close=lambda: None)
        )
        assert isinstance(live, RawStream)
        out = [
            json.loads(event.split("data: ", 1)[1]) for event in b"".join(live.chunks).decode().split("\n\n") if event
        ]
    for number, shown in enumerate(batch):
        mine = [event for event in out if event.get("content_index") == number]
        assert "".join(event["delta"] for event in mine if event["type"].endswith("text.delta")) == shown
        assert [event["text"] for event in mine if event["type"].endswith("text.done")] == [shown]
        assert [event["part"]["text"] for event in mine if event["type"].endswith("part.done")] == [shown]
    assert [part["text"] for part in out[-1]["response"]["output"][0]["content"]] == batch
