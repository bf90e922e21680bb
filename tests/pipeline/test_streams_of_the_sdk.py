"""Streamed answers through the OpenAI client and a socket: what the SDK's iterators give, and how a stream can end."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import httpx2
import openai
import pytest
from tests.support.guards import JANE, POLICY, MemoryRecorder, make_guard
from tests.support.scripted import Script, ScriptedServer, chat_answer, chat_chunk, chat_stream, sse

from aiguard.errors import AccessDenied, ControlFailed, OutputBlocked, ProviderFailed
from aiguard.guard import Guard
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


class Stage:
    """A guard, its recorder, and a server that plays ``chunks`` to a stream and ``body`` to anything else."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.chunks: Sequence[bytes] = ()
        self.options: dict[str, Any] = {}
        self.clients: list[openai.OpenAI] = []
        self.body: Any = chat_answer("fine")
        self.guard, self.recorder = self.make()

    def make(self, more: str = RULES, recorder: MemoryRecorder | None = None) -> tuple[Guard, MemoryRecorder]:
        lookup = {"AIGUARD_OPENAI_BASE_URL": self.server.base_url, "AIGUARD_OPENAI_API_KEY": "sk-test"}
        policy = POLICY.replace("local:small", "openai:small") + more
        self.guard, self.recorder = make_guard(
            policy, recorder=recorder, settings=Settings(environment=Environment.TEST, lookup=lookup)
        )
        return self.guard, self.recorder

    def says(self, *pieces: str, **options: Any) -> None:
        self.chunks, self.options = chat_stream(pieces), options

    def play(self, _path: str, body: Any) -> Script:
        return Script(chunks=self.chunks, **self.options) if body.get("stream") else Script(body=self.body)

    def client(self) -> openai.OpenAI:
        client = self.guard.client(openai.OpenAI, max_retries=0)
        self.clients.append(client)
        return client

    def stream(self, **options: Any) -> Any:
        """A streamed answer, as the SDK gives it."""
        create: Any = self.client().chat.completions.create
        return create(model="small", messages=USER, stream=True, **options)

    def last(self) -> tuple[str, Any]:
        event = self.recorder.events[-1]
        return event.type, event.payload


@pytest.fixture
def stage() -> Iterator[Stage]:
    holder: list[Stage] = []
    server = ScriptedServer(lambda path, body: holder[0].play(path, body))  # noqa: PLW0108 - filled below
    holder.append(Stage(server))
    yield holder[0]
    for client in holder[0].clients:
        client.close()
    server.close()


def collect(stream: Any, seen: list[str]) -> None:
    """Add each text that the stream gives to ``seen``, which so has what came before an exception."""
    for chunk in stream:
        seen.append(chunk.choices[0].delta.content or "")  # noqa: PERF401


def read(stream: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_the_iterator_gives_the_redacted_answer_and_the_outcome_is_on_record(stage: Stage) -> None:
    stage.says("write to bob", "@example", ".com or pay with 4111 1111", " 1111 1111.")
    with stage.guard.acting_as(JANE, scope="support:reply"):
        text = read(stage.stream())

    assert text == "write to [REDACTED_EMAIL] or pay with **** **** **** ****."
    type, payload = stage.last()
    assert type == "exchange.completed"
    assert payload["streamed_chars"] == len(text)
    assert payload["answer_findings"] == {"CREDIT_CARD": {"mask": 1}, "EMAIL_ADDRESS": {"replace": 1}}
    assert json.loads(stage.recorder.artifacts[-1].content) == [{"role": "assistant", "text": text}]


def test_the_actors_own_tokens_come_back_wherever_the_model_cuts_them(stage: Stage) -> None:
    with stage.guard.acting_as(JANE, scope="support:reply", conversation="c"):
        client = stage.client()
        client.chat.completions.create(model="small", messages=USER)
        token = stage.server.received[-1][1]["messages"][0]["content"].removeprefix("I am ")
        stage.says("hello ", *token, " again")
        text = read(stage.stream())

    assert text == "hello jane@example.com again"
    assert stage.last()[1]["restored"] == 1


def test_a_blocked_type_in_the_middle_raises_out_of_the_iterator_after_a_safe_beginning(stage: Stage) -> None:
    stage.says("the SSN is ", "536-", "90-4", "399", " and more")
    seen: list[str] = []
    with (
        stage.guard.acting_as(JANE, scope="support:reply"),
        pytest.raises(OutputBlocked) as refused,
    ):
        collect(stage.stream(), seen)

    assert "".join(seen) in {"the SSN is ", "the SSN is", "the SSN "}
    assert len(stage.server.received) == 1, "a refusal is never retried"
    type, payload = stage.last()
    assert (type, payload["streamed_chars"]) == ("output.blocked", len("".join(seen)))
    assert refused.value.decision_id == stage.recorder.events[-1].decision_id
    assert refused.value.__cause__ is None
    frame = refused.value.__traceback__.tb_next if refused.value.__traceback__ else None  # the first is this test
    while frame is not None:
        assert "536-90-4399" not in repr(frame.tb_frame.f_locals)
        frame = frame.tb_next


def test_a_blocked_pattern_never_shows_its_beginning(stage: Stage) -> None:
    stage.says("about pro", "ject  ", "blue", "bird: it is late")
    seen: list[str] = []
    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(OutputBlocked):
        collect(stage.stream(), seen)

    assert "".join(seen) == "about "


def test_with_a_schema_nothing_is_shown_before_the_end(stage: Stage) -> None:
    stage.make(SCHEMA)
    stage.says('{"answer"', ': "yes"', "}")
    with stage.guard.acting_as(JANE, scope="support:reply"):
        chunks = list(stage.stream())
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert texts == ['{"answer": "yes"}']

    stage.says('{"answer"', ': "yes"')
    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(OutputBlocked):
        read(stage.stream())


def test_tool_arguments_come_whole_and_scanned(stage: Stage) -> None:
    def call(arguments: str, **more: Any) -> dict[str, Any]:
        return chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": arguments}, **more}]})

    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "mail", "arguments": ""}}
    stage.chunks = [
        sse(chat_chunk({"role": "assistant", "content": None, "tool_calls": [first]})),
        *(sse(call(piece)) for piece in ('{"to":"bob', "@example.co", 'm","n":2}')),
        sse(chat_chunk({}, finish="tool_calls"), "[DONE]"),
    ]
    with stage.guard.acting_as(JANE, scope="support:reply"):
        chunks = list(stage.stream())

    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert calls[0].function.name == "mail"
    arguments = "".join(call.function.arguments or "" for call in calls)
    assert json.loads(arguments) == {"to": "[REDACTED_EMAIL]", "n": 2}


