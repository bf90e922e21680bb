"""``aiguard keys``: which master keys there are and what each still seals, a new one, and people's keys under it."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, cast

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from aiguard.cli.context import current_settings
from aiguard.cli.database import evidence, key_store_of
from aiguard.cli.output import console, err, fail, out
from aiguard.cli.people import account
from aiguard.types import AuditRecord, KeyRing, new_id, utc_now

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from aiguard.store import MasterKeyRing


@click.group()
def keys() -> None:
    """Master keys, and the keys of people that they wrap."""


@keys.command(name="list")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def list_(*, as_data: bool) -> None:
    """Show each master key by its public id, oldest first, and what it seals. Reads every row once."""
    from aiguard.store.usage import key_usage

    with evidence(any_keys=True) as (engine, ring):
        configured = list(cast("MasterKeyRing", ring.master).key_ids)
        usage = key_usage(engine, key_store_of(ring))
        wrapping = ring.wrapper.kek
    ids = [*configured, *sorted(set(usage) - set(configured))]
    rows = [
        {
            "id": id,
            "configured": id in configured or id == wrapping,
            "names_people": id == configured[0],
            "seals": id == configured[-1],
            "wraps": id == wrapping,
            "used_for": dict(sorted(usage.get(id, {}).items())),
        }
        for id in ids
    ]
    if as_data:
        out(json.dumps({"keys": rows}))
    else:
        table = Table("key", "what it is", "what needs it", box=None)
        for row in rows:
            table.add_row(str(row["id"]), _what(row), _uses(row))
        console().print(table)
    missing = [row["id"] for row in rows if not row["configured"]]
    if missing:
        err(f"warning: {len(missing)} keys are not configured, and what they seal cannot be read")


def _what(row: dict[str, object]) -> str:
    said = [
        text
        for name, text in (
            ("names_people", "oldest: names people, keep it"),
            ("seals", "newest: seals"),
            ("wraps", "wraps people's keys"),
        )
        if row[name]
    ]
    return ("" if row["configured"] else "NOT CONFIGURED ") + "; ".join(said)


def _uses(row: dict[str, object]) -> str:
    uses = cast("dict[str, int]", row["used_for"])
    if not uses:
        return (
            "nothing"
            if row["names_people"] or row["seals"] or row["wraps"]
            else "nothing: it can be taken off the list"
        )
    return ", ".join(f"{count} {name}" for name, count in uses.items())


@keys.command()
def rotate() -> None:
    """Make a new master key. In a key file it is added; elsewhere it is printed, for you to add."""
    from aiguard.store.keys import KEY_BYTES, append_key

    settings = current_settings()
    path = settings.keys_file or (settings.key_file if not settings.keys and settings.keys_callable is None else None)
    if path is None:
        out(base64.b64encode(os.urandom(KEY_BYTES)).decode())
        where = "what AIGUARD_KEYS_CALLABLE gives" if settings.keys_callable is not None else "AIGUARD_KEYS"
        err(f"add this key to {where} as the last one, restart every process, then run: aiguard keys rewrap")
        return
    with evidence() as (engine, ring):
        id = append_key(path)
        _tell(engine, ring, "keys.rotated", {"key": f"key:{id}"})
    out(f"the new key is {id}, in {path}; processes that run take it up by themselves")
    out("next: aiguard keys rewrap")


@keys.command()
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def rewrap(*, as_data: bool) -> None:
    """Wrap every person's key with the newest key, while the application runs. A run that was stopped goes on where it was."""
    with evidence() as (engine, ring):
        key_store = key_store_of(ring)
        kek = ring.wrapper.kek
        counts = key_store.counts()
        total = sum(count for id, count in counts.items() if id != kek)
        columns = (TextColumn("wrapping"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=console(), transient=True, disable=as_data) as progress:
            task = progress.add_task("keys", total=total)
            done = key_store.rewrap(ring.wrapper, progress=lambda count: progress.advance(task, count))
        left = {id: count for id, count in key_store.counts().items() if id != kek}
        scrubbed = key_store.scrub()
        # Also when there was nothing to do: a run that was killed before it could tell is told of by the next.
        wrapped = key_store.counts().get(kek, 0)
        _tell(engine, ring, "keys.rewrapped", {"count": done, "wrapped": wrapped, "key": f"key:{kek}"})
    if as_data:
        out(json.dumps({"rewrapped": done, "left": sum(left.values()), "key": kek, "scrubbed": scrubbed}))
    else:
        out(f"{done} people's keys were wrapped anew with {kek}")
    if left:
        fail(
            f"{sum(left.values())} keys are still wrapped with others: either the application was started with an older key (restart it and run this "
            "again), or they do not open with the master keys at hand, or are damaged (`aiguard keys list` names keys that are missing)"
        )
    if not scrubbed:
        err("warning: the key store was being read, so its write-ahead log still holds old pages; run this again")


@keys.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def adopt(*, yes: bool) -> None:
    """Go on with the key store at hand, where the one that held the keys is lost for good.

    What only the lost one opens can never be read again, and everybody is somebody new.
    """
    from aiguard.audit.events import ADMIN_ACTED
    from aiguard.runtime import require_own_keys
    from aiguard.store import belonging

    with evidence(any_keys=True, own_store=False) as (engine, ring):
        key_store = key_store_of(ring)
        key_store.prepare()
        require_own_keys(ring)
        known, carried = belonging.known_identity(engine), key_store.identity()
        if known is not None and known == carried:
            out("the key store at hand is the one that the data belongs with; nothing to do")
            return
        if not yes:
            click.confirm("Give up the key store that the data belongs with, for good?", abort=True)
        identity = belonging.adopt(engine, key_store, utc_now())
        payload: dict[str, object] = {
            "act": "keys.adopt",
            "before": f"store:{known or 'unknown'}",
            "after": f"store:{identity}",
        }
        _tell(engine, ring, ADMIN_ACTED, payload)
    out(f"the data belongs with the key store {identity[:8]} from now on; restart every process")


def _tell(engine: Engine, ring: KeyRing, type: str, payload: dict[str, object]) -> None:
    from aiguard.audit.tables import append_alone

    record = AuditRecord(
        type=type,
        decision_id=new_id("key"),
        actor=ring.pseudonym("operator", account()),
        resource="keys",
        payload=payload,
        at=utc_now(),
    )
    append_alone(engine, record, ring)
