"""The evidence database, opened for a command: ``aiguard db upgrade`` and ``aiguard db check``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from aiguard import db
from aiguard.cli.context import current_settings
from aiguard.cli.output import INCOMPLETE, TAMPERED, err, fail, out
from aiguard.cli.people import account
from aiguard.db.schema import current_revision
from aiguard.errors import SettingsError
from aiguard.types import AuditRecord, new_id, utc_now

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from aiguard.store import KeyStore, SubjectKeyRing


SHOWN = 20
"""Numbers of rows that are printed."""


@contextmanager
def evidence(*, any_keys: bool = False, own_store: bool = True) -> Iterator[tuple[Engine, SubjectKeyRing]]:
    """The database that settings name, at the right revision, and the keys that open it (:func:`aiguard.runtime.open_evidence`)."""
    from aiguard.runtime import open_evidence  # wires every room, which `db upgrade` does not need

    with open_evidence(current_settings(), any_keys=any_keys, own_store=own_store) as opened:
        yield opened


@contextmanager
def log() -> Iterator[Engine]:
    """The database, for somebody who only looks and needs no key (:func:`aiguard.runtime.open_log`)."""
    from aiguard.runtime import open_log

    with open_log(current_settings()) as opened:
        yield opened


def key_store_of(keyring: SubjectKeyRing) -> KeyStore:
    """The database of people's keys behind a ring that settings named."""
    return cast("KeyStore", keyring.store)


@click.group(name="db")
def database() -> None:
    """The evidence database's schema."""


@database.command()
def upgrade() -> None:
    """Bring the database to the revision that this version needs. Safe to run from several machines at once."""
    from aiguard.store.belonging import require_own_store

    with _opened(create=True) as (engine, key_store):
        before = current_revision(engine)
        now = db.upgrade(engine)
        out(f"the database is at revision {now}")
        if before not in {None, now}:
            with _recorder(engine) as record, db.writing(engine) as connection:
                record(connection, "db.upgrade", before=f"revision:{before}", after=f"revision:{now}")
        require_own_store(engine, key_store)
        if key_store.apart:
            key_store.prepare()
            out("the key store is ready")


@database.command()
def check() -> None:
    """Exit with 0 when the database is at the revision that this version needs, its triggers are in place and its key store is at hand.

    Else say what to do: 3 means that a trigger was replaced, or a row of the outbox, 4 that a trigger is missing, that somebody added one, or that a master key is, 1 anything else.
    """
    from aiguard.store.belonging import require_own_store

    with _opened(create=False) as (engine, key_store):
        db.check(engine)
        _require_triggers(engine, key_store)
        require_own_store(engine, key_store)
        key_store.check()
        _require_outbox(engine)
        if warning := current_settings().network_warning:
            err(f"warning: {warning}")
        out("the database is at the revision that this version needs")


def _require_triggers(engine: Engine, key_store: KeyStore) -> None:
    from aiguard.db.triggers import added, faults

    with db.reading(engine) as connection:
        found = faults(connection)
    lines = [
        f"the trigger {name}, which refuses changes, was replaced: it is not what the migrations make"
        for name in found.altered
    ]
    lines += [f"the trigger {name}, which refuses changes, is not there or not in force" for name in found.missing]
    lines += [
        f"{what} is not ours: it may keep rows from being written or deleted, or hide them" for what in found.added
    ]
    if key_store.apart:
        with db.reading(key_store.engine) as connection:
            lines += [
                f"{what} of the key store is not ours: it may keep keys from being destroyed"
                for what in added(connection)
            ]
    if lines:
        fail("\n".join(lines), code=TAMPERED if found.altered else INCOMPLETE)


def _require_outbox(engine: Engine) -> None:
    """Have what waits in the outbox be what was put there, as far as the master keys at hand can tell."""
    from aiguard.audit.outbox import left, waiting
    from aiguard.store.keysource import master_keys

    settings = current_settings()
    if not settings.has_keys or not waiting(engine):
        return
    found = left(engine, master_keys(settings))
    lines = []
    if found.damaged:
        lines.append(
            f"{len(found.damaged)} rows of the audit outbox are not what was put there, and stay there: {_numbers(found.damaged)}; "
            "keep them as evidence, and see `aiguard audit verify`"
        )
    if found.closed:
        lines.append(
            f"{len(found.closed)} rows of the audit outbox wait for a master key that is not at hand: {_numbers(found.closed)}; "
            "`aiguard keys list` names it"
        )
    if lines:
        fail("\n".join(lines), code=TAMPERED if found.damaged else INCOMPLETE)


def _numbers(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:SHOWN])) + (", …" if len(rows) > SHOWN else "")


