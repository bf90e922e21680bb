"""What is found without a model, one file a family; each file is a tuple of declarations and their validators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Final
from unicodedata import normalize

from aiguard.detect.catalogue import (
    births,
    configured,
    contact,
    financial,
    national,
    national_africa_oceania,
    national_americas,
    national_asia,
    national_europe_east,
    national_europe_north,
    national_europe_south,
    national_europe_west,
    network,
    papers,
    secrets,
    stated,
    told,
    under_keys,
)
from aiguard.scan import Recognizer

SHORTEST_BARE: Final = 6
"""Letters from which on a word counts without its accents too: shorter ones become other words (``né le``, ``ne le``)."""


@cache
def _bare(words: tuple[str, ...]) -> tuple[str, ...]:
    """``words``, and those with accents as people write them without (and as they are read where accents stand beside letters)."""
    if all(map(str.isascii, words)):
        return words
    stripped = (
        "".join(char for char in normalize("NFD", word) if not "\u0300" <= char < "\u0370")
        for word in words
        if not word.isascii()
    )
    return tuple(
        dict.fromkeys((*words, *(word for word in stripped if len(word) >= SHORTEST_BARE and word[0] < "\u0250")))
    )


def _spoken(recognizers: Iterable[Recognizer]) -> tuple[Recognizer, ...]:
    return tuple(map(_heard, recognizers))


def _heard(each: Recognizer) -> Recognizer:
    said = each.context, each.deny, each.labels
    context, deny, labels = map(_bare, said)
    return each if (context, deny, labels) == said else replace(each, context=context, deny=deny, labels=labels)


_DECLARED: Final = {
    "contact": contact.RECOGNIZERS,
    "financial": financial.RECOGNIZERS,
    "national": (
        *national.RECOGNIZERS,
        *national_europe_west.RECOGNIZERS,
        *national_europe_south.RECOGNIZERS,
        *national_europe_north.RECOGNIZERS,
        *national_europe_east.RECOGNIZERS,
        *national_americas.RECOGNIZERS,
        *national_asia.RECOGNIZERS,
        *national_africa_oceania.RECOGNIZERS,
    ),
    "network": network.RECOGNIZERS,
    "papers": (*papers.RECOGNIZERS, *births.RECOGNIZERS, *stated.RECOGNIZERS),
    "secrets": (*secrets.RECOGNIZERS, *configured.RECOGNIZERS, *told.RECOGNIZERS, *under_keys.RECOGNIZERS),
}

FAMILIES: Final[Mapping[str, tuple[Recognizer, ...]]] = MappingProxyType(
    {family: _spoken(recognizers) for family, recognizers in _DECLARED.items()}
)


def catalogue() -> tuple[Recognizer, ...]:
    """Every built-in recognizer."""
    return tuple(recognizer for family in FAMILIES.values() for recognizer in family)
