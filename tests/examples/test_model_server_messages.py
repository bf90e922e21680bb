"""The local model server speaks Anthropic's wire format to the real SDK too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from examples.model_server.server import ModelServer, start
from tests.support.guards import JANE, POLICY, make_guard

from aiguard.settings import Environment, Settings


@pytest.fixture
def server() -> Iterator[ModelServer]:
    running = start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def client(server: ModelServer) -> Iterator[anthropic.Anthropic]:
    sent = {"x-api-key": "sk-local"}
    with anthropic.Anthropic(
        base_url=server.origin, api_key="sk-local", default_headers=sent, max_retries=0, timeout=10
    ) as client:
        yield client


def ask(client: anthropic.Anthropic, text: str, **more: Any) -> Any:
    turn: Any = {"role": "user", "content": text}
    return client.messages.create(**{"model": "claude-sonnet-5", "max_tokens": 500, "messages": [turn], **more})


def test_messages_answer_the_real_client_and_repeat_tokens(client: anthropic.Anthropic) -> None:
    done = ask(client, "Order ORD-A1B2C3D4, my mail is [EMAIL_X7K2M9QA]", system="be brief")

    assert "[EMAIL_X7K2M9QA]" in done.content[0].text
    assert (done.stop_reason, done.model, done.usage.input_tokens) == ("end_turn", "claude-sonnet-5", 8)
    assert ask(client, "one two three", max_tokens=2).stop_reason == "max_tokens"


def test_a_stream_amounts_to_the_same_message(client: anthropic.Anthropic) -> None:
    whole = ask(client, "hello there")
    turn: Any = {"role": "user", "content": "hello there"}
    with client.messages.stream(model="claude-sonnet-5", max_tokens=500, messages=[turn]) as stream:
        final = stream.get_final_message()

    assert final.content[0].to_dict() == whole.content[0].to_dict()
    assert final.usage.output_tokens == whole.usage.output_tokens


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_are_called_on_request(client: anthropic.Anthropic, *, streamed: bool) -> None:
    tools: Any = [{"name": "lookup", "input_schema": {"type": "object"}}]
    turn: Any = {"role": "user", "content": "#model:tool please"}
    asked: dict[str, Any] = {"model": "m", "max_tokens": 500, "messages": [turn], "tools": tools}
    if streamed:
        with client.messages.stream(**asked) as stream:
            done: Any = stream.get_final_message()
    else:
        done = client.messages.create(**asked)

    assert done.stop_reason == "tool_use"
    assert (done.content[0].name, done.content[0].input) == ("lookup", {"note": "#model:tool please"})


def test_tokens_are_counted_and_errors_are_worded_as_anthropic_words_them(client: anthropic.Anthropic) -> None:
    turn: Any = {"role": "user", "content": "one two three"}

    assert client.messages.count_tokens(model="m", messages=[turn]).input_tokens == 3
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        ask(client, "#model:error=529")
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        client.post("/v1/messages", cast_to=object, body={"model": "m", "messages": [turn]})
    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(set_default_headers={"x-api-key": ""}).messages.create(
            model="m", max_tokens=5, messages=[turn]
        )


def test_a_guarded_client_is_understood_by_it(server: ModelServer) -> None:
    lookup = {"AIGUARD_ANTHROPIC_BASE_URL": server.origin, "AIGUARD_ANTHROPIC_API_KEY": "sk-local"}
    guard, recorder = make_guard(
        POLICY.replace("local:small", "anthropic:small"),
        settings=Settings(environment=Environment.TEST, lookup=lookup),
    )
    turn: Any = {"role": "user", "content": "my mail is jane@example.com"}
    with guard.acting_as(JANE, scope="support:reply"), guard.client(anthropic.Anthropic) as client:
        done = client.messages.create(model="small", max_tokens=400, messages=[turn])
        with client.messages.stream(model="small", max_tokens=400, messages=[turn]) as stream:
            text = stream.get_final_text()

    assert "jane@example.com" in done.content[0].to_dict()["text"]  # type: ignore[operator]
    assert "jane@example.com" in text
    assert "jane@example.com" not in json.dumps([event.payload for event in recorder.events], default=str)