def test_choices_that_arrive_interleaved_stay_apart(stage: Stage) -> None:
    stage.chunks = [
        sse(chat_chunk({"content": "card 4111 1111"}, index=0), chat_chunk({"content": "mail bob@exa"}, index=1)),
        sse(chat_chunk({"content": "mple.com."}, index=1), chat_chunk({"content": " 1111 1111."}, index=0)),
        sse(chat_chunk({}, index=1, finish="stop"), chat_chunk({}, index=0, finish="stop"), "[DONE]"),
    ]
    texts = {0: "", 1: ""}
    with stage.guard.acting_as(JANE, scope="support:reply"):
        for chunk in stage.stream(n=2):
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""

    assert texts == {0: "card **** **** **** ****.", 1: "mail [REDACTED_EMAIL]."}


def test_usage_is_passed_on_and_recorded(stage: Stage) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    stage.chunks = [
        sse(chat_chunk({"content": "hi"})),
        sse(chat_chunk({}, finish="stop")),
        sse({**chat_chunk({}), "choices": [], "usage": usage}, "[DONE]"),
    ]
    with stage.guard.acting_as(JANE, scope="support:reply"):
        stream = stage.stream(stream_options={"include_usage": True})
        chunks = list(stream)

    assert chunks[-1].usage.total_tokens == 5
    assert stage.last()[1]["usage"] == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize("how", ["close", "break", "forget", "never read"])
def test_a_reader_who_goes_away_is_on_record_and_the_connection_is_let_go(stage: Stage, how: str) -> None:
    stage.says(*["word "] * 400, pause=0.005)
    with stage.guard.acting_as(JANE, scope="support:reply"):
        stream = stage.stream()
        if how != "never read":
            for number, _ in enumerate(stream):
                if number > 5:
                    break
        if how in {"close", "break"}:
            stream.close()
        del stream
        gc.collect()

    type, payload = stage.last()
    assert type == "exchange.aborted"
    assert payload["streamed_chars"] < 400
    assert stage.server.closed_early.wait(5)


class Watched(httpx2.SyncByteStream):
    """An answer's body that notes whether it is let go within a garbage collection, where its library's lock may be held."""

    def __init__(self, stream: Any, inside: list[bool]) -> None:
        self.stream = stream
        self.inside = inside
        self.let_go = threading.Event()
        self.collecting: int | None = None

    def collection(self, phase: str, _info: Any) -> None:
        self.collecting = threading.get_ident() if phase == "start" else None

    def note(self) -> None:
        self.inside.append(self.collecting == threading.get_ident())
        self.let_go.set()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self.stream
        finally:
            self.note()

    def close(self) -> None:
        self.note()
        self.stream.close()


