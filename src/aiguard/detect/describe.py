"""How each entity type is found, in words: for ``aiguard types`` and the table in the documentation."""

from __future__ import annotations

from dataclasses import dataclass

from aiguard.detect.catalogue import FAMILIES
from aiguard.detect.kinds import TypeInfo, known_types
from aiguard.detect.measured import Measured, measurement
from aiguard.scan import Recognizer
from aiguard.scan.engine import THRESHOLD


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeDescription:
    """A type, the country whose it is (ISO 3166-1 alpha-2, ``EU`` or ``""``), how it is found, and how well where that was measured."""

    info: TypeInfo
    how: str
    country: str
    recognizers: tuple[str, ...]
    sources: tuple[str, ...]
    measured: Measured | None = None


def described_types() -> tuple[TypeDescription, ...]:
    """Every known type, sorted by family and name."""
    found: dict[str, list[Recognizer]] = {}
    for recognizers in FAMILIES.values():
        for recognizer in recognizers:
            found.setdefault(recognizer.type, []).append(recognizer)
    figures = measurement().types
    kinds = sorted(known_types().values(), key=lambda kind: (kind.family, kind.type))
    return tuple(
        TypeDescription(
            info=kind,
            how=_how(found.get(kind.type, ())),
            country=_country(kind),
            recognizers=tuple(recognizer.name for recognizer in found.get(kind.type, ())),
            measured=figures.get(kind.type),
            sources=tuple(dict.fromkeys(recognizer.source for recognizer in found.get(kind.type, ()))),
        )
        for kind in kinds
    )


def types_table() -> str:
    """Every known type as a Markdown table, a line a country or family: what the documentation shows."""
    lines: dict[str, list[str]] = {}
    for kind in described_types():
        lines.setdefault(kind.country or kind.info.family, []).append(kind.info.type)
    rows = [f"| {head} | {', '.join(f'`{type}`' for type in types)} |" for head, types in sorted(lines.items())]
    return "\n".join(["| country or family | types |", "|---|---|", *rows])


def _how(recognizers: list[Recognizer] | tuple[()]) -> str:
    if not recognizers:
        return "model"
    ways = []
    if any(recognizer.base_score >= THRESHOLD for recognizer in recognizers):
        strong = any(recognizer.validate and recognizer.base_score >= THRESHOLD for recognizer in recognizers)
        ways.append("shape and check" if strong else "shape")
    if any(recognizer.base_score < THRESHOLD <= recognizer.context_score for recognizer in recognizers):
        checked = all(recognizer.validate for recognizer in recognizers if recognizer.base_score < THRESHOLD)
        ways.append("check and words before it" if checked else "words before it")
    if any(recognizer.base_score < THRESHOLD <= recognizer.alone_score for recognizer in recognizers):
        ways.append("check, alone in a text")
    return "; ".join(ways)


def _country(kind: TypeInfo) -> str:
    head, _, rest = kind.type.partition("_")
    if kind.type == "ABA_ROUTING_NUMBER":
        return "US"
    if len(head) != 2 or not rest or kind.family != "national":
        return ""
    return "GB" if head == "UK" else head
