"""The entity types that exist: their labels, families and how sensitive each is unless policy says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from aiguard.detect.catalogue import FAMILIES
from aiguard.scan import label_of
from aiguard.types import Sensitivity


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeInfo:
    """One entity type: ``label`` is how tokens and ``[REDACTED_…]`` name it, ``family`` the catalogue file it is in."""

    type: str
    label: str
    family: str
    sensitivity: Sensitivity


# Types that models report and policies name although no pattern finds them.
_NER = (
    "PERSON",
    "LOCATION",
    "ORGANIZATION",
    "NRP",
    "DATE_TIME",
    "AGE",
    "STREET_ADDRESS",
    "TITLE",
)

_BY_FAMILY = {
    "contact": Sensitivity.CONFIDENTIAL,
    "financial": Sensitivity.RESTRICTED,
    "national": Sensitivity.RESTRICTED,
    "network": Sensitivity.INTERNAL,
    "papers": Sensitivity.RESTRICTED,
    "secrets": Sensitivity.RESTRICTED,
    "ner": Sensitivity.CONFIDENTIAL,
}


@lru_cache(maxsize=1)
def known_types() -> Mapping[str, TypeInfo]:
    """Every entity type by name: what the catalogue finds and what the optional models can."""
    kinds = {
        recognizer.type: TypeInfo(
            type=recognizer.type,
            label=label_of(recognizer.type),
            family=family,
            sensitivity=_BY_FAMILY[family],
        )
        for family, recognizers in reversed(tuple(FAMILIES.items()))  # a type is of the first family that finds it
        for recognizer in recognizers
    }
    for type in _NER:
        kinds.setdefault(
            type,
            TypeInfo(
                type=type,
                label=label_of(type),
                family="ner",
                sensitivity=_BY_FAMILY["ner"],
            ),
        )
    return MappingProxyType(dict(sorted(kinds.items())))