@database.command()
@click.option("--apply", "run", is_flag=True, help="Run the SQL instead of printing it.")
@click.option("--app", multiple=True, metavar="ACCOUNT", help="An account that web workers sign in with.")
@click.option("--retention", multiple=True, metavar="ACCOUNT", help="An account that retention's jobs sign in with.")
@click.option("--auditor", multiple=True, metavar="ACCOUNT", help="An account that auditors sign in with.")
def roles(*, run: bool, app: tuple[str, ...], retention: tuple[str, ...], auditor: tuple[str, ...]) -> None:
    """PostgreSQL roles with the least that each kind of process needs. Run it again after every upgrade."""
    from aiguard.roles import APP, AUDITOR, RETENTION, apply, statements

    members = {APP: app, RETENTION: retention, AUDITOR: auditor}
    if not run:
        for statement in statements(current_settings().database_schema, members):
            out(f"{statement};")
        return
    with _opened(create=False) as (engine, _):
        db.check(engine)
        counts = {role: len(accounts) for role, accounts in members.items()}
        with _recorder(engine) as record:
            apply(engine, members, record=lambda connection: record(connection, "db.roles", counts=counts))
    out("the roles aiguard_app, aiguard_retention and aiguard_auditor have what they need and nothing else")


@database.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--part", type=click.Choice(["data", "keys"]), default="data", help="What to copy; keep the two apart.")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def backup(*, path: Path, part: Literal["data", "keys"], as_data: bool) -> None:
    """Copy a SQLite database into a new file while it is in use: the data without people's keys, or the keys alone."""
    from aiguard.backups import backup as make

    with evidence() as (engine, keyring):
        made = make(engine, keyring, path, part=part, by=account(), now=utc_now())
    if as_data:
        out(
            json.dumps({"part": part, "path": str(path), "bytes": made.bytes, "sha256": made.sha256, "rows": made.rows})
        )
        return
    out(f"{made.rows} {'artifacts' if part == 'data' else 'keys'} in {path}, {made.bytes} bytes, sha256 {made.sha256}")
    if part == "data":
        out("people's keys are not in it; back them up apart, for as long as an erasure may be pending: --part keys")


@database.command(name="restore-check")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def restore_check(*, path: Path, as_data: bool) -> None:
    """Say whether a backup is whole and opens with today's keys, and what it would bring back. Changes nothing."""
    from aiguard.backups import restore_check as look

    with evidence(any_keys=True) as (_, keyring):
        found = look(path, keyring, now=utc_now())
    if as_data:
        counts = {name: getattr(found, name) for name in ("part", "rows", "opened", "erased", "expired", "problems")}
        out(json.dumps({"ok": not found.problems, **counts}))
        raise SystemExit(1 if found.problems else 0)
    if found.part == "data":
        out(
            f"{found.rows} kept contents and values: {found.opened} open with today's keys, {found.erased} were erased or shredded and open for nobody"
        )
        if found.expired:
            out(f"{found.expired} are past their time: run `aiguard run-due` once it is restored")
    else:
        out(f"{found.rows} keys, of which {found.opened} are in the key store")
    if found.problems:
        fail("\n".join(found.problems))
    out("the backup can be restored")


@contextmanager
def _recorder(engine: Engine) -> Iterator[Callable[..., None]]:
    """What puts an act of administration on record, in a transaction that is given.

    Whoever owns the tables may be without the master keys that seal an event; then a warning says so.
    """
    from aiguard.audit import append
    from aiguard.audit.events import ADMIN_ACTED
    from aiguard.db.mapping import Sealing
    from aiguard.runtime import open_keys

    settings = current_settings()
    try:
        settings.check_ready()
        ring = open_keys(settings, engine)
    except SettingsError as error:
        err(f"warning: this will not be on record in the audit log, since there are no master keys here: {error}")
        yield lambda *_arguments, **_payload: None
        return

    def record(connection: Connection, act: str, **payload: Any) -> None:
        event = AuditRecord(
            type=ADMIN_ACTED,
            decision_id=new_id("adm"),
            actor=ring.pseudonym("operator", account()),
            resource="administration",
            payload={"act": act, **payload},
            at=utc_now(),
        )
        append(connection, [event], Sealing(keyring=ring, writer=new_id("wrt")))

    try:
        yield record
    finally:
        key_store_of(ring).close()


@contextmanager
def _opened(*, create: bool) -> Iterator[tuple[Engine, KeyStore]]:
    from aiguard.store import KeyStore

    settings = current_settings()
    engine = db.make_engine(settings.database_url, create=create, schema=settings.database_schema)
    key_store = KeyStore(engine, apart=False)
    try:
        if settings.key_store is not None and settings.key_store != settings.database:
            key_store = KeyStore(
                db.make_engine(settings.key_store, create=create, setting="AIGUARD_KEY_STORE_URL"), apart=True
            )
        yield engine, key_store
    finally:
        key_store.close()
        engine.dispose()
