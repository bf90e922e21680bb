"""Anthropic's clients through the whole trust path and a socket: what the SDK's iterators and helpers give, and how a stream can end."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator, Sequence
from typing import Any

import anthropic
import httpx2
import pytest
from tests.support.guards import JANE, POLICY, MemoryRecorder, make_guard
from tests.support.messages import event, events, message, says, stream
from tests.support.scripted import Script, ScriptedServer

from aiguard.errors import AccessDenied, ContentBlocked, ControlFailed, InputRefused, OutputBlocked, ProviderFailed
from aiguard.guard import Guard
from aiguard.providers.errors import EgressRefused
from aiguard.settings import Environment, Settings

RULES = """
[features.support-reply.output]
redact = { CREDIT_CARD = "mask", EMAIL_ADDRESS = "replace", US_SSN = "block" }
block_patterns = ["(?i)project\\\\s+bluebird"]
"""
SCHEMA = """
[features.support-reply.output.json_schema]
type = "object"
required = ["answer"]
"""
USER: Any = [{"role": "user", "content": "I am jane@example.com"}]
ASKED: dict[str, Any] = {"model": "small", "max_tokens": 50, "messages": USER}


class Stage:
    """A guard, its recorder, and a server that plays ``chunks`` to a stream and ``body`` to anything else."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.chunks: Sequence[bytes] = ()
        self.options: dict[str, Any] = {}
        self.clients: list[anthropic.Anthropic] = []
        self.body: Any = says("fine")
        self.guard, self.recorder = self.make()

    def make(self, more: str = RULES, recorder: MemoryRecorder | None = None) -> tuple[Guard, MemoryRecorder]:
        base_url = self.server.base_url.removesuffix("/v1")
        lookup = {"AIGUARD_ANTHROPIC_BASE_URL": base_url, "AIGUARD_ANTHROPIC_API_KEY": "sk-ant-test"}
        policy = POLICY.replace("local:small", "anthropic:small") + more
        self.guard, self.recorder = make_guard(
            policy, recorder=recorder, settings=Settings(environment=Environment.TEST, lookup=lookup)
        )
        return self.guard, self.recorder

    def says(self, text: str, **options: Any) -> None:
        self.chunks, self.options = stream(says(text), (4, 1, 7)), options

    def play(self, _path: str, body: Any) -> Script:
        return Script(chunks=self.chunks, **self.options) if body.get("stream") else Script(body=self.body)

    def client(self, **options: Any) -> anthropic.Anthropic:
        client = self.guard.client(anthropic.Anthropic, **{"max_retries": 3, **options})
        self.clients.append(client)
        return client

    def last(self) -> tuple[str, Any]:
        recorded = self.recorder.events[-1]
        return recorded.type, recorded.payload


@pytest.fixture
def stage() -> Iterator[Stage]:
    holder: list[Stage] = []
    server = ScriptedServer(lambda path, body: holder[0].play(path, body))  # noqa: PLW0108 - filled below
    holder.append(Stage(server))
    yield holder[0]
    for client in holder[0].clients:
        client.close()
    server.close()


def collect(received: Any, seen: list[str]) -> None:
    """Add each text that the events give to ``seen``, which so has what came before an exception."""
    for item in received:
        if item.type == "content_block_delta" and item.delta.type == "text_delta":
            seen.append(item.delta.text)  # noqa: PERF401 - what came before an exception counts


def read(received: Any) -> str:
    seen: list[str] = []
    collect(received, seen)
    return "".join(seen)


def test_a_whole_answer_is_redacted_on_the_way_out_and_restored_on_the_way_back(stage: Stage) -> None:
    with stage.guard.acting_as(JANE, scope="support:reply", conversation="c"):
        client = stage.client()
        client.messages.create(**ASKED)
        token = stage.server.received[-1][1]["messages"][0]["content"].removeprefix("I am ")
        stage.body = says(f"hello {token}, write to bob@example.com")
        answer = client.messages.create(**ASKED)

    assert "jane" not in token
    assert answer.content[0].to_dict()["text"] == "hello jane@example.com, write to [REDACTED_EMAIL]"
    path, body, headers = stage.server.received[-1]
    assert path == "/v1/messages"
    assert body["max_tokens"] == 50
    assert headers["x-api-key"] == "sk-ant-test"
    kind, payload = stage.last()
    assert kind == "exchange.completed"
    assert payload["usage"] == {"input_tokens": 11, "output_tokens": 9, "total_tokens": 20}


