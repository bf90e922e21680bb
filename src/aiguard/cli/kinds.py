"""``aiguard types``: what is detected, and how."""

from __future__ import annotations

import json

import click
from rich.table import Table

from aiguard.cli.output import console, out
from aiguard.detect import TypeDescription, described_types


@click.command()
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def types(*, as_data: bool) -> None:
    """List the entity types: how each is found, and how sensitive it is."""
    kinds = described_types()
    if as_data:
        out(json.dumps({"types": [_as_dict(kind) for kind in kinds]}, ensure_ascii=True))
        return
    table = Table(box=None, padding=(0, 2))
    for heading in ("type", "label", "family", "sensitivity", "found by"):
        table.add_column(heading)
    for kind in kinds:
        info = kind.info
        table.add_row(info.type, info.label, info.family, info.sensitivity.name.lower(), kind.how)
    console().print(table)


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
    }
