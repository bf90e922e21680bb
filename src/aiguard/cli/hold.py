"""``aiguard hold place|list|release``: what a legal matter needs stays, whatever its time is."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from aiguard import retention
from aiguard.cli.database import evidence, log
from aiguard.cli.output import err, out
from aiguard.cli.people import account, moment, moment_if_given, person_id
from aiguard.retention import HoldScope, PlacedHold
from aiguard.types import utc_now


@click.group()
def hold() -> None:
    """Legal holds: what they cover is neither pruned nor erased."""


@hold.command()
@click.option("--matter", required=True, help="The case or request that needs it.")
@click.option("--custodian", required=True, help="Who answers for the hold.")
@click.option("--review", required=True, metavar="WHEN", help="When somebody looks at it again: 90d, or a date.")
@click.option(
    "--subject", metavar="ID", help="Everything about and by this person; - reads the id from standard input."
)
@click.option("--tenant", metavar="ID", help="This tenant; with --subject, the person's.")
@click.option("--feature", help="What this feature kept.")
@click.option("--class", "data_class", help="prompt, output, metadata, embedding or eval.")
@click.option("--decision", metavar="ID", help="What was kept under this decision id.")
@click.option("--from", "created_from", metavar="WHEN", help="Kept at or after this date.")
@click.option("--until", "created_until", metavar="WHEN", help="Kept before this date.")
@click.option("--everything", is_flag=True, help="All that is kept; needed when nothing is selected.")
@click.option("--by", help="Who places it; by default the account that runs this.")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def place(
    *,
    matter: str,
    custodian: str,
    review: str,
    subject: str | None,
    tenant: str | None,
    feature: str | None,
    data_class: str | None,
    decision: str | None,
    created_from: str | None,
    created_until: str | None,
    everything: bool,
    by: str | None,
    as_data: bool,
) -> None:
    """Put what is kept, and what will be kept, under a hold. What is said has to fit together; it is in force at once."""
    now = utc_now()
    review_at = moment(review, now, "--review")
    begin, end = moment_if_given(created_from, now, "--from"), moment_if_given(created_until, now, "--until")
    with evidence() as (engine, keyring):  # meeting a person makes them a key, so what is said is read before
        names = {} if subject is None else dict(retention.meet_person(keyring, person_id(subject), tenant=tenant).names)
        scope = HoldScope(
            subject=names.get("subject", ""),
            actor=names.get("user", ""),
            tenant="" if tenant is None else keyring.pseudonym("tenant", tenant),
            feature=feature or "",
            data_class=data_class or "",
            decision_id=decision or "",
            created_from=begin,
            created_until=end,
        )
        placed = retention.place(
            engine,
            keyring,
            scope,
            matter=matter,
            custodian=custodian,
            placed_by=by or account(),
            review_at=review_at,
            now=now,
            everything=everything,
        )
    _show(placed, now, as_data=as_data)


@hold.command(name="list")
@click.option("--all", "released_too", is_flag=True, help="Released ones too.")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object a line.")
def list_(*, released_too: bool, as_data: bool) -> None:
    """The holds in force, what each covers now, and which of them should have been reviewed."""
    now = utc_now()
    with log() as engine:
        for each in retention.holds(engine, released=released_too):
            _show(each, now, as_data=as_data)


@hold.command()
@click.argument("id")
@click.option("--by", help="Who releases it; by default the account that runs this. Not the one who placed it.")
def release(id: str, by: str | None) -> None:
    """Let go of a hold, as another person than the one who placed it."""
    with evidence() as (engine, keyring):
        released = retention.release(engine, keyring, id, released_by=by or account(), now=utc_now())
    out(f"released {released.id}; {released.covers} artifacts are no longer held by it")


def _show(each: PlacedHold, now: datetime, *, as_data: bool) -> None:
    if as_data:
        said: dict[str, Any] = {**asdict(each), "overdue": each.overdue(now)}
        out(json.dumps(said, default=lambda value: value.isoformat()))
        return
    covers = ", ".join(each.scope.selectors()) or "everything"
    state = "in force" if each.released_at is None else f"released by {each.released_by}"
    out(
        f"{each.id}  {state}; covers {each.covers} artifacts now (by {covers}); matter {each.matter}; custodian {each.custodian}; "
        f"placed by {each.placed_by} {each.placed_at.date()}; review {each.review_at.date()}"
    )
    if each.overdue(now):
        err(f"warning: {each.id} should have been reviewed by {each.review_at.date()}")
