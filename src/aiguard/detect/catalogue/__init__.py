"""What is found without a model, one file a family; each file is a tuple of declarations and their validators."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aiguard.detect.catalogue import (
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
)
from aiguard.scan import Recognizer

FAMILIES: Mapping[str, tuple[Recognizer, ...]] = MappingProxyType(
    {
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
        "papers": (*papers.RECOGNIZERS, *stated.RECOGNIZERS),
        "secrets": (*secrets.RECOGNIZERS, *configured.RECOGNIZERS),
    }
)


def catalogue() -> tuple[Recognizer, ...]:
    """Every built-in recognizer."""
    return tuple(recognizer for family in FAMILIES.values() for recognizer in family)
