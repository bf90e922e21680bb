"""What stands in a stream beside its texts: the same rules hold for it as in a whole answer (laws 3 and 6)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from tests.pipeline.test_responses_streams import response
from tests.pipeline.test_streamed_answers import closed
from tests.support.guards import JANE, POLICY, make_guard
from tests.support.scripted import chat_chunk, sse

from aiguard.errors import OutputBlocked, ProviderFailed
from aiguard.handler import ExchangeHandler
from aiguard.providers import RawRequest, RawResponse, RawStream

RULES = (
    POLICY.replace('models = ["local:small"]', 'models = ["openai:small"]')
    + """
[features.support-reply.output]
redact = { EMAIL_ADDRESS = "replace" }
block_patterns = ["project bluebird"]
"""
)
JSON = (("content-type", "application/json"),)
CITED = {
    "type": "url_citation",
    "url": "https://a.example",
    "title": "project bluebird",
    "start_index": 0,
    "end_index": 2,
}
PART = {"type": "output_text", "text": "hi", "annotations": [CITED], "logprobs": []}
MESSAGE = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [PART]}
PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
ERROR = {"error": {"message": "project bluebird is down", "type": "server_error"}}


def ask(path: str, answer: RawResponse | Sequence[Any]) -> str:
    """What a client gets of a whole answer, or of one that comes in these events."""
    guard, _ = make_guard(RULES)
    body: dict[str, Any] = {"model": "small", "stream": not isinstance(answer, RawResponse)}
    body |= {"input": "hello"} if path == "/responses" else {"messages": [{"role": "user", "content": "hello"}]}
    request = RawRequest(
        provider="openai",
        method="POST",
        url=f"http://127.0.0.1/v1{path}",
        path=path,
        headers=JSON,
        content=json.dumps(body).encode(),
    )

    def send(_raw: RawRequest) -> RawResponse | RawStream:
        if isinstance(answer, RawResponse):
            return answer
        chunks = [event if isinstance(event, bytes) else sse(event) for event in answer]
        return RawStream(status=200, chunks=iter(chunks), close=closed)

    with guard.acting_as(JANE, scope="support:reply"):
        got = ExchangeHandler(lambda: guard).handle(request, send)
        return (b"".join(got.chunks) if isinstance(got, RawStream) else got.content).decode()


def whole(value: Any, status: int = 200) -> RawResponse:
    return RawResponse(status=status, headers=JSON, content=json.dumps(value).encode())


ANNOTATED = [
    {"type": "response.created", "response": response("in_progress", [])},
    {"type": "response.output_text.delta", **PLACE, "delta": "hi"},
    {"type": "response.output_text.annotation.added", **PLACE, "annotation_index": 0, "annotation": CITED},
    {"type": "response.output_text.done", **PLACE, "text": "hi"},
    {"type": "response.completed", "response": response("completed", [MESSAGE])},
]
AT_THE_END_ONLY = [*ANNOTATED[:2], *ANNOTATED[3:]]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/responses", whole(response("completed", [MESSAGE]))),
        ("/responses", ANNOTATED),
        ("/responses", AT_THE_END_ONLY),
        ("/responses", [{"type": "error", "code": None, "message": "project bluebird is down", "param": None}]),
        ("/chat/completions", whole(ERROR, 500)),
        ("/chat/completions", [ERROR]),
    ],
)
def test_a_blocked_pattern_stops_an_answer_wherever_it_stands(path: str, answer: Any) -> None:
    with pytest.raises(OutputBlocked) as caught:
        ask(path, answer)
    assert caught.value.reasons[0].code == "output.pattern"


def call(**function: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"reasoning_details": [{"text": "write to jane.d"}]}, {"reasoning_details": [{"text": "oe@example.com"}]}),
        ({"thinking": {"content": "write to jane.d"}}, {"thinking": {"content": "oe@example.com"}}),
        ({"content": [{"text": "write to jane.d"}]}, {"content": [{"text": "oe@example.com"}]}),
        (call(name="jane.d"), call(name="oe@example.com")),
    ],
)
def test_a_text_that_goes_on_where_no_control_puts_it_together_ends_the_stream(first: Any, second: Any) -> None:
    events = [chat_chunk(first), chat_chunk(second), chat_chunk({}, finish="stop")]
    with pytest.raises(ProviderFailed):
        ask("/chat/completions", events)


def test_a_text_of_a_choice_beside_its_delta_may_not_go_on_either() -> None:
    first, second = chat_chunk({}), chat_chunk({})
    first["choices"][0]["text"], second["choices"][0]["text"] = "write to jane.d", "oe@example.com"
    with pytest.raises(ProviderFailed):
        ask("/chat/completions", [first, second, chat_chunk({}, finish="stop")])


def one_event(*choices: tuple[int, str, str | None]) -> dict[str, Any]:
    event = chat_chunk({})
    event["choices"] = [
        {"index": index, "delta": {"content": text}, "finish_reason": finish} for index, text, finish in choices
    ]
    return event


DONE_TEXT = {"type": "response.output_text.done", **PLACE, "text": "write to jane.d"}
DELTA = {"type": "response.output_text.delta", **PLACE}
REFUSED = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
COMPLETED = {"type": "response.completed", "response": response("completed", [])}


@pytest.mark.parametrize(
    ("path", "events"),
    [
        ("/chat/completions", [chat_chunk({"content": "jane.d"}, finish="stop"), chat_chunk({"content": "oe@example.com"})]),
        ("/chat/completions", [one_event((0, "jane.d", "stop"), (0, "oe@example.com", "stop"))]),
        (
            "/chat/completions",
            [
                one_event((0, "jane.d", "stop"), (1, "hello", None)),
                one_event((1, " you", None), (0, "oe@example.com", None)),
                one_event((1, "", "stop")),
            ],
        ),
        ("/responses", [{**DELTA, "delta": "write to jane.d"}, DONE_TEXT, {**DELTA, "delta": "oe@example.com"}, COMPLETED]),
        ("/responses", [{**DELTA, "delta": "write to jane.d"}, COMPLETED, {**DELTA, "delta": "oe@example.com"}]),
        (
            "/responses",
            [
                {"type": "response.refusal.delta", **REFUSED, "delta": "jane.d"},
                {"type": "response.refusal.done", **REFUSED, "refusal": "jane.d"},
                {"type": "response.refusal.delta", **REFUSED, "delta": "oe@example.com"},
                COMPLETED,
            ],
        ),
    ],
)  # fmt: skip
def test_a_text_that_goes_on_after_its_end_ends_the_stream(path: str, events: list[Any]) -> None:
    with pytest.raises(ProviderFailed):
        ask(path, events)


def test_an_event_without_text_may_follow_the_end_of_its_choice() -> None:
    events = [
        chat_chunk({"content": "jane"}, finish="stop"),
        chat_chunk({"content": ""}, finish="stop"),
        chat_chunk({}),
    ]
    assert "jane" in ask("/chat/completions", events)


def test_what_servers_repeat_and_what_comes_whole_goes_through() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
    filtered = chat_chunk({"content": "fine"})
    filtered["choices"][0]["content_filter_results"] = {"hate": {"filtered": False, "severity": "safe"}}
    again = chat_chunk({"content": " too"})
    again["choices"][0]["content_filter_results"] = {"hate": {"filtered": False, "severity": "low"}}
    events = [
        chat_chunk({"role": "assistant", "content": None, **call(name="look_up", arguments="")}),
        chat_chunk({"role": "assistant", **call(name="look_up", arguments='{"a": ')}),
        chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"b"}'}}]}),
        chat_chunk({"tool_calls": [{"index": 1, "id": "call_2", "function": {"name": "other", "arguments": "{}"}}]}),
        filtered,
        again,
        chat_chunk({"annotations": [note]}),
        chat_chunk({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://b.example"}}]}),
        chat_chunk({}, finish="stop"),
    ]
    said = ask("/chat/completions", events)
    assert "look_up" in said
    assert "https://b.example" in said


@pytest.mark.parametrize(
    ("path", "events"),
    [
        ("/chat/completions", [chat_chunk({"content": "fine"}), chat_chunk({}, finish="stop")]),
        ("/responses", [{"type": "response.completed", "response": response("completed", [])}]),
    ],
)
def test_of_an_events_block_nothing_is_handed_on_but_its_name_and_its_data(path: str, events: list[Any]) -> None:
    blocks = [b": jane@example.com\nid: jane@example.com\nretry: 4111111111111111\n" + sse(event) for event in events]
    said = ask(path, blocks)
    assert said
    assert "jane@example.com" not in said
    assert "4111111111111111" not in said


HALF = {"type": "output_text", "text": "write to jane.roe@exa", "annotations": [], "logprobs": []}
GOES_ON = {"type": "response.output_text.delta", **PLACE, "delta": "mple.org"}
WRITTEN = MESSAGE | {"content": [HALF | {"text": "write to jane.roe@example.org"}]}


@pytest.mark.parametrize(
    "beginning",
    [
        {"type": "response.created", "response": response("in_progress", [MESSAGE | {"content": [HALF]}])},
        {"type": "response.output_item.added", "output_index": 0, "item": MESSAGE | {"content": [HALF]}},
        {"type": "response.content_part.added", **PLACE, "part": HALF},
    ],
    ids=lambda event: event["type"],
)
def test_a_text_that_begins_in_another_event_does_not_go_on_in_deltas(beginning):
    """A client's library joins the two, and each was looked at alone."""
    begun = {"type": "response.created", "response": response("in_progress", [])}
    end = {"type": "response.completed", "response": response("completed", [WRITTEN])}
    with pytest.raises(ProviderFailed):
        ask("/responses", [begun, beginning, GOES_ON, end])
    assert "EMAIL]" in ask("/responses", [begun, beginning, end])


def test_a_part_goes_on_after_another_was_done():
    part = PART | {"annotations": []}
    done = {"type": "response.content_part.done", **PLACE, "part": part}
    second = {"type": "response.output_text.delta", **PLACE | {"content_index": 1}, "delta": "there"}
    end = {"type": "response.completed", "response": response("completed", [MESSAGE | {"content": [part, part]}])}
    assert '"there"' in ask("/responses", [*ANNOTATED[:2], done, second, end])


def test_arguments_that_begin_in_another_event_do_not_go_on_in_deltas():
    call = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "mail", "arguments": '{"to": "jane.roe@exa'}
    begun = {"type": "response.created", "response": response("in_progress", [])}
    added = {"type": "response.output_item.added", "output_index": 0, "item": call}
    delta = {
        "type": "response.function_call_arguments.delta",
        "item_id": "fc_1",
        "output_index": 0,
        "delta": 'mple.org"}',
    }
    with pytest.raises(ProviderFailed):
        ask("/responses", [begun, added, delta])
