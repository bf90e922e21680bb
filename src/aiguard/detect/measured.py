"""How well each type is found: figures that ``python -m benchmarks.measured FILE…`` wrote down, shown by ``aiguard types``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final

FILE: Final = "measured.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Shares of 1, over ``support`` labelled values of the type."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """Figures by type; the sources of the labelled rows with how many came from each; the command that measures again."""

    types: Mapping[str, Measured]
    sources: Mapping[str, int]
    command: str


@lru_cache(maxsize=1)
def measurement() -> Measurement:
    """The figures that this version was published with."""
    data: dict[str, Any] = json.loads(resources.files("aiguard.detect").joinpath(FILE).read_text(encoding="utf-8"))
    return Measurement(
        types={name: Measured(**figures) for name, figures in data["types"].items()},
        sources=data["sources"],
        command=data["command"],
    )
