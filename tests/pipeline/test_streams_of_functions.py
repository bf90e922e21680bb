"""``guard.stream`` and ``guard.astream``: functions that give their answer piece by piece."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pipeline.test_streamed_answers import texts
from tests.support.guards import JANE, POLICY, make_guard

from aiguard.detect import catalogue
from aiguard.errors import AccessDenied, Blocked, ConfigurationError, ContentBlocked, OutputBlocked, ProviderFailed
from aiguard.scan import Engine, holding
from aiguard.scan.closure import closure
from aiguard.scan.incremental import begins_at_once
from aiguard.settings import Environment, Settings
from aiguard.wsgi import AIGuardMiddleware

RULES = (
    POLICY
    + """
[features.support-reply.output]
redact = { EMAIL_ADDRESS = "replace", CREDIT_CARD = "mask" }
block_patterns = ["project bluebird"]
"""
)


def pieces(text: str, size: int) -> Iterator[str]:
    for at in range(0, len(text), size):
        yield text[at : at + size]


@pytest.mark.parametrize(
    ("text", "fits"), [("a" * 1000, True), ("a" * 1001, False), ("\u00e4" * 500, True), ("\u00e4" * 501, False)]
)
def test_an_answer_of_a_function_is_bounded_whether_it_comes_at_once_or_in_pieces(text: str, fits: bool) -> None:  # noqa: FBT001
    guard, recorder = make_guard(RULES, settings=Settings(environment=Environment.TEST, max_response_bytes=1000))
    ways: list[Callable[[], str]] = [
        lambda: str(guard.call(lambda *_, **__: text, "hello", model="local:small")),
        lambda: "".join(guard.stream(lambda *_, **__: pieces(text, 100), "hello", model="local:small")),
    ]
    for way in ways:
        with guard.acting_as(JANE, scope="support:reply"):
            if fits:
                assert way() == text
                continue
            with pytest.raises(ProviderFailed, match="larger than 1000 bytes"):
                way()
        assert recorder.types()[-1] == "output.blocked"


def test_data_that_a_function_answers_with_is_bounded_by_its_json() -> None:
    guard, _ = make_guard(RULES, settings=Settings(environment=Environment.TEST, max_response_bytes=1000))
    with guard.acting_as(JANE, scope="support:reply"):
        assert guard.call(lambda *_, **__: {"n": [0] * 100}, "hello", model="local:small") == {"n": [0] * 100}
        with pytest.raises(ProviderFailed, match="larger than 1000 bytes"):
            guard.call(lambda *_, **__: {"n": [0] * 1000}, "hello", model="local:small")


@settings(max_examples=100, deadline=None)
@given(text=texts, size=st.integers(1, 12))
def test_a_streamed_function_says_what_the_called_one_says(text: str, size: int) -> None:
    guard, recorder = make_guard(RULES)
    with guard.acting_as(JANE, scope="support:reply"):
        expected: str | type[Blocked]
        try:
            expected = guard.call(lambda *_, **__: text, "hello", model="local:small")
        except Blocked as error:
            expected = type(error)
        recorded = recorder.events[-1]
        got: str | type[Blocked]
        try:
            got = "".join(guard.stream(lambda *_, **__: pieces(text, size), "hello", model="local:small"))
        except Blocked as error:
            got = type(error)
    assert got == expected
    assert recorder.events[-1].type == recorded.type
    if isinstance(expected, str):
        assert recorder.events[-1].payload["answer_findings"] == recorded.payload["answer_findings"]


def test_nothing_is_asked_before_the_request_was_decided() -> None:
    guard, _ = make_guard(RULES)
    asked: list[Any] = []

    def model(messages: Any, **_: Any) -> Iterator[str]:
        asked.append(messages)
        yield "fine"

    with guard.acting_as(JANE, scope="support:reply"):
        with pytest.raises(ContentBlocked):
            guard.stream(model, "my key is AKIAQ3EGRNUMKHDZ5WT2", model="local:small")
        assert "".join(guard.stream(model, "I am jane@example.com", model="local:small")) == "fine"
    assert len(asked) == 1
    assert "jane@example.com" not in str(asked)


def test_an_async_function_streams_the_same() -> None:
    guard, recorder = make_guard(RULES)

    async def model(_messages: Any, **_: Any) -> AsyncIterator[str]:
        for piece in pieces("write to bob@example.com now", 3):
            yield piece

    async def resolved(messages: Any, **options: Any) -> AsyncIterator[str]:
        return model(messages, **options)

    async def run(fn: Any) -> str:
        return "".join([piece async for piece in await guard.astream(fn, "hello", model="local:small")])

    with guard.acting_as(JANE, scope="support:reply"):
        assert asyncio.run(run(model)) == "write to [REDACTED_EMAIL] now"
        assert asyncio.run(run(resolved)) == "write to [REDACTED_EMAIL] now"
    assert recorder.types()[-1] == "exchange.completed"


def test_stopping_early_closes_the_functions_own_generator() -> None:
    guard, recorder = make_guard(RULES)
    closed = []

    def model(_messages: Any, **_: Any) -> Iterator[str]:
        try:
            while True:
                yield "word "
        finally:
            closed.append(True)

    with (
        guard.acting_as(JANE, scope="support:reply"),
        closing(guard.stream(model, "hello", model="local:small")) as stream,
    ):
        next(stream)
    assert closed == [True]
    assert recorder.types()[-1] == "exchange.aborted"


def test_what_the_function_raises_comes_out_and_is_on_record() -> None:
    guard, recorder = make_guard(RULES)

    def model(_messages: Any, **_: Any) -> Iterator[str]:
        yield "some words and then "
        raise TimeoutError("the model is gone")

    with guard.acting_as(JANE, scope="support:reply"), pytest.raises(TimeoutError):
        "".join(guard.stream(model, "hello", model="local:small"))
    assert recorder.types()[-1] == "exchange.failed"
    assert recorder.events[-1].payload["streamed_chars"] > 0


@pytest.mark.parametrize("answer", ["a text", b"bytes", 5, None])
def test_what_is_no_iterable_of_texts_is_named(answer: Any) -> None:
    guard, _ = make_guard(RULES)
    with guard.acting_as(JANE, scope="support:reply"), pytest.raises(ConfigurationError, match="iterable of texts"):
        guard.stream(lambda *_, **__: answer, "hello", model="local:small")


def test_a_piece_that_is_no_text_ends_the_stream() -> None:
    guard, _ = make_guard(RULES)
    with guard.acting_as(JANE, scope="support:reply"), pytest.raises(ProviderFailed):
        list(guard.stream(lambda *_, **__: ["fine ", b"bytes"], "hello", model="local:small"))


def test_a_blocked_pattern_stops_the_stream_and_an_ended_access_too() -> None:
    guard, _ = make_guard(RULES)
    with guard.acting_as(JANE, scope="support:reply"):
        with pytest.raises(OutputBlocked):
            list(guard.stream(lambda *_, **__: pieces("this is project bluebird", 4), "hello", model="local:small"))
        stream = guard.stream(lambda *_, **__: pieces("word " * 50, 4), "hello", model="local:small")
    with pytest.raises(AccessDenied):
        list(stream)


def test_what_the_first_stream_of_a_process_needs_is_not_made_on_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made_by: set[threading.Thread] = set()

    def closure_of(pattern: str, **options: Any) -> str:
        made_by.add(threading.current_thread())
        return closure(pattern, **options)

    async def words(*_: Any, **__: Any) -> AsyncIterator[str]:
        for piece in pieces("write to jane@example.org or not", 5):
            yield piece

    async def stream() -> list[str]:
        return [piece async for piece in await guard.astream(words, "hello", model="local:small")]

    monkeypatch.setattr(holding, "closure", closure_of)
    guard, _ = make_guard(RULES, detector=Engine(list(catalogue())[:10]))
    with guard.acting_as(JANE, scope="support:reply"):
        first = asyncio.run(stream())
        assert made_by
        assert threading.main_thread() not in made_by
        made_by.clear()
        assert asyncio.run(stream()) == first
    assert not made_by


def test_a_middleware_makes_it_before_it_serves() -> None:
    guard, _ = make_guard(detector=Engine(list(catalogue())[:10]))
    assert not begins_at_once(guard.detector)
    AIGuardMiddleware(lambda *_: [], guard=guard, rules=[{"path": "/x"}])
    assert begins_at_once(guard.detector)