def test_the_iterator_and_the_helper_give_the_same_guarded_answer(stage: Stage) -> None:
    stage.says("write to bob@example.com or pay with 4111 1111 1111 1111.")
    expected = "write to [REDACTED_EMAIL] or pay with **** **** **** ****."
    with stage.guard.acting_as(JANE, scope="support:reply"):
        client = stage.client()
        assert read(client.messages.create(**ASKED, stream=True)) == expected
        assert stage.last()[1]["streamed_chars"] == len(expected)
        assert json.loads(stage.recorder.artifacts[-1].content) == [{"role": "assistant", "text": expected}]
        with client.messages.stream(**ASKED) as helper:
            assert "".join(helper.text_stream) == expected
            final = helper.get_final_message()

    assert final.content[0].to_dict()["text"] == expected
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 9)
    assert stage.last()[0] == "exchange.completed"
    assert stage.last()[1]["usage"] == {"input_tokens": 11, "output_tokens": 9, "total_tokens": 20}
    assert stage.last()[1]["answer_findings"] == {"CREDIT_CARD": {"mask": 1}, "EMAIL_ADDRESS": {"replace": 1}}


def test_the_async_client_gives_the_same(stage: Stage) -> None:
    stage.says("write to bob@example.com.")
    stage.body = says("write to bob@example.com.")

    async def run() -> list[str]:
        async with stage.guard.client(anthropic.AsyncAnthropic) as client:
            texts = [(await client.messages.create(**ASKED)).content[0].to_dict()["text"]]
            events = await client.messages.create(**ASKED, stream=True)
            pieces = [item.delta async for item in events if item.type == "content_block_delta"]
            texts.append("".join(piece.text for piece in pieces if piece.type == "text_delta"))
            async with client.messages.stream(**ASKED) as helper:
                texts.append("".join([text async for text in helper.text_stream]))
        return [str(text) for text in texts]

    with stage.guard.acting_as(JANE, scope="support:reply"):
        assert asyncio.run(run()) == ["write to [REDACTED_EMAIL]."] * 3
    assert stage.recorder.types().count("exchange.completed") == 3


def test_the_actors_own_tokens_come_back_wherever_the_model_cuts_them(stage: Stage) -> None:
    with stage.guard.acting_as(JANE, scope="support:reply", conversation="c"):
        client = stage.client()
        client.messages.create(**ASKED)
        token = stage.server.received[-1][1]["messages"][0]["content"].removeprefix("I am ")
        stage.chunks = stream(says(f"hello {token} again"), (1,))
        text = read(client.messages.create(**ASKED, stream=True))

    assert text == "hello jane@example.com again"
    assert stage.last()[1]["restored"] == 1


def test_a_tool_loop_with_thinking_goes_round(stage: Stage) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "mail", "input": {"to": "bob@example.com", "n": [2]}}
    thought = {"type": "thinking", "thinking": "whom to write to", "signature": "EqoBCkgIARABGAIiQL2UoU0b1OHYi"}
    stage.chunks = stream(message([thought, {"type": "text", "text": "one moment"}, use], stop_reason="tool_use"))
    tools: Any = [{"name": "mail", "description": "sends", "input_schema": {"type": "object"}}]
    with stage.guard.acting_as(JANE, scope="support:reply", conversation="c"):
        client = stage.client()
        with client.messages.stream(**ASKED, tools=tools) as helper:
            first = helper.get_final_message()
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sent to jane@example.com"}
        turns: Any = [
            *USER,
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [result]},
        ]
        client.messages.create(**ASKED | {"messages": turns}, tools=tools)

    assert first.stop_reason == "tool_use"
    assert first.content[2].to_dict()["input"] == {"to": "[REDACTED_EMAIL]", "n": [2]}
    sent = stage.server.received[-1][1]["messages"]
    assert sent[1]["content"][0] == thought
    token = sent[0]["content"].removeprefix("I am ")
    assert sent[2]["content"][0]["content"] == f"sent to {token}"


def test_the_sdks_tool_runner_works_without_threads_and_is_refused_with_them(stage: Stage) -> None:
    got: list[str] = []

    @anthropic.beta_tool
    def note(text: str) -> str:
        """Keeps a note."""
        got.append(text)
        stage.body = says("done")
        return f"kept: {text}"

    use = {"type": "tool_use", "id": "toolu_1", "name": "note", "input": {"text": "write to bob@example.com"}}
    stage.body = message([use], stop_reason="tool_use")
    asked: dict[str, Any] = {**ASKED, "tools": [note]}
    with stage.guard.acting_as(JANE, scope="support:reply"):
        with pytest.raises(EgressRefused, match="thread=False"):
            stage.client().beta.messages.tool_runner(**asked).until_done()
        assert not stage.server.received
        last = stage.client().beta.messages.tool_runner(**asked, thread=False).until_done()
    assert last.content[0].to_dict()["text"] == "done"
    assert got == ["write to [REDACTED_EMAIL]"]
    assert "jane@example.com" not in json.dumps([each[1] for each in stage.server.received])


