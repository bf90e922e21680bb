"""Streamed Responses through the SDK: every event that repeats the text repeats what may be shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from tests.support.guards import JANE, POLICY, MemoryRecorder, make_guard
from tests.support.scripted import Script, ScriptedServer

from aiguard.errors import OutputBlocked, ProviderFailed
from aiguard.guard import Guard
from aiguard.settings import Environment, Settings

RULES = """
[features.support-reply.output]
redact = { CREDIT_CARD = "mask", EMAIL_ADDRESS = "replace" }
block_patterns = ["project bluebird"]
"""


def response(status: str, output: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "model": "small",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "metadata": {},
        **more,
    }


def events_of(text: str, arguments: str, thought: str, size: int) -> list[dict[str, Any]]:
    """The events of one answer: a thought, a message and a call, each cut every ``size`` characters."""
    thinking = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": thought}]}
    said = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [said]}
    call = {
        "id": "fc_1",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "mail",
        "arguments": arguments,
    }
    usage = {
        "input_tokens": 3,
        "output_tokens": 9,
        "total_tokens": 12,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 2},
    }
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response("in_progress", [])},
        {"type": "response.in_progress", "response": response("in_progress", [])},
        {"type": "response.output_item.added", "output_index": 0, "item": {**thinking, "summary": []}},
        {
            "type": "response.reasoning_summary_part.added",
            "item_id": "rs_1",
            "output_index": 0,
            "summary_index": 0,
            "part": {"type": "summary_text", "text": ""},
        },
    ]
    place: dict[str, Any] = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    events += [
        {"type": "response.reasoning_summary_text.delta", **place, "delta": piece} for piece in cut(thought, size)
    ]
    events += [
        {"type": "response.reasoning_summary_text.done", **place, "text": thought},
        {"type": "response.reasoning_summary_part.done", **place, "part": {"type": "summary_text", "text": thought}},
        {"type": "response.output_item.done", "output_index": 0, "item": thinking},
        {
            "type": "response.output_item.added",
            "output_index": 1,
            "item": {**message, "status": "in_progress", "content": []},
        },
        {
            "type": "response.content_part.added",
            "item_id": "msg_1",
            "output_index": 1,
            "content_index": 0,
            "part": {**said, "text": ""},
        },
    ]
    place = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    events += [
        {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": [], "obfuscation": "xK9"}
        for piece in cut(text, size)
    ]
    events += [
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": said},
        {"type": "response.output_item.done", "output_index": 1, "item": message},
        {
            "type": "response.output_item.added",
            "output_index": 2,
            "item": {**call, "status": "in_progress", "arguments": ""},
        },
    ]
    events += [
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 2, "delta": piece}
        for piece in cut(arguments, size)
    ]
    events += [
        {
            "type": "response.function_call_arguments.done",
            "item_id": "fc_1",
            "output_index": 2,
            "name": "mail",
            "arguments": arguments,
        },
        {"type": "response.output_item.done", "output_index": 2, "item": call},
        {"type": "response.completed", "response": response("completed", [thinking, message, call], usage=usage)},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def encoded(events: list[dict[str, Any]]) -> list[bytes]:
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


class Played:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.server = ScriptedServer(lambda _path, _body: Script(chunks=encoded(self.events)))

    def guard(self, more: str = RULES) -> tuple[Guard, MemoryRecorder]:
        lookup = {"AIGUARD_OPENAI_BASE_URL": self.server.base_url, "AIGUARD_OPENAI_API_KEY": "sk-test"}
        settings = Settings(environment=Environment.TEST, lookup=lookup)
        return make_guard(POLICY.replace("local:small", "openai:small") + more, settings=settings)


@pytest.fixture
def played() -> Iterator[Played]:
    made = Played()
    yield made
    made.server.close()


TEXT = "Write to bob@example.com, or pay with 4111 1111 1111 1111 today."
SHOWN = "Write to [REDACTED_EMAIL], or pay with **** **** **** **** today."


def play(played: Played, guard: Guard) -> list[Any]:
    with guard.acting_as(JANE, scope="support:reply"), guard.client(openai.OpenAI, max_retries=0) as client:
        return list(client.responses.create(model="small", input="hello", stream=True))


@pytest.mark.parametrize("size", [1, 3, 11, 400])
def test_every_event_says_only_what_may_be_shown(played: Played, size: int) -> None:
    guard, recorder = played.guard()
    played.events = events_of(TEXT, '{"to":"eve@example.com"}', "ask carol@example.com about it", size)
    events = play(played, guard)

    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == SHOWN
    assert [e.text for e in events if e.type == "response.output_text.done"] == [SHOWN]
    thought = "ask [REDACTED_EMAIL] about it"
    assert "".join(e.delta for e in events if e.type == "response.reasoning_summary_text.delta") == thought
    arguments = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
    assert json.loads(arguments) == {"to": "[REDACTED_EMAIL]"}
    final = events[-1].response
    assert final.output_text == SHOWN
    assert final.usage.total_tokens == 12
    assert "example.com" not in repr(events)
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert recorder.types()[-1] == "exchange.completed"
    assert recorder.events[-1].payload["answer_findings"] == {
        "CREDIT_CARD": {"mask": 1},
        "EMAIL_ADDRESS": {"replace": 3},
    }


def test_the_sdks_own_helper_puts_the_same_answer_together(played: Played) -> None:
    guard, _ = played.guard()
    played.events = events_of(TEXT, "{}", "well", 5)
    with (
        guard.acting_as(JANE, scope="support:reply"),
        guard.client(openai.OpenAI, max_retries=0) as client,
        client.responses.stream(model="small", input="hello") as stream,
    ):
        assert stream.get_final_response().output_text == SHOWN


def test_a_schema_holds_for_what_is_said_and_not_for_what_is_thought(played: Played) -> None:
    guard, _ = played.guard('[features.support-reply.output.json_schema]\ntype = "object"\nrequired = ["ok"]\n')
    played.events = events_of('{"ok": 1}', "{}", "let me think", 2)
    assert play(played, guard)[-1].response.output_text == '{"ok": 1}'

    played.events = events_of('{"no": 1}', "{}", "let me think", 2)
    with pytest.raises(OutputBlocked):
        play(played, guard)


def test_a_pattern_in_a_thought_stops_the_stream(played: Played) -> None:
    guard, _ = played.guard()
    played.events = events_of("fine", "{}", "this is project bluebird", 4)
    with pytest.raises(OutputBlocked):
        play(played, guard)


def test_a_final_event_that_says_something_else_is_scanned_all_the_same(played: Played) -> None:
    guard, _ = played.guard()
    played.events = events_of("fine", "{}", "well", 4)
    played.events[-1]["response"]["output"][1]["content"][0]["text"] = "mail dave@example.com"
    assert play(played, guard)[-1].response.output_text == "mail [REDACTED_EMAIL]"


@pytest.mark.parametrize(
    "type", ["response.audio.delta", "response.image_generation_call.partial_image", "response.made_up"]
)
def test_an_event_that_is_not_known_ends_the_stream(played: Played, type: str) -> None:
    guard, _ = played.guard()
    played.events = [*events_of("fine", "{}", "well", 4)[:3], {"type": type, "sequence_number": 3, "delta": "AAAA"}]
    with pytest.raises(ProviderFailed):
        play(played, guard)


def test_a_failed_response_is_handed_on_and_recorded_as_failed(played: Played) -> None:
    guard, recorder = played.guard()
    error = {"code": "server_error", "message": "ask bob@example.com"}
    failed = {"type": "response.failed", "response": response("failed", [], error=error), "sequence_number": 1}
    played.events = [*events_of("fine", "{}", "well", 4)[:1], failed]
    assert play(played, guard)[-1].response.error.message == "ask [REDACTED_EMAIL]"
    assert recorder.types()[-1] == "exchange.failed"
