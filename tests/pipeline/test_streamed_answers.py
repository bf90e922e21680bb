"""Law 3 and law 6 for a model's answers: streamed in any chunks, they are what they would have been at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.guards import JANE, POLICY, MemoryRecorder, make_guard
from tests.support.scripted import chat_answer, chat_stream

from aiguard.errors import Blocked
from aiguard.guard import Guard
from aiguard.handler import ExchangeHandler
from aiguard.providers import RawRequest, RawResponse, RawStream

STREAMED = (
    POLICY.replace('models = ["local:small"]', 'models = ["openai:small"]')
    + """
[features.support-reply.output]
redact = { CREDIT_CARD = "mask", IBAN_CODE = "replace", US_SSN = "block" }
block_patterns = ["(?i)project\\\\s+bluebird", "as an AI language model"]
"""
)
PIECES = [
    "Dear ", "jane", "@example.com", "j\\u0061ne@x.org", " 4111 1111", " 1111 1111", "DE89 3704 0044 0532 0130 00", "\n", "_", "\\", "[", "]",
    "(http://a.b/c?", ")", "[EMAIL_", "<TOKEN>", "é😀", "project ", "blue", "bird", "as an AI", " language model", "219-09-9999", "{", "}", '"', " ", "a word",
]  # fmt: skip


def ask(text: str, *, stream: bool) -> RawRequest:
    body = {"model": "small", "messages": [{"role": "user", "content": text}], "stream": stream}
    return RawRequest(
        provider="openai",
        method="POST",
        url="http://127.0.0.1/v1/chat/completions",
        path="/chat/completions",
        headers=(("content-type", "application/json"),),
        content=json.dumps(body).encode(),
    )


def closed() -> None:
    """Nothing to let go."""


def whole(guard: Guard, text: str, question: str = "hello") -> str:
    handler = ExchangeHandler(lambda: guard)

    def send(_raw: RawRequest) -> RawResponse:
        content = json.dumps(chat_answer(text)).encode()
        return RawResponse(status=200, headers=(("content-type", "application/json"),), content=content)

    answer = handler.handle(ask(question, stream=False), send)
    assert isinstance(answer, RawResponse)
    return str(json.loads(answer.content)["choices"][0]["message"]["content"])


def said(data: bytes) -> str:
    """What the events of a chat stream say."""
    lines = [line.removeprefix("data: ") for line in data.decode().split("\n") if line.startswith("data: {")]
    deltas = [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def pour(guard: Guard, chunks: Sequence[bytes], question: str = "hello") -> Iterator[bytes]:
    answer = ExchangeHandler(lambda: guard).handle(
        ask(question, stream=True), lambda _raw: RawStream(status=200, chunks=iter(chunks), close=closed)
    )
    assert isinstance(answer, RawStream)
    chunks_out: Iterator[bytes] = answer.chunks
    return chunks_out


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """``data`` cut at ``places``."""
    at = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]


def outcome(recorder: MemoryRecorder) -> dict[str, Any]:
    """What is on record of the last exchange, without what differs by nature."""
    event = recorder.events[-1]
    kept = {name: event.payload.get(name) for name in ("answer_findings", "restored", "reasons")}
    return {"type": event.type, **kept}


texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@settings(max_examples=150, deadline=None)
@given(
    text=texts,
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    places=st.lists(st.integers(0, 10_000), max_size=8),
    links=st.booleans(),
)
def test_a_streamed_answer_is_byte_for_byte_the_whole_one(
    *, text: str, sizes: list[int], places: list[int], links: bool
) -> None:
    guard, recorder = make_guard(STREAMED + ('restore_in = ["links"]\n' if links else ""))
    question = "my address is jane@example.com"
    with guard.acting_as(JANE, scope="support:reply", conversation="c1"):
        whole(guard, "ok", question)
        token = json.loads(recorder.artifacts[0].content)[0]["text"].removeprefix("my address is ")
        text = text.replace("<TOKEN>", token)
        batch: str | type[Blocked]
        try:
            batch = whole(guard, text, question)
        except Blocked as error:
            batch = type(error)
        expected = outcome(recorder)

        pieces, start = [], 0
        for size in [*sizes] * len(text):
            if start < len(text):
                pieces.append(text[start : start + size])
                start += size
        shown: list[bytes] = []
        streamed: str | type[Blocked]
        try:
            for chunk in pour(guard, cut(b"".join(chat_stream(pieces)), places), question):
                shown.append(chunk)  # noqa: PERF402 - what came before an exception counts
            streamed = said(b"".join(shown))
        except Blocked as error:
            streamed = type(error)
    assert streamed == batch
    assert outcome(recorder)["type"] == expected["type"]
    if isinstance(batch, str):
        assert outcome(recorder) == expected
