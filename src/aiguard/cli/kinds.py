"""``aiguard types``: what is detected, how, and how well."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Final

import click
from rich.table import Table

from aiguard.cli.output import console, out
from aiguard.detect import TypeDescription, described_types
from aiguard.detect.measured import measurement

WIDTH: Final = 120
"""Columns of the table; a narrower terminal wraps its lines."""


@click.command()
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def types(*, as_data: bool) -> None:
    """List the entity types: how each is found, how well on labelled data, and how sensitive it is."""
    kinds = described_types()
    if as_data:
        measured = {"command": measurement().command, "sources": dict(measurement().sources)}
        out(json.dumps({"types": [_as_dict(kind) for kind in kinds], "measured": measured}, ensure_ascii=True))
        return
    table = Table(box=None, padding=(0, 2))
    table.add_column("type", no_wrap=True)
    table.add_column("found by")
    table.add_column("sensitivity", no_wrap=True)
    for heading in ("precision", "recall", "labelled"):
        table.add_column(heading, justify="right")
    for kind in kinds:
        info = kind.info
        well = kind.measured
        figures = (f"{well.precision:.2f}", f"{well.recall:.2f}", str(well.support)) if well else ("", "", "")
        table.add_row(info.type, kind.how, info.sensitivity.name.lower(), *figures)
    console(WIDTH).print(table)
    rows = ", ".join(f"{source} ({count} rows)" for source, count in measurement().sources.items())
    out(f"measured on {rows}; types without figures had no labelled value there")


def _as_dict(kind: TypeDescription) -> dict[str, object]:
    return {
        "type": kind.info.type,
        "label": kind.info.label,
        "family": kind.info.family,
        "sensitivity": kind.info.sensitivity.name.lower(),
        "how": kind.how,
        "country": kind.country,
        "recognizers": list(kind.recognizers),
        "sources": list(kind.sources),
        "measured": asdict(kind.measured) if kind.measured else None,
    }
