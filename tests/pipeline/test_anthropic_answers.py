"""Laws 3 and 6 for Anthropic's Messages: streamed in any pieces and chunks, an answer is what it would have been at once."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.guards import JANE, POLICY, MemoryRecorder, make_guard
from tests.support.messages import cut, events, message, put_together, says, stream

from aiguard.errors import Blocked
from aiguard.guard import Guard
from aiguard.handler import ExchangeHandler
from aiguard.providers import RawRequest, RawResponse, RawStream

STREAMED = (
    POLICY.replace('models = ["local:small"]', 'models = ["anthropic:small"]')
    + """
[features.support-reply.output]
redact = { CREDIT_CARD = "mask", IBAN_CODE = "replace", US_SSN = "block" }
block_patterns = ["(?i)project\\\\s+bluebird"]
"""
)
QUESTION = "my address is jane@example.com"
PIECES = [
    "Dear ", "jane", "@example.com", " 4111 1111", " 1111 1111", "DE89 3704 0044 0532 0130 00", "\n", "_", "[", "]",
    "(http://a.b/c?", ")", "[EMAIL_", "<TOKEN>", "é😀", "project ", "blue", "bird", "536-90-4399", "{", "}", '"', " ", "a word",
]  # fmt: skip
SIGNATURE = base64.b64encode(random.Random(3).randbytes(301)).decode()


def ask(text: str, *, streamed: bool) -> RawRequest:
    body = {"model": "small", "messages": [{"role": "user", "content": text}], "stream": streamed}
    return RawRequest(
        provider="anthropic",
        method="POST",
        url="http://127.0.0.1/v1/messages",
        path="/v1/messages",
        headers=(("content-type", "application/json"),),
        content=json.dumps(body).encode(),
    )


def whole(guard: Guard, answer: Any) -> list[dict[str, Any]]:
    """The blocks that come of an answer at once."""

    def send(_raw: RawRequest) -> RawResponse:
        content = json.dumps(answer).encode()
        return RawResponse(status=200, headers=(("content-type", "application/json"),), content=content)

    raw = ExchangeHandler(lambda: guard).handle(ask(QUESTION, streamed=False), send)
    assert isinstance(raw, RawResponse)
    blocks: list[dict[str, Any]] = json.loads(raw.content)["content"]
    return blocks


def poured(guard: Guard, chunks: Sequence[bytes], out: list[bytes]) -> list[dict[str, Any]]:
    """The blocks that come of a stream; ``out`` gets the bytes as they come."""
    raw = ExchangeHandler(lambda: guard).handle(
        ask(QUESTION, streamed=True), lambda _raw: RawStream(status=200, chunks=iter(chunks), close=lambda: None)
    )
    assert isinstance(raw, RawStream)
    chunks_out: Iterator[bytes] = raw.chunks
    out.extend(chunks_out)
    blocks: list[dict[str, Any]] = put_together(b"".join(out))["content"]
    return blocks


def outcome(recorder: MemoryRecorder) -> dict[str, Any]:
    """What is on record of the last exchange, without what differs by nature."""
    event = recorder.events[-1]
    names = ("answer_findings", "restored", "reasons") if event.type == "exchange.completed" else ()
    return {"type": event.type, **{name: event.payload.get(name) for name in names}}


texts = st.lists(st.sampled_from(PIECES), max_size=10).map("".join)
titles = st.sampled_from(["minutes", "of project bluebird", "536-90-4399", "pay 4111 1111 1111 1111"])
citations = st.builds(
    lambda text, title: {"type": "char_location", "cited_text": text, "document_index": 0, "document_title": title},
    texts,
    titles,
)
blocks = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.builds(
        lambda text, cited: {"type": "text", "text": text, "citations": cited},
        texts,
        st.lists(citations, min_size=1, max_size=2),
    ),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": SIGNATURE}, texts),
    st.builds(
        lambda text, key: {"type": "tool_use", "id": "toolu_1", "name": "mail", "input": {key: text, "n": [1, "x"]}},
        texts,
        st.sampled_from(["to", "jane@example.com"]),
    ),
)


def named(value: Any, token: str) -> Any:
    return json.loads(json.dumps(value).replace("<TOKEN>", token))


@settings(max_examples=120, deadline=None)
@given(
    content=st.lists(blocks, max_size=4),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    places=st.lists(st.integers(0, 10_000), max_size=8),
)
def test_a_streamed_message_amounts_to_the_whole_one(content: list[Any], sizes: list[int], places: list[int]) -> None:
    guard, recorder = make_guard(STREAMED)
    with guard.acting_as(JANE, scope="support:reply", conversation="c1"):
        whole(guard, says("ok"))
        token = json.loads(recorder.artifacts[0].content)[0]["text"].removeprefix("my address is ")
        answer = message(named(content, token))
        batch: list[dict[str, Any]] | type[Blocked]
        try:
            batch = whole(guard, answer)
        except Blocked as error:
            batch = type(error)
        expected = outcome(recorder)

        data = b"".join(stream(answer, sizes))
        at = sorted({place % (len(data) + 1) for place in places})
        chunks = [data[first:last] for first, last in zip([0, *at], [*at, len(data)], strict=True)]
        streamed: list[dict[str, Any]] | type[Blocked]
        try:
            streamed = poured(guard, chunks, [])
        except Blocked as error:
            streamed = type(error)

    assert streamed == batch
    assert outcome(recorder) == expected


def test_what_the_model_thinks_comes_as_it_was_signed_and_what_it_says_is_restored() -> None:
    guard, recorder = make_guard(STREAMED)
    with guard.acting_as(JANE, scope="support:reply"):
        whole(guard, says("ok"))
        token = json.loads(recorder.artifacts[0].content)[0]["text"].removeprefix("my address is ")
        answer = message(
            [
                {"type": "thinking", "thinking": f"{token} asks", "signature": SIGNATURE},
                {"type": "text", "text": f"hello {token}"},
            ]
        )
        batch = whole(guard, answer)
        streamed = poured(guard, stream(answer, (3,)), [])

    assert batch == streamed
    assert batch[0]["thinking"] == f"{token} asks"
    assert batch[0]["signature"] == SIGNATURE
    assert batch[1]["text"] == "hello jane@example.com"


def test_what_the_model_thought_goes_back_unchanged() -> None:
    guard, recorder = make_guard(STREAMED)
    sent: list[Any] = []

    def send(raw: RawRequest) -> RawResponse:
        sent.append(json.loads(raw.content))
        return RawResponse(
            status=200, headers=(("content-type", "application/json"),), content=json.dumps(says("ok")).encode()
        )

    with guard.acting_as(JANE, scope="support:reply"):
        whole(guard, says("ok"))
        token = json.loads(recorder.artifacts[0].content)[0]["text"].removeprefix("my address is ")
        thought = {"type": "thinking", "thinking": f"{token} asks", "signature": SIGNATURE}
        turns = [
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": [thought, {"type": "text", "text": "hello jane@example.com"}]},
            {"role": "user", "content": "and?"},
        ]
        raw = ask("", streamed=False)
        body = json.dumps({"model": "small", "messages": turns}).encode()
        ExchangeHandler(lambda: guard).handle(
            RawRequest(
                provider="anthropic", method="POST", url=raw.url, path=raw.path, headers=raw.headers, content=body
            ),
            send,
        )

    assert sent[0]["messages"][1]["content"] == [thought, {"type": "text", "text": f"hello {token}"}]


def test_nothing_of_a_tools_input_comes_before_all_of_it_was_read() -> None:
    guard, _ = make_guard(STREAMED)
    use = {"type": "tool_use", "id": "toolu_1", "name": "mail", "input": {"to": "pay 4111 1111 1111 1111"}}
    out: list[bytes] = []
    with guard.acting_as(JANE, scope="support:reply"):
        poured(guard, stream(message([use]), (4,)), out)

    written = [json.loads(line[6:]) for line in b"".join(out).decode().split("\n") if line.startswith("data: ")]
    pieces = [value["delta"]["partial_json"] for value in written if value["type"] == "content_block_delta"]
    assert [piece for piece in pieces if piece] == ['{"to":"pay **** **** **** ****"}']
    assert [value["type"] for value in written[-3:]] == ["content_block_stop", "message_delta", "message_stop"]


def test_a_stream_that_names_no_events_or_ends_early_is_told_apart() -> None:
    guard, recorder = make_guard(STREAMED)
    unnamed = b"".join(f"data: {json.dumps(value)}\n\n".encode() for value in events(says("hello there"), (4,)))
    with guard.acting_as(JANE, scope="support:reply"):
        assert poured(guard, [unnamed], [])[0]["text"] == "hello there"
        out: list[bytes] = []
        try:
            poured(guard, stream(says("hello there"))[:-1], out)
        except Blocked as refusal:
            refused = refusal
    assert refused.http_status == 502
    assert recorder.events[-1].payload["reasons"] == ["answer.malformed"]
    assert b"message_stop" not in b"".join(out)


def test_pieces_of_a_text_are_all_of_it() -> None:
    assert cut("abcdefg", (1, 3)) == ["a", "bcd", "e", "fg"]
