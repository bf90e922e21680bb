"""What is found without a model, one file a family; each file is a tuple of declarations and their validators."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aiguard.detect.catalogue import contact, financial, national, network, secrets
from aiguard.scan import Recognizer

FAMILIES: Mapping[str, tuple[Recognizer, ...]] = MappingProxyType(
    {
        "contact": contact.RECOGNIZERS,
        "financial": financial.RECOGNIZERS,
        "national": national.RECOGNIZERS,
        "network": network.RECOGNIZERS,
        "secrets": secrets.RECOGNIZERS,
    }
)


def catalogue() -> tuple[Recognizer, ...]:
    """Every built-in recognizer."""
    return tuple(recognizer for family in FAMILIES.values() for recognizer in family)
