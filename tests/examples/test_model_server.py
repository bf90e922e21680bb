"""The local model server speaks the wire format to the real SDK, and records every byte."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from examples.model_server import responder, wire
from examples.model_server.server import ModelServer, start
from openai import OpenAI


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "received.jsonl"


@pytest.fixture
def server(record: Path) -> Iterator[ModelServer]:
    running = start(record=record)
    yield running
    running.shutdown()
    running.server_close()
    running.record.close()


@pytest.fixture
def client(server: ModelServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.url, api_key="sk-local", max_retries=0, timeout=10) as client:
        yield client


def rows(record: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in record.read_text().splitlines()]


def ask(client: OpenAI, text: str, **more: Any) -> Any:
    return client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": text}], **more)


def test_chat_answers_the_real_client_and_repeats_tokens(client: OpenAI) -> None:
    done = ask(client, "Order ORD-A1B2C3D4, my mail is [EMAIL_X7K2M9QA]")
    assert "[EMAIL_X7K2M9QA]" in done.choices[0].message.content
    assert "ORD-A1B2C3D4" in done.choices[0].message.content
    assert (done.choices[0].finish_reason, done.model) == ("stop", "gpt-5-mini")
    assert done.usage.prompt_tokens == 6


def test_responses_answers_the_real_client(client: OpenAI) -> None:
    done = client.responses.create(model="gpt-5-mini", instructions="be brief", input="[PHONE_AAAA2222] is my number")
    assert "[PHONE_AAAA2222]" in done.output_text
    assert done.status == "completed"
    assert done.usage is not None
    assert done.usage.output_tokens > 0


def test_the_same_request_gets_the_same_answer(client: OpenAI) -> None:
    assert ask(client, "hello").to_dict() == ask(client, "hello").to_dict()


def test_a_streamed_chat_answer_is_the_whole_answer(client: OpenAI) -> None:
    whole = ask(client, "Grüße aus Zürich 🎉 [IBAN_ABCDEFGH]").choices[0].message.content
    chunks = list(
        ask(client, "Grüße aus Zürich 🎉 [IBAN_ABCDEFGH]", stream=True, stream_options={"include_usage": True})
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole
    assert chunks[-1].usage is not None


def test_a_streamed_response_is_the_whole_response(client: OpenAI) -> None:
    whole = client.responses.create(model="gpt-5-mini", input="stream this").output_text
    with client.responses.stream(model="gpt-5-mini", input="stream this") as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert deltas == whole == final.output_text


def test_a_limit_on_output_tokens_cuts_the_answer_and_says_so(client: OpenAI) -> None:
    done = ask(client, "hello", max_completion_tokens=3)
    assert done.choices[0].finish_reason == "length"
    assert len(responder.pieces(done.choices[0].message.content)) == 3
    cut = client.responses.create(model="gpt-5-mini", input="hello", max_output_tokens=3)
    assert (cut.status, cut.incomplete_details.reason if cut.incomplete_details else None) == (
        "incomplete",
        "max_output_tokens",
    )


def test_a_tool_is_called_when_the_prompt_asks_for_it(client: OpenAI) -> None:
    tool: Any = {"type": "function", "function": {"name": "note", "parameters": {"type": "object", "properties": {}}}}
    call = ask(client, "#model:tool for [EMAIL_X7K2M9QA]", tools=[tool]).choices[0].message.tool_calls[0]
    assert call.function.name == "note"
    assert "[EMAIL_X7K2M9QA]" in json.loads(call.function.arguments)["note"]


def test_every_request_is_recorded_byte_for_byte_before_it_is_answered(
    client: OpenAI, server: ModelServer, record: Path
) -> None:
    text = 'ümlaut \\ "quote" \x00 🎉'
    ask(client, text)
    row = rows(record)[-1]
    assert (row["method"], row["path"]) == ("POST", "/v1/chat/completions")
    assert json.loads(base64.b64decode(row["body"]))["messages"][0]["content"] == text
    assert {name.lower(): value for name, value in row["headers"]}["authorization"] == "Bearer sk-local"


def test_a_request_without_a_key_or_with_a_bad_body_is_refused_as_openai_words_it(client: OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        ask(client, "hello", extra_headers={"Authorization": "no"})
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="m", input="x")
    for body in (b"{", b"[]", b'{"model": "m"}', b'{"model": "m", "messages": []}', b"[" * 100_000):
        with pytest.raises(wire.BadRequest):
            wire.read(body, responses=False)


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ("garbage", json.JSONDecodeError),
        ("truncate", openai.APIConnectionError),
        ("error=503", openai.InternalServerError),
        ("error=429", openai.RateLimitError),
        ("hang=2", openai.APITimeoutError),
    ],
)
def test_faults_happen_when_the_prompt_asks_for_them(client: OpenAI, wish: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(client.with_options(timeout=0.5), f"#model:{wish}")


def test_about_one_answer_in_five_invents_an_address() -> None:
    texts = [f"message {number}" for number in range(500)]
    invented = [text for text in texts if responder.INVENTED_ADDRESS in responder.answer(text)]
    assert invented == [text for text in texts if responder.invents(text)]
    assert 60 < len(invented) < 140
