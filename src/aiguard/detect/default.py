"""The process-wide detector over the whole catalogue."""

from __future__ import annotations

import threading

from aiguard.detect.catalogue import catalogue
from aiguard.scan import Engine
from aiguard.types import Detector

_lock = threading.Lock()
_engine: Engine | None = None


def default_detector() -> Detector:
    """The built-in engine over the whole catalogue: built once, at the first call; safe in any thread."""
    global _engine
    if _engine is None:
        with _lock:
            if _engine is None:
                _engine = Engine(catalogue())
    return _engine
