"""``aiguard prune``: delete what has expired. Without ``--apply`` it only says what it would do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from aiguard import retention
from aiguard.cli.context import current_settings
from aiguard.cli.database import evidence
from aiguard.cli.output import err, fail, out, trouble
from aiguard.cli.retention import policy_of
from aiguard.retention.clocks import refuse_ahead
from aiguard.types import utc_now


@click.command()
@click.option("--dry-run/--apply", "dry_run", default=True, help="Only show the plan (the default), or delete.")
@click.option("--plan", "token", metavar="HASH", help="Delete what the plan of this hash lists, or nothing.")
@click.option(
    "--confirm", type=click.IntRange(0), metavar="COUNT", help="How many you expect, when it is more than half of all."
)
@click.option(
    "--ids", type=click.Path(path_type=Path), help="Write the deleted ids to this new file, for the certificate."
)
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def prune(*, dry_run: bool, token: str | None, confirm: int | None, ids: Path | None, as_data: bool) -> None:
    """Delete artifacts whose retention is over, and leave evidence of it in the audit log."""
    for name, said in (("--plan", token), ("--confirm", confirm), ("--ids", ids)):
        if dry_run and said is not None:
            raise click.UsageError(f"{name} is for --apply; nothing was deleted.")
    now, rules = utc_now(), _rules(quiet=as_data)
    with evidence() as (engine, keyring):
        if dry_run:
            _show(retention.plan(engine, now, rules=rules), as_data=as_data)
            return
        refuse_ahead(engine, now)
        plan = (
            retention.confirmed(engine, token, rules=rules)
            if token
            else retention.plan(engine, now, rules=rules, exact=False)
        )
        if confirm is not None and confirm != plan.expired:
            fail(f"{plan.expired} artifacts have expired, not {confirm}; nothing was deleted")
        if plan.sweeping and confirm is None:
            fail(
                f"{plan.expired} of {plan.expired + plan.staying} artifacts would be deleted, which is more than half; nothing was "
                f"deleted.\nIf the rules are meant like that: --confirm {plan.expired}"
            )
        with _list_of(ids) as witness, _bar(plan.expired, shown=not as_data) as progress:
            done = retention.prune(
                engine,
                keyring,
                plan.now,
                rules=rules,
                at_most=plan.expired if token else None,
                progress=progress,
                witness=witness,
            )
    if as_data:
        out(
            json.dumps(
                {
                    "run_id": done.run_id,
                    "deleted": done.deleted,
                    "by_class": dict(done.by_class),
                    "batches": done.batches,
                    "erased": done.erased,
                    "hour_keys": done.hour_keys,
                    "left": done.left,
                }
            )
        )
    else:
        classes = ", ".join(f"{count} {name}" for name, count in sorted(done.by_class.items()))
        out(f"deleted {done.deleted} expired artifacts" + (f" ({classes})" if classes else ""))
        if done.hour_keys:
            hours = "the key of 1 hour" if done.hour_keys == 1 else f"the keys of {done.hour_keys} hours"
            out(f"destroyed {hours}: no copy of what was to be shredded then opens any more")
        out(f"evidence: aiguard explain {done.run_id}; certificate: aiguard retention certificate {done.run_id}")
    if not done.erased:
        err(
            "warning: the database was being read, or its disk is full, so its write-ahead log still holds old pages; run prune again"
        )
    if done.left:
        err(
            f"warning: {done.left} more have expired, which others had locked or the plan did not list; run prune again"
        )


def _rules(*, quiet: bool) -> str | None:
    """The hash of the rules in force; ``None`` where there is no policy file, and each row goes by the time it was given."""
    if not current_settings().policy_path.exists():
        if not quiet:
            err("note: there is no policy file, so each artifact goes at the time that was written with it")
        return None
    return policy_of().retention_hash


@contextmanager
def _bar(total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal."""
    columns = (TextColumn("deleting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=trouble(), transient=True, disable=not (shown and trouble().is_terminal)) as bar:
        task = bar.add_task("deleting", total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def _list_of(path: Path | None) -> Iterator[Callable[[int, retention.Gone], None] | None]:
    """Writes each batch's ids as one line of JSON."""
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        fail(f"{path} cannot be made ({error.strerror}); nothing was deleted")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:

        def write(batch: int, gone: retention.Gone) -> None:
            file.write(json.dumps({"batch": batch, "ids": list(gone.ids)}) + "\n")
            file.flush()

        yield write


def _show(plan: retention.Plan, *, as_data: bool) -> None:
    if as_data:
        rules = [
            {
                "data_class": line.data_class,
                "feature": line.feature,
                "retention": line.retention,
                "basis": line.basis,
                "owner": line.owner,
                "mechanism": line.mechanism,
                "count": line.count,
                "first_expired": line.first_expired.isoformat(),
                "last_expired": line.last_expired.isoformat(),
            }
            for line in plan.lines
        ]
        out(
            json.dumps(
                {
                    "dry_run": True,
                    "plan": plan.token,
                    "expired": plan.expired,
                    "staying": plan.staying,
                    "held": plan.held,
                    "other_rules": plan.other_rules,
                    "sweeping": plan.sweeping,
                    "rules": rules,
                }
            )
        )
        return
    for line in plan.lines:
        out(
            f"{line.count:>8} {line.data_class} of {line.feature}, kept {line.retention} ({line.basis}; owner {line.owner}; "
            f"{line.mechanism}), expired {line.first_expired.date()} to {line.last_expired.date()}"
        )
    held = f" ({plan.held} of them have expired and are held)" if plan.held else ""
    out(f"{plan.expired} artifacts have expired, {plan.staying} stay{held}; nothing was deleted")
    if plan.other_rules:
        out(f"{plan.other_rules} more wait until their times are computed under the rules in force: aiguard run-due")
    if plan.expired:
        sure = f" --confirm {plan.expired}" if plan.sweeping else ""
        out(f"to delete exactly these: aiguard prune --apply --plan {plan.token}{sure}")
