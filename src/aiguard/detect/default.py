"""The process-wide detector over the whole catalogue."""

from __future__ import annotations

import threading
from functools import lru_cache

from aiguard.detect.catalogue import catalogue
from aiguard.scan import Engine
from aiguard.types import Detector

_lock = threading.Lock()


def default_detector() -> Detector:
    """The built-in engine over the whole catalogue: built once, at the first call; safe in any thread."""
    with _lock:
        return _build()


@lru_cache(maxsize=1)
def _build() -> Engine:
    return Engine(catalogue(), lazy=True)  # the tests compile and check every one
