"""Arguments of tools keep the tokens of the conversation, unless policy names tools; streamed or not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.guards import JANE, POLICY, make_guard
from tests.support.scripted import chat_answer, chat_chunk, sse

from aiguard.guard import Guard
from aiguard.handler import ExchangeHandler
from aiguard.providers import RawRequest, RawResponse, RawStream

EMAIL = "jane@example.com"
TOOLS = "[features.support-reply.output]\nrestore_in = [{}]\n"


def guard_with(*places: str) -> Guard:
    policy = POLICY.replace('models = ["local:small"]', 'models = ["openai:small"]')
    return make_guard(policy + TOOLS.format(", ".join(f'"{place}"' for place in places)))[0]


def ask(*, stream: bool) -> RawRequest:
    body = {"model": "small", "messages": [{"role": "user", "content": EMAIL}], "stream": stream}
    return RawRequest(
        provider="openai",
        method="POST",
        url="http://127.0.0.1/v1/chat/completions",
        path="/chat/completions",
        headers=(("content-type", "application/json"),),
        content=json.dumps(body).encode(),
    )


def arguments_for(raw: RawRequest) -> str:
    """What the model would do with the address that it was given: in words, and in a link."""
    token = json.loads(raw.content)["messages"][0]["content"]
    assert EMAIL not in token
    return json.dumps({"to": token, "page": f"https://shop.example/?q={token}", token: 1})


def whole(guard: Guard) -> dict[str, Any]:
    def send(raw: RawRequest) -> RawResponse:
        answer = chat_answer("")
        function = {"name": "mail", "arguments": arguments_for(raw)}
        answer["choices"][0]["message"]["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
        content = json.dumps(answer).encode()
        return RawResponse(status=200, headers=(("content-type", "application/json"),), content=content)

    answer = ExchangeHandler(lambda: guard).handle(ask(stream=False), send)
    assert isinstance(answer, RawResponse)
    function = json.loads(answer.content)["choices"][0]["message"]["tool_calls"][0]["function"]
    return dict(json.loads(function["arguments"]))


def streamed(guard: Guard) -> dict[str, Any]:
    def send(raw: RawRequest) -> RawStream:
        arguments = arguments_for(raw)
        first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "mail", "arguments": ""}}
        pieces = [arguments[at : at + 7] for at in range(0, len(arguments), 7)]
        chunks = [
            chat_chunk({"role": "assistant", "content": None, "tool_calls": [first]}),
            *(chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces),
            chat_chunk({}, finish="tool_calls"),
        ]
        return RawStream(status=200, chunks=iter([sse(*chunks, "[DONE]")]), close=lambda: None)

    answer = ExchangeHandler(lambda: guard).handle(ask(stream=True), send)
    assert isinstance(answer, RawStream)
    lines = [line for line in b"".join(answer.chunks).decode().splitlines() if line.startswith("data: {")]
    deltas = [json.loads(line.removeprefix("data: "))["choices"][0]["delta"] for line in lines]
    calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    return dict(json.loads("".join(call["function"].get("arguments") or "" for call in calls)))


@pytest.mark.parametrize("way", [whole, streamed])
@pytest.mark.parametrize(
    ("places", "shown"),
    [((), (0, 0)), (("links",), (0, 0)), (("tools",), (1, 0)), (("tools", "links"), (1, 1))],
)
def test_tools_and_links_in_them_see_a_value_only_where_policy_names_them(
    way: Any, places: tuple[str, ...], shown: tuple[int, int]
) -> None:
    guard = guard_with(*places)
    with guard.acting_as(JANE, scope="support:reply"):
        arguments = way(guard)
    assert (arguments["to"].count(EMAIL), arguments["page"].count(EMAIL)) == shown
    assert not any(EMAIL in key for key in arguments)