def test_what_may_not_leave_stops_before_anything_is_sent(stage: Stage) -> None:
    secret = "key AKIAIOSFODNN7EXAMPL2 and sk-ant-api03-" + "aB3" * 30 + "AA"
    with stage.guard.acting_as(JANE, scope="support:reply"):
        client = stage.client()
        calls: list[Any] = [
            lambda more: client.messages.create(**more),
            lambda more: client.messages.create(**more, stream=True),
            lambda more: client.messages.with_raw_response.create(**more),
            lambda more: client.messages.stream(**more).__enter__(),
            lambda more: client.messages.count_tokens(model="small", messages=more["messages"]),
        ]
        for call in calls:
            with pytest.raises(ContentBlocked) as refused:
                call(ASKED | {"messages": [{"role": "user", "content": secret}]})
            assert "aB3" not in str(refused.value)
            assert refused.value.decision_id == stage.recorder.events[-1].decision_id
        with pytest.raises(InputRefused, match="image"):
            client.messages.create(
                **ASKED | {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}
            )
        with pytest.raises(AccessDenied, match="model"):
            client.messages.create(**ASKED | {"model": "large"})

    assert not stage.server.received
    assert len(stage.recorder.events) == len(calls) + 3, "one grant, and one refusal a call"


def test_a_blocked_answer_is_neither_delivered_nor_asked_for_again(stage: Stage) -> None:
    stage.body = says("the SSN is 536-90-4399")
    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(OutputBlocked):
        stage.client().messages.create(**ASKED)

    assert len(stage.server.received) == 1
    assert stage.last()[0] == "output.blocked"


def test_a_blocked_type_in_the_middle_raises_out_of_the_iterator_after_a_safe_beginning(stage: Stage) -> None:
    stage.says("the SSN is 536-90-4399 and more")

    def iterator(seen: list[str]) -> None:
        collect(stage.client().messages.create(**ASKED, stream=True), seen)

    def helper(seen: list[str]) -> None:
        with stage.client().messages.stream(**ASKED) as received:
            collect(received, seen)

    for reads in (iterator, helper):
        seen: list[str] = []
        with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(OutputBlocked) as refused:
            reads(seen)
        assert "".join(seen).rstrip() in {"the SSN is", "the SSN"}
        kind, payload = stage.last()
        assert (kind, payload["streamed_chars"]) == ("output.blocked", len("".join(seen)))
        assert refused.value.decision_id == stage.recorder.events[-1].decision_id
        assert refused.value.__cause__ is None
        frame = refused.value.__traceback__.tb_next if refused.value.__traceback__ else None  # the first is this test
        while frame is not None:
            assert "536-90-4399" not in repr(frame.tb_frame.f_locals)
            frame = frame.tb_next
    assert len(stage.server.received) == 2, "a refusal is never retried"


def test_a_blocked_async_stream_raises_out_of_the_iterator(stage: Stage) -> None:
    stage.says("about project  bluebird: it is late")
    seen: list[str] = []

    async def run() -> None:
        async with stage.guard.client(anthropic.AsyncAnthropic) as client, client.messages.stream(**ASKED) as helper:
            async for text in helper.text_stream:
                seen.append(text)  # noqa: PERF401 - what came before an exception counts

    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(OutputBlocked):
        asyncio.run(run())
    assert "".join(seen) == "about "
    assert len(stage.server.received) == 1


def test_a_stream_that_the_sdk_reads_in_full_is_refused_unwrapped_too(stage: Stage) -> None:
    """A body that asks for a stream, on a call that does not expect one: the SDK reads it where it would retry."""
    stage.says("the SSN is 536-90-4399 and more")
    with stage.guard.acting_as(JANE, scope="support:reply"):
        client = stage.client()
        with pytest.raises(OutputBlocked):
            client.post("/v1/messages", cast_to=object, body=ASKED | {"stream": True})
        assert len(stage.server.received) == 1

        async def run() -> None:
            async with stage.guard.client(anthropic.AsyncAnthropic, max_retries=3) as aclient:
                await aclient.post("/v1/messages", cast_to=object, body=ASKED | {"stream": True})

        with pytest.raises(OutputBlocked):
            asyncio.run(run())
    assert len(stage.server.received) == 2


def test_with_a_schema_nothing_is_shown_before_the_end_and_thinking_does_not_count(stage: Stage) -> None:
    stage.make(SCHEMA)
    thought = {"type": "thinking", "thinking": "no JSON here", "signature": "EqoBCkgIARABGAIi"}
    answer = message([thought, {"type": "text", "text": '{"answer": "yes"}'}])
    stage.chunks, stage.body = stream(answer), answer
    with stage.guard.acting_as(JANE, scope="support:reply"):
        client = stage.client()
        seen: list[str] = []
        collect(client.messages.create(**ASKED, stream=True), seen)
        assert client.messages.create(**ASKED).content[1].to_dict()["text"] == '{"answer": "yes"}'
    assert [text for text in seen if text] == ['{"answer": "yes"}']

    stage.says('{"answer": "yes"')
    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(OutputBlocked):
        read(stage.client().messages.create(**ASKED, stream=True))


