"""``aiguard eval``: how well detection does on labelled data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click
from rich.table import Table

from aiguard import detect
from aiguard.cli.output import console, out
from aiguard.detect.catalogue import assignments, configured, told
from aiguard.evals import Scores, Tally, read_rows

_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
_JSON = click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")


@click.group("eval")
def evaluate() -> None:
    """Score detection on labelled data (JSON lines, plain or gzipped)."""


@evaluate.command()
@_FILES
@_JSON
def pii(files: Sequence[Path], *, as_data: bool) -> None:
    """Score identifiers: every type that the catalogue finds, except SECRET."""
    _run(files, scores_of("pii"), as_data=as_data)


@evaluate.command()
@_FILES
@_JSON
def secrets(files: Sequence[Path], *, as_data: bool) -> None:
    """Score credentials: the type SECRET."""
    _run(files, scores_of("secrets"), as_data=as_data)


def scores_of(kind: Literal["pii", "secrets"]) -> Scores:
    """How rows of that kind are scored."""
    if kind == "secrets":
        general = frozenset(
            each.name for each in (*assignments.RECOGNIZERS, *configured.RECOGNIZERS, *told.RECOGNIZERS)
        )
        return Scores(counted={"SECRET"}, rules=True, general=general)
    detector = detect.default_detector()
    models = {kind.type for kind in detect.known_types().values() if kind.family == "ner"}
    return Scores(counted=detector.types - {"SECRET"}, beyond=models - detector.types)


def _run(files: Sequence[Path], scores: Scores, *, as_data: bool) -> None:
    detector = detect.default_detector()
    tallies: dict[str, Tally] = {}
    total = Tally()
    for file in files:
        tallies[str(file)] = scores.tally(read_rows(file), detector)
        total.add(tallies[str(file)])
    if as_data:
        parts = {name: tally.as_dict() for name, tally in tallies.items()}
        out(json.dumps({"files": parts, "all": total.as_dict()}, ensure_ascii=True))
        return
    for name, tally in tallies.items():
        _table(name, tally)
    if len(tallies) > 1:
        _table("all", total)


def _table(title: str, tally: Tally) -> None:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2))
    table.add_column("type")
    for heading in ("precision", "recall", "F1", "support", "false"):
        table.add_column(heading, justify="right")
    shown = [*sorted(tally.types.items()), ("all types", tally.micro)]
    for name, counts in shown:
        ratios = (f"{value:.3f}" for value in (counts.precision, counts.recall, counts.f1))
        table.add_row(name, *ratios, str(counts.support), str(counts.fp))
    console().print(table)
    figures = tally.as_dict()
    out(
        f"covered {figures['micro']['covered']:.3f} of the labelled spans; found something in {figures['row_fpr']:.3f} of the "
        f"rows without a label; {figures['fp_per_10k_chars']:.2f} false in 10,000 characters"
    )