@pytest.mark.parametrize("read", [0, 3])
def test_a_stream_that_the_garbage_collector_finds_lets_its_connection_go_outside_of_it(
    stage: Stage, read: int
) -> None:
    stage.says(*["word "] * 400, pause=0.005)
    inside: list[bool] = []
    bodies: list[Watched] = []
    client: Any = stage.client()
    inner = client._client._transport._inner
    real = inner.handle_request

    def handle_request(request: Any) -> Any:
        answer = real(request)
        bodies.append(Watched(answer.stream, inside))
        gc.callbacks.append(bodies[0].collection)
        return httpx2.Response(answer.status_code, headers=answer.headers, stream=bodies[0])

    inner.handle_request = handle_request
    create = client.chat.completions.create
    with stage.guard.acting_as(JANE, scope="support:reply"):
        round_and_round = [create(model="small", messages=USER, stream=True)]
        for _ in range(read):
            next(round_and_round[0])
        round_and_round.append(round_and_round)
        let_go = bodies[0].let_go
        collection = bodies.pop().collection
        try:
            del round_and_round
            gc.collect()
            assert let_go.wait(5)
            assert stage.server.closed_early.wait(5)
        finally:
            gc.callbacks.remove(collection)
    assert inside
    assert not any(inside)
    assert stage.last()[0] == "exchange.aborted"


def test_a_handler_that_keeps_only_what_arrives_reads_it_to_its_end(stage: Stage) -> None:
    stage.says(*["word "] * 20)
    transport: Any = stage.client()._client._transport
    handle = transport._handler.handle

    class Again:
        def handle(self, request: Any, send: Any) -> Any:
            def resend(raw: Any) -> Any:
                answer = send(raw)
                return replace(answer, headers=())

            return handle(request, resend)

    transport._handler = Again()
    with stage.guard.acting_as(JANE, scope="support:reply"):
        create: Any = stage.clients[-1].chat.completions.create
        stream = create(model="small", messages=USER, stream=True)
        gc.collect()
        assert read(stream) == "word " * 20


def test_a_server_that_dies_in_the_middle_is_the_sdks_own_error_and_on_record(stage: Stage) -> None:
    stage.says("some text ", "and more", cut=True)
    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(openai.APIConnectionError) as raised:
        read(stage.stream())

    assert stage.last()[0] == "exchange.failed"
    cause = raised.value.__cause__
    assert isinstance(cause, httpx2.RemoteProtocolError)
    assert cause.aiguard_decision_id == stage.recorder.events[-1].decision_id  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "chunks",
    [
        [sse(chat_chunk({"content": "half"}))],
        [sse(chat_chunk({"content": "half"})), b"data: {"],
        [b"data: {]\n\n"],
        [b"data: \xff\n\n"],
        [sse({"object": "other"})],
        [sse({**chat_chunk({"content": "x"}), "surprise": "jane@example.com"})],
        [sse(chat_chunk({"content": "x", "audio": {"data": "AAAA"}}))],
        [b"data: " + b"[" * 5_000 + b"\n\n"],
    ],
)
def test_a_stream_that_cannot_be_read_ends_in_a_refusal(stage: Stage, chunks: list[bytes]) -> None:
    stage.chunks = chunks
    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(ProviderFailed):
        read(stage.stream())

    assert stage.last()[0] == "output.blocked"


def test_an_error_answer_to_a_stream_is_the_sdks_own_error(stage: Stage) -> None:
    stage.server.script = lambda _path, _body: Script(status=429, body={"error": {"message": "slow down"}})
    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(openai.RateLimitError):
        stage.stream()


def test_a_stream_read_after_its_access_has_ended_is_refused(stage: Stage) -> None:
    stage.says(*["word "] * 50)
    with stage.guard.acting_as(JANE, scope="support:reply"):
        stream = stage.stream()
    with pytest.raises(AccessDenied) as refused:
        read(stream)

    assert [reason.code for reason in refused.value.reasons] == ["access.ended"]


def test_the_end_is_not_delivered_when_the_outcome_cannot_be_recorded(stage: Stage) -> None:
    stage.make(recorder=MemoryRecorder(fail_from=3))
    stage.says("fine", " and well")
    seen: list[Any] = []
    with stage.guard.acting_as(JANE, scope="support:reply"), pytest.raises(ControlFailed):
        seen.extend(stage.stream())

    assert not any(choice.finish_reason for chunk in seen for choice in chunk.choices)


def test_async_streams_are_the_same(stage: Stage) -> None:
    stage.says("write to bob", "@example", ".com")

    async def run() -> str:
        async with stage.guard.client(openai.AsyncOpenAI) as client:
            create: Any = client.chat.completions.create
            stream = await create(model="small", messages=USER, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    with stage.guard.acting_as(JANE, scope="support:reply"):
        assert asyncio.run(run()) == "write to [REDACTED_EMAIL]"
    assert stage.last()[0] == "exchange.completed"


def test_a_cancelled_task_lets_the_connection_go_and_is_on_record(stage: Stage) -> None:
    stage.says(*["word "] * 400, pause=0.01)

    async def run(reading: asyncio.Event) -> None:
        async with stage.guard.client(openai.AsyncOpenAI) as client:
            create: Any = client.chat.completions.create
            stream = await create(model="small", messages=USER, stream=True)
            async for _ in stream:
                reading.set()

    async def main() -> None:
        reading = asyncio.Event()
        task = asyncio.create_task(run(reading))
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with stage.guard.acting_as(JANE, scope="support:reply"):
        asyncio.run(main())
    assert stage.last()[0] in {"exchange.failed", "exchange.aborted"}
    assert stage.server.closed_early.wait(5)