@pytest.mark.parametrize("how", ["close", "leave", "forget"])
def test_a_reader_who_goes_away_is_on_record_and_the_connection_is_let_go(stage: Stage, how: str) -> None:
    stage.says("word " * 400, pause=0.005)
    with stage.guard.acting_as(JANE, scope="support:reply"):
        if how == "leave":
            with stage.client().messages.stream(**ASKED) as helper:
                next(iter(helper.text_stream))
        else:
            received = stage.client().messages.create(**ASKED, stream=True)
            next(iter(received))
            if how == "close":
                received.close()
            del received
            gc.collect()

    kind, payload = stage.last()
    assert kind == "exchange.aborted"
    assert payload["streamed_chars"] < 400
    assert stage.server.closed_early.wait(5)


def test_a_server_that_dies_in_the_middle_is_on_record(stage: Stage) -> None:
    stage.says("some text and more", cut=True)
    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(httpx2.RemoteProtocolError) as raised:
        read(stage.client().messages.create(**ASKED, stream=True))

    assert stage.last()[0] == "exchange.failed"
    assert raised.value.aiguard_decision_id == stage.recorder.events[-1].decision_id  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "chunks",
    [
        stream(says("half"))[:-1],
        [*stream(says("half"))[:3], b"data: {"],
        [b"data: {]\n\n"],
        [b"data: \xff\n\n"],
        [event({"type": "novelty"})],
        [event(value) for value in events(says("x")) if value["type"] != "message_start"],
        [b"event: ping\ndata: " + b"[" * 5_000 + b"\n\n"],
        [],
    ],
)
def test_a_stream_that_cannot_be_read_ends_in_a_refusal(stage: Stage, chunks: list[bytes]) -> None:
    stage.chunks = chunks
    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(ProviderFailed):
        read(stage.client().messages.create(**ASKED, stream=True))

    assert stage.last()[0] == "output.blocked"
    assert len(stage.server.received) == 1


def test_an_error_in_the_middle_is_the_sdks_own_and_on_record_without_its_words(stage: Stage) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy with bob@example.com"}}
    stage.chunks = [*stream(says("half"))[:4], event(error)]
    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(anthropic.APIStatusError) as raised:
        read(stage.client().messages.create(**ASKED, stream=True))

    assert "[REDACTED_EMAIL]" in str(raised.value)
    assert stage.last()[0] == "exchange.failed"
    assert "bob" not in repr(stage.recorder.events)


@pytest.mark.parametrize(("status", "error"), [(429, anthropic.RateLimitError), (529, anthropic.APIStatusError)])
def test_errors_are_retried_by_the_sdk_and_each_attempt_is_decided(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, status: int, error: type[Exception]
) -> None:
    monkeypatch.setattr(anthropic._base_client, "INITIAL_RETRY_DELAY", 0.01)
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    stage.server.script = lambda _path, _body: Script(status=status, body=body)
    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(error):
        stage.client(max_retries=2).messages.create(**ASKED, stream=True)

    assert len(stage.server.received) == 3
    assert stage.recorder.types().count("exchange.failed") == 3


def test_a_stream_read_after_its_access_has_ended_is_refused(stage: Stage) -> None:
    stage.says("word " * 50)
    with stage.guard.acting_as(JANE, scope="support:reply"):
        received = stage.client().messages.create(**ASKED, stream=True)
    with pytest.raises(AccessDenied) as refused:
        read(received)

    assert [reason.code for reason in refused.value.reasons] == ["access.ended"]


def test_the_end_is_not_delivered_when_the_outcome_cannot_be_recorded(stage: Stage) -> None:
    stage.make(recorder=MemoryRecorder(fail_from=3))
    stage.says("fine and well")
    seen: list[Any] = []
    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(ControlFailed):
        seen.extend(stage.client().messages.create(**ASKED, stream=True))

    assert "message_stop" not in {item.type for item in seen}


def test_counted_tokens_are_those_of_the_redacted_text_and_on_record(stage: Stage) -> None:
    stage.body = {"input_tokens": 12}
    with stage.guard.acting_as(JANE, scope="support:reply"):
        counted = stage.client().messages.count_tokens(model="small", messages=USER)

    assert counted.input_tokens == 12
    assert "jane" not in repr(stage.server.received[-1][1])
    assert stage.last()[0] == "exchange.completed"


def test_outside_a_guarded_route_a_client_sends_nothing(stage: Stage) -> None:
    with pytest.raises(AccessDenied, match="guarded client may be used only"):
        stage.client().messages.create(**ASKED)
    assert not stage.server.received
