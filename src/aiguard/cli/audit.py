"""``aiguard audit tail``."""

from __future__ import annotations

import json
from typing import Any

import click

from aiguard.audit import Event
from aiguard.audit import tail as read
from aiguard.cli.database import evidence
from aiguard.cli.output import out


@click.group()
def audit() -> None:
    """Read the audit log."""


@audit.command()
@click.option("-n", "limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many events.")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object a line.")
def tail(limit: int, *, as_data: bool) -> None:
    """Show the newest events, the newest last."""
    with evidence() as (engine, keyring):
        events = read(engine, keyring, limit)
    for event in events:
        out(json.dumps(as_dict(event), ensure_ascii=True) if as_data else _line(event))


def as_dict(event: Event) -> dict[str, Any]:
    """An event as JSON shows it."""
    return {
        "seq": event.seq,
        "id": event.id,
        "type": event.type,
        "decision_id": event.decision_id,
        "parent_id": event.parent_id,
        "at": event.at.isoformat(),
        "actor": event.actor,
        "tenant": event.tenant,
        "subject": event.subject,
        "resource": event.resource,
        "policy_hash": event.policy_hash,
        "payload": dict(event.payload),
    }


def _line(event: Event) -> str:
    why = event.payload.get("reasons") or ()
    reasons = f"  {', '.join(map(str, why))}" if why else ""
    moment = event.at.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    return f"{event.seq:>7}  {moment}  {event.type:<20} {event.decision_id}  {event.resource}{reasons}"
