"""``aiguard retention matrix|lint|status|runs|anonymised|certificate|verify-certificate``: what is kept how long, and the proof that it goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from aiguard.cli.context import current_settings
from aiguard.cli.database import evidence, log
from aiguard.cli.log_proofs import KEY_OPTION, trusted
from aiguard.cli.output import console, contents, err, fail, out
from aiguard.policy import Policy, lint_retention, load_policy
from aiguard.retention import anonymised, certificates, duties, ledger
from aiguard.retention.matrix import MatrixRow, matrix
from aiguard.types import Sensitivity, utc_now

_FILE = click.argument("file", required=False, type=click.Path(path_type=Path))
_AS_JSON = click.option("--json", "as_data", is_flag=True, help="Print JSON.")
WIDE = 240
"""Columns of a table that goes to a file or another program."""
_HEADS = ("class", "for", "kept by", "how long", "from", "floor", "cap", "basis", "ends by", "owner", "backups")


@click.group()
def retention() -> None:
    """What is kept, how long and why; what has been deleted, and the proof."""


@retention.command(name="matrix")
@_FILE
@click.option(
    "--format", "form", type=click.Choice(["table", "markdown", "json"]), default="table", help="How to print it."
)
def show_matrix(file: Path | None, form: str) -> None:
    """Print every retention rule of the policy FILE (default: AIGUARD_POLICY, or aiguard.toml)."""
    rows = matrix(policy_of(file))
    if form == "json":
        out(json.dumps([_as_data(row) for row in rows], indent=2))
        return
    cells = [_cells(row) for row in rows]
    if form == "markdown":
        for line in (_HEADS, tuple("---" for _ in _HEADS), *cells):
            out("| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in line) + " |")
        return
    shown = [_HEADS.index(head) for head in ("class", "for", "how long", "basis", "ends by", "owner", "backups")]
    table = Table(box=None, padding=(0, 1))
    for index in shown:
        table.add_column(_HEADS[index], overflow="fold")
    for line in cells:
        table.add_row(*(line[index] for index in shown))
    page = console()
    page.width = page.width if page.is_terminal else WIDE
    page.print(table)


@retention.command(name="lint")
@_FILE
@_AS_JSON
def check_rules(file: Path | None, *, as_data: bool) -> None:
    """Say what retention leaves open, and exit with 1 if there is anything."""
    found = lint_retention(policy_of(file))
    if as_data:
        out(json.dumps({"findings": list(found)}))
    else:
        for sentence in found:
            out(sentence)
        err(f"{len(found)} finding{'' if len(found) == 1 else 's'}")
    if found:
        raise SystemExit(1)


@retention.command()
@click.option("--prometheus", is_flag=True, help="Print the text format that Prometheus reads.")
@_AS_JSON
def status(*, prometheus: bool, as_data: bool) -> None:
    """How much is overdue, held and kept, and when the last run came to its end."""
    now = utc_now()
    with log() as engine:
        figures = duties.figures(engine, now)
    if prometheus:
        click.echo(duties.prometheus(figures), nl=False)
        return
    said = {name: _plain(value) for name, value in asdict(figures).items()}
    if as_data:
        out(json.dumps(said))
        return
    for name, value in said.items():
        out(f"{name:<18} {'never' if value is None else value}")


@retention.command()
@click.option("--job", type=click.Choice(duties.JOBS), help="Only this job.")
@click.option("-n", "count", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@_AS_JSON
def runs(job: str | None, count: int, *, as_data: bool) -> None:
    """The ledger: which job ran for which period, how often it was tried, and how it ended; newest first."""
    with log() as engine:
        found = ledger.runs(engine, job=job, limit=count)
    for run in found:
        said = {name: _plain(value) for name, value in asdict(run).items() if name != "holder"}
        if as_data:
            out(json.dumps(said))
        else:
            told = ", ".join(f"{key} {value}" for key, value in run.outcome.items())
            out(f"{run.job:<10} {run.period:<34} {run.state:<8} tried {run.attempts}  {told}")


@retention.command(name="anonymised")
@_AS_JSON
def show_anonymised(*, as_data: bool) -> None:
    """What stays of what was anonymised: how many artifacts of which day, class, feature and sensitivity."""
    with log() as engine:
        rows = [{**row, "sensitivity": Sensitivity(row["sensitivity"]).name.lower()} for row in anonymised(engine)]
    for row in rows:
        out(
            json.dumps(row)
            if as_data
            else " ".join(f"{value:>8}" if name == "count" else f"{value:<12}" for name, value in row.items())
        )


@retention.command()
@click.argument("run_id", metavar="RUN")
def certificate(run_id: str) -> None:
    """Print the deletion certificate of a run (prn_…) or an erasure (ers_…) as JSON."""
    with evidence() as (engine, keyring):
        click.echo(json.dumps(certificates.certificate(engine, keyring, run_id, now=utc_now()), indent=2))


@retention.command(name="verify-certificate")
@click.argument("file", type=click.File("rb"))
@click.option("--ids", type=click.Path(exists=True, path_type=Path), help="What `aiguard prune --ids` wrote.")
@KEY_OPTION
def verify_certificate(file: Any, ids: Path | None, keys: tuple[str, ...]) -> None:
    """Check a certificate with nothing but a public key: no database, no master key. Exit 0 when it holds, 3 when not."""
    verifiers, _ = trusted(keys)
    if not verifiers:
        fail("a certificate needs a public key: give --key, or set AIGUARD_AUDIT_VERIFIERS", code=4)
    listed = None if ids is None else contents(ids, "--ids").decode(errors="replace")
    try:
        lists = None if listed is None else certificates.read_lists(listed)
        checked = certificates.verify_certificate(file.read(1 << 28), verifiers, lists=lists)
    except certificates.CertificateRefused as error:
        fail(str(error), code=3)
    out(json.dumps(checked))


def policy_of(file: Path | None = None) -> Policy:
    """The policy of that path, or the one that settings name."""
    from aiguard.detect import known_types

    return load_policy(file or current_settings().policy_path, known_types())


def _cells(row: MatrixRow) -> tuple[str, ...]:
    return (
        row.data_class,
        row.applies_to,
        ", ".join(row.kept_by) or "-",
        row.written or "for ever: NO RULE",
        row.trigger or "-",
        _length(row.floor),
        _length(row.cap),
        row.basis or "-",
        row.mechanism or "-",
        row.owner or "-",
        _length(row.backup_ttl),
    )


def _length(value: timedelta | None) -> str:
    if value is None:
        return "-"
    hours = round(value.total_seconds() / 3600)
    return f"{hours // 24}d" if hours % 24 == 0 else f"{hours}h"


def _as_data(row: MatrixRow) -> dict[str, Any]:
    return {
        name: _length(value) if isinstance(value, timedelta) else list(value) if isinstance(value, tuple) else value
        for name, value in asdict(row).items()
    }


def _plain(value: Any) -> Any:
    isoformat: Callable[[], str] | None = getattr(value, "isoformat", None)
    return value if isoformat is None else isoformat()
