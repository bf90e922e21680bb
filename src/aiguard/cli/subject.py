"""``aiguard subject export|erase|erasures|confirm``: requests of the person whom data is about (GDPR Art. 15 and 17)."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from aiguard import retention
from aiguard.cli.context import current_settings
from aiguard.cli.database import evidence, log
from aiguard.cli.output import err, fail, out
from aiguard.cli.people import account, person_id
from aiguard.cli.retention import policy_of
from aiguard.errors import PolicyError
from aiguard.retention import Backups, ErasureReport
from aiguard.retention.matrix import backups_of
from aiguard.types import utc_now

_ID = click.argument("id", metavar="ID")
_TENANT = click.option("--tenant", metavar="ID", help="The tenant that the person belongs to, if there are tenants.")
_BY = click.option("--by", help="Who handles the request; by default the account that runs this.")
_AS_JSON = click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")


@click.group()
def subject() -> None:
    """Requests of the person whom data is about. ID is what the application calls them; - reads it from standard input."""


@subject.command()
@_ID
@_TENANT
@_BY
@click.option("--out", "output", type=click.Path(path_type=Path), help="Write to this new file, with mode 0600.")
def export(id: str, tenant: str | None, by: str | None, output: Path | None) -> None:
    """Print everything that is kept about a person, in the clear, as one JSON object."""
    with evidence() as (engine, keyring):
        person = retention.find_person(keyring, person_id(id), tenant=tenant)
        data = retention.export(engine, keyring, person, by=by or account(), now=utc_now())
    text = json.dumps(data, indent=2)
    if output is None:
        click.echo(text)
    else:
        _write(output, text)
        err(
            f"{len(data['artifacts'])} artifacts, {len(data['tokens'])} tokens, {len(data['events'])} events in {output}"
        )
    if data["events_left_out"]:
        err(f"warning: there are more events than the {len(data['events'])} in it")
    unreadable = sum("unreadable" in each for each in (*data["artifacts"], *data["tokens"]))
    if unreadable:
        fail(
            f'{unreadable} of the artifacts and tokens cannot be read, so this is not all that is kept; "unreadable" beside each says why. '
            "Restore them from a backup, or the key store, and export again."
        )


def _write(output: Path, text: str) -> None:
    """Into a new file of nobody else's; nothing is left of one that could not be written whole."""
    try:
        descriptor = os.open(output, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        fail(f"{output} cannot be made ({error.strerror}); an export is never written over another file")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        output.unlink(missing_ok=True)
        fail(
            f"{output} could not be written ({error.strerror}); nothing of it is left. Make room, or choose another place."
        )


@subject.command()
@_ID
@_TENANT
@_BY
@click.option("--dry-run", is_flag=True, help="Only say what would be erased.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_AS_JSON
def erase(id: str, tenant: str | None, by: str | None, *, dry_run: bool, yes: bool, as_data: bool) -> None:
    """Destroy a person's keys and delete what is kept about them, as far as legal holds allow.

    At a terminal it asks first; this cannot be undone.
    """
    now = utc_now()
    with evidence() as (engine, keyring):
        person = retention.find_person(keyring, person_id(id), tenant=tenant)
        found = retention.extent(engine, person)
        if dry_run:
            out(json.dumps({"dry_run": True, **asdict(found)}) if as_data else f"would erase {_extent(found)}")
            return
        if not yes and sys.stdin.isatty():
            click.confirm(f"Erase {_extent(found)}? This cannot be undone.", abort=True)
        done = retention.erase(engine, keyring, person, requested_by=by or account(), now=now, backups=_backups())
    _show(done, now, as_data=as_data)
    if done.state == "held":
        raise SystemExit(3)


@subject.command()
@click.option("--open", "only_open", is_flag=True, help="Only those that are held or pending.")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object a line.")
def erasures(*, only_open: bool, as_data: bool) -> None:
    """Every erasure and where it stands; nobody's name is in it."""
    with log() as engine:
        for each in retention.erasures(engine):
            if not only_open or each.state != "completed":
                _show(each, utc_now(), as_data=as_data)


@subject.command()
@click.argument("id", metavar="ERASURE")
@click.argument("part")
@click.option(
    "--state", type=click.Choice(["confirmed", "unverifiable", "pending"]), default="confirmed", help="How it ended."
)
@_BY
def confirm(id: str, part: str, state: str, by: str | None) -> None:
    """Say how a pending PART of an erasure ended: a provider by its name, or `backups` once no copy of the keys is left."""
    with evidence() as (engine, keyring):
        done = retention.confirm(engine, keyring, id, what=part, state=state, by=by or account(), now=utc_now())
    _show(done, utc_now(), as_data=False)


def _backups() -> Backups:
    settings = current_settings()
    try:
        return backups_of(policy_of(), settings.key_store_backup_days)
    except PolicyError as error:  # the request has a deadline; without a policy nobody said how long backups live
        err(f"warning: {error}; how long backups live is taken as unknown")
        return Backups(keys=settings.key_store_backup_days)


def _extent(found: retention.Extent) -> str:
    held = f"; {found.held} of them are held and stay until the hold is released" if found.held else ""
    return f"{found.artifacts} artifacts, {found.vault_entries} tokens, what {found.payloads} events say, and {found.keys} keys{held}"


def _show(done: ErasureReport, now: datetime, *, as_data: bool) -> None:
    if as_data:
        out(json.dumps(asdict(done), default=lambda value: value.isoformat()))
        return
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in done.counts.items())
    out(f"{done.id}  {done.state}, asked for {done.at.date()}: {counts}")
    if done.state == "held":
        err("  a legal hold stands against it: what it covers stays, readable, and goes when the hold is released")
    elif done.state == "pending" and done.pending_until is None:
        err(
            f"  pending: backups may hold the keys, and nobody said how long; `aiguard subject confirm {done.id} backups`"
        )
    elif done.state == "pending":
        err(
            f"  pending until {done.pending_until.date() if done.pending_until else ''}, when the last backup with the keys is gone"
        )
    if done.sweep_at is not None and done.state != "held":
        due = "is due" if done.sweep_at <= now else f"follows after {done.sweep_at:%H:%M:%S} UTC"
        err(f"  a last sweep for what was on its way meanwhile {due}: `aiguard run-due` does it")
    for provider, state in done.providers.items():
        out(
            f"  at {provider}: {state}"
            + (f"; `aiguard subject confirm {done.id} {provider}`" if state == "pending" else "")
        )
