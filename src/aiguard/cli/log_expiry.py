"""``aiguard audit expire``: let the log's oldest events go, under a signed statement."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from aiguard.audit import expiry
from aiguard.audit.keeper import signers_of, verifiers_of
from aiguard.cli.context import current_settings
from aiguard.cli.database import evidence
from aiguard.cli.output import err, fail, out
from aiguard.db.mapping import Sealing
from aiguard.policy.values import parse_duration
from aiguard.retention.log_expiry import nothing_held
from aiguard.types import new_id


@click.command()
@click.option("--older-than", required=True, metavar="DURATION", help="How old events must be, for example 400d.")
@click.option("--apply", is_flag=True, help="Do it. Without this, only say what would go.")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def expire(older_than: str, *, apply: bool, as_data: bool) -> None:
    """Let the log's oldest events go. What stays, and what went, can be proved as before.

    Needs the signing key. Whole blocks of 256 events go, all of them under a checkpoint; nothing goes while a legal hold is in
    force.
    """
    settings = current_settings()
    try:
        age = parse_duration(older_than)
    except ValueError as error:
        fail(f"--older-than: {error}", code=2)
    now = datetime.now(UTC)
    with evidence() as (engine, keyring):
        if apply:
            done = expiry.expire(
                engine,
                Sealing(keyring=keyring, writer=new_id("wrt")),
                signers_of(settings),
                before=now - age,
                now=now,
                trusted=verifiers_of(settings),
                allowed=nothing_held,
                progress=_Progress(),
            )
        else:
            done = expiry.plan(engine, before=now - age)
    if as_data:
        out(json.dumps({"applied": apply, "events": done.events, "first": done.start, "cut": done.cut}))
    else:
        out(f"{done.events} events, those before position {done.cut}, {'have expired' if apply else 'would expire'}")
        if not apply and done.events:
            out("run it with --apply to let them go")


class _Progress:
    """Tells on standard error how far the deletion is, now and then."""

    def __init__(self) -> None:
        self._done, self._told = 0, 0

    def __call__(self, count: int) -> None:
        self._done += count
        if self._done - self._told >= 50_000:
            self._told = self._done
            err(f"{self._done} events deleted")
