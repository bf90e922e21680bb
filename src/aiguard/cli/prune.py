"""``aiguard prune``: delete what has expired. Without ``--apply`` it only says what it would do."""

from __future__ import annotations

import json

import click

from aiguard import retention
from aiguard.cli.database import evidence
from aiguard.cli.output import err, out
from aiguard.types import utc_now


@click.command()
@click.option("--dry-run/--apply", "dry_run", default=True, help="Only show the plan (the default), or delete.")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def prune(*, dry_run: bool, as_data: bool) -> None:
    """Delete artifacts whose retention is over, and leave evidence of it in the audit log."""
    now = utc_now()
    with evidence() as (engine, keyring):
        if dry_run:
            _show(retention.plan(engine, now), as_data=as_data)
            return
        done = retention.prune(engine, keyring, now)
    if as_data:
        out(
            json.dumps(
                {
                    "run_id": done.run_id,
                    "deleted": done.deleted,
                    "by_class": dict(done.by_class),
                    "batches": done.batches,
                    "erased": done.erased,
                }
            )
        )
    else:
        classes = ", ".join(f"{count} {name}" for name, count in sorted(done.by_class.items()))
        out(f"deleted {done.deleted} expired artifacts" + (f" ({classes})" if classes else ""))
        out(f"evidence: aiguard explain {done.run_id}")
    if not done.erased:
        err("warning: the database was being read, so its write-ahead log still holds old pages; run prune again")


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
        out(json.dumps({"dry_run": True, "expired": plan.expired, "staying": plan.staying, "rules": rules}))
        return
    for line in plan.lines:
        out(
            f"{line.count:>8} {line.data_class} of {line.feature}, kept {line.retention} ({line.basis}; owner {line.owner}), "
            f"expired {line.first_expired.date()} to {line.last_expired.date()}"
        )
    out(f"{plan.expired} artifacts have expired, {plan.staying} stay; nothing was deleted")
    if plan.expired:
        out("to delete them: aiguard prune --apply")
