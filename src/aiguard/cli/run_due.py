"""``aiguard run-due``: do what retention has to do now, from system cron; needs no Redis."""

from __future__ import annotations

import json

import click

from aiguard.cli.database import evidence
from aiguard.cli.output import err, out
from aiguard.cli.retention import policy_of
from aiguard.retention.clocks import refuse_ahead
from aiguard.retention.duties import run_due as run_duties
from aiguard.types import utc_now


@click.command(name="run-due")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def run_due(*, as_data: bool) -> None:
    """Do everything that is due and that no other process has done or has in hand. Exit 1 when a job failed.

    Run it as often as you like, from as many machines as you like: a ledger in the database sees to it that each job
    runs once in its period, and that what was missed is caught up.
    """
    policy = policy_of()
    with evidence() as (engine, keyring):
        refuse_ahead(engine, utc_now())
        duties = run_duties(engine, keyring, policy, clock=utc_now)
    if as_data:
        told = [
            {"job": duty.job, "period": duty.period, "state": duty.state, "outcome": dict(duty.outcome)}
            for duty in duties
        ]
        out(json.dumps({"jobs": told}))
    else:
        for duty in duties:
            facts = ", ".join(f"{name} {value}" for name, value in duty.outcome.items())
            (out if duty.state == "done" else err)(f"{duty.job} {duty.period}: {duty.state}; {facts}")
        if not duties:
            out("nothing is due")
    if any(duty.state == "failed" for duty in duties):
        raise SystemExit(1)
