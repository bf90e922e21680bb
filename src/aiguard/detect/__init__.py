"""Stage 2: what is in the text, and how sensitive is it?

Law of this room: every recognizer is a value with a source, examples and counter-examples, and a type is reported only
when its structure, its checksum or the words before it say so. A number that merely looks like an identifier scores
too little to be reported.
"""

from __future__ import annotations

from aiguard.detect.catalogue import catalogue
from aiguard.detect.default import default_detector
from aiguard.detect.describe import TypeDescription, described_types, types_table
from aiguard.detect.kinds import TypeInfo, known_types
from aiguard.detect.parts import detect_parts, joined_texts, place_of
from aiguard.detect.sensitivity import sensitivity_of

__all__ = [
    "TypeDescription",
    "TypeInfo",
    "catalogue",
    "default_detector",
    "described_types",
    "detect_parts",
    "joined_texts",
    "known_types",
    "place_of",
    "sensitivity_of",
    "types_table",
]
