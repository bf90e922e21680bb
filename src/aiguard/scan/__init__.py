"""Finding spans in text, in linear time.

Law of this folder: cost grows with the length of the input whatever the input is, and a scan that could not look at
every character raises instead of reporting "nothing found". RE2 enters the project here and nowhere else; the rooms
that need patterns (detection, defence) declare :class:`Recognizer` values and are handed :class:`Engine` results.
"""

from __future__ import annotations

from aiguard.scan.encoded import segments
from aiguard.scan.engine import Engine
from aiguard.scan.incremental import HeldTooLong, IncrementalScan
from aiguard.scan.labels import label_of
from aiguard.scan.recognizer import Recognizer, RecognizerError, ScanFailed, check
from aiguard.scan.sets import PatternSet
from aiguard.scan.views import View, despaced, normalise, readings

__all__ = [
    "Engine",
    "HeldTooLong",
    "IncrementalScan",
    "PatternSet",
    "Recognizer",
    "RecognizerError",
    "ScanFailed",
    "View",
    "check",
    "despaced",
    "label_of",
    "normalise",
    "readings",
    "segments",
]
