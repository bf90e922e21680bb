"""Backups of SQLite databases, and whether one can be restored.

Data and people's keys go into two files with lives of their own: a backup of the data keeps what a person said, and their key, in no backup
of the data, is what erasing them destroys. So a backup of the data may live as long as it likes, and a backup of the keys not longer
than an erasure may be pending.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, cast

from sqlalchemy import URL, Connection, Engine, Table, func, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import append
from aiguard.audit.tables import AuditEvent, AuditLog
from aiguard.db.engine import make_engine, reading, writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Sealing
from aiguard.db.schema import check
from aiguard.errors import ConfigurationError, IntegrityError, StoreError
from aiguard.store import Artifact, DataKeyRow, KeyDestroyed, KeyStore, KnownKeyStore, SubjectKeyRing, VaultEntry
from aiguard.store.keystore import IDENTITY
from aiguard.store.tables import artifact_aad
from aiguard.store.vault import entry_aad
from aiguard.types import HOUR_KEYS, AuditRecord, hour_key, new_id

KEYS: Final = DataKeyRow.__tablename__
CHUNK: Final = 500

Part = Literal["data", "keys"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """A backup that was made. ``sha256`` is of the file."""

    part: Part
    path: Path
    bytes: int
    sha256: str
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Restorable:
    """What a backup holds, seen with today's keys."""

    part: Part
    rows: int
    opened: int = 0
    erased: int = 0
    """Rows whose keys were destroyed since, with a person or with their time: nobody can read them."""
    expired: int = 0
    """Rows whose time is over, to be pruned once it is restored; of a backup of keys, those of hours that are over."""
    problems: list[str] = field(default_factory=list)
    """What stands against restoring it; none is good."""


def backup(engine: Engine, keyring: SubjectKeyRing, path: Path, *, part: Part, by: str, now: datetime) -> Backup:
    """Copy one consistent state of the evidence database, without people's keys, or of the keys alone, while both are in use.

    The file appears under its name when it is complete, checked and on disk, with mode 0600. That it was made is on record.

    Args:
        engine: the evidence database.
        keyring: whose key store is meant.
        path: the file, which must not exist.
        part: what to copy.
        by: who makes it; the record carries a pseudonym.
        now: the time of the record.

    Raises:
        ConfigurationError: the database is not SQLite, or there is a file already.
        StoreError: it could not be copied. There is no file then.
    """
    key_store = cast("KeyStore", keyring.store)
    source = _file_of(key_store.engine if part == "keys" else engine)
    draft = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    if path.exists():
        raise ConfigurationError(f"There is a file at {path} already; give the backup another name.")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        rows = _copy(source, draft, part)
        digest = _on_disk(draft)
        os.link(draft, path)  # never replaces a file
    except FileExistsError:
        raise ConfigurationError(f"There is a file at {path} already; give the backup another name.") from None
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"Nothing was backed up ({getattr(error, 'strerror', None) or error.__class__.__name__}); "
            "check that the folder can be written to and has room."
        ) from None
    finally:
        draft.unlink(missing_ok=True)
    made = Backup(part=part, path=path, bytes=path.stat().st_size, sha256=digest, rows=rows)
    record = AuditRecord(
        type="store.backed_up",
        decision_id=new_id("bak"),
        actor=keyring.pseudonym("operator", by),
        resource="backup",
        payload={"part": part, "rows": rows, "bytes": made.bytes, "file": f"sha256:{digest}"},
        at=now,
    )
    try:
        with writing(engine) as connection:
            append(connection, [record], Sealing(keyring=keyring, writer=new_id("wrt")))
    except BaseException as error:
        path.unlink()  # no backup without a record
        if isinstance(error, SQLAlchemyError):
            raise as_store_error(error, "backed up") from None
        raise
    return made


def restore_check(path: Path, keyring: SubjectKeyRing, *, now: datetime) -> Restorable:
    """Whether a backup is whole, and what it would bring back, seen with today's keys. Changes nothing.

    Every sealed row is opened once.

    Raises:
        ConfigurationError: there is no such file, or it is not a backup of ours.
        SchemaRevisionError: it was made by another version; restore it, then run ``aiguard db upgrade``.
    """
    if not path.is_file():
        raise ConfigurationError(f"There is no file at {path}.")
    problems = [f"SQLite says of the file: {line}" for line in _integrity(path)]
    if problems:
        return Restorable(part="data", rows=0, problems=problems)
    copy = make_engine(URL.create("sqlite", database=path.resolve().as_uri(), query={"mode": "ro", "uri": "true"}))
    try:
        with reading(copy) as connection:
            if not _has(connection, Artifact.__tablename__):
                return _check_keys(connection, keyring, now)
        check(copy)
        with reading(copy) as connection:
            return _check_data(connection, keyring, now)
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
    finally:
        copy.dispose()


def _check_data(connection: Connection, keyring: SubjectKeyRing, now: datetime) -> Restorable:
    problems: list[str] = []
    known, carried = (
        connection.execute(select(KnownKeyStore.identity)).scalar_one_or_none(),
        cast("KeyStore", keyring.store).identity(),
    )
    if known is not None and known != carried:
        problems.append("its keys are in another key store than the one at hand: check AIGUARD_KEY_STORE_URL")
    size = connection.execute(select(func.sum(AuditLog.size))).scalar_one()
    last = connection.execute(select(func.max(AuditEvent.seq))).scalar_one()
    if last is not None and size != last + 1:
        problems.append(f"the audit log says that it holds {size} events and ends with number {last}")
    counts = {"rows": 0, "opened": 0, "erased": 0, "expired": 0}
    for table, sealed, aad in (
        (cast("Table", Artifact.__table__), "content", artifact_aad),
        (cast("Table", VaultEntry.__table__), "sealed", entry_aad),
    ):
        unreadable = 0
        for row in _rows(connection, table):
            counts["rows"] += 1
            counts["expired"] += row["expires_at"] <= now
            try:
                keyring.open(row[sealed], aad=aad(row))
                counts["opened"] += 1
            except KeyDestroyed:
                counts["erased"] += 1
            except IntegrityError:
                unreadable += 1
        if unreadable:
            problems.append(f"{unreadable} rows of {table.name} do not open: altered, or AIGUARD_KEYS lacks a key")
    return Restorable(part="data", problems=problems, **counts)


def _check_keys(connection: Connection, keyring: SubjectKeyRing, now: datetime) -> Restorable:
    if not _has(connection, KEYS):
        raise ConfigurationError("The file is no backup of aiguard's: it has neither artifacts nor keys.")
    problems: list[str] = []
    rows = opened = erased = over = 0
    carried = cast("KeyStore", keyring.store).identity()
    for row in _rows(connection, cast("Table", DataKeyRow.__table__)):
        if row["lookup"] == IDENTITY:
            if carried is not None and row["key_id"].hex() != carried:
                problems.append("it is a backup of another key store than the one at hand")
            continue
        rows += 1
        if row["lookup"].startswith(HOUR_KEYS) and row["lookup"] < hour_key("crypto-shred", now):
            over += 1  # the next run destroys it again, before anybody could need it
        elif keyring.store.by_id(row["key_id"]) is None:
            erased += 1
        else:
            opened += 1
    if erased:
        problems.append(
            f"{erased} of its keys are not in the key store any more: restoring it would bring erased people back. Restore it only if the "
            "key store was lost, and then erase them again"
        )
    return Restorable(part="keys", rows=rows, opened=opened, erased=erased, expired=over, problems=problems)


def _rows(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    result = connection.execution_options(yield_per=CHUNK).execute(select(table))
    for row in result.mappings():
        yield dict(row)


def _has(connection: Connection, table: str) -> bool:
    found = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
    return found.first() is not None


def _file_of(engine: Engine) -> Path:
    if engine.dialect.name != "sqlite" or not engine.url.database:
        raise ConfigurationError(
            "This backs up SQLite files; PostgreSQL has pg_dump and pg_basebackup (docs/storage.md says how, and how long to keep them)."
        )
    return Path(engine.url.database)


def _copy(source: Path, target: Path, part: Part) -> int:
    """Copy, then take out of the copy what the part must not hold; how many rows it holds."""
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)  # in one step: one consistent state, and writers go on meanwhile
        copy.execute("PRAGMA journal_mode = DELETE")
        copy.execute("PRAGMA secure_delete = ON")
        copy.execute("PRAGMA trusted_schema = OFF")
        with copy:
            if part == "data":
                if _table_exists(copy, KEYS):
                    copy.execute(f"DELETE FROM {KEYS}")  # noqa: S608 - a name of ours
            else:
                _drop_all_but_keys(copy)
        copy.execute("VACUUM")
        if lines := [row[0] for row in copy.execute("PRAGMA integrity_check") if row[0] != "ok"]:
            raise StoreError(f"Nothing was backed up: SQLite says of the copy: {lines[0][:200]}")
        counted = "aiguard_artifacts" if part == "data" else f"{KEYS} WHERE lookup != '{IDENTITY}'"
        return int(copy.execute(f"SELECT count(*) FROM {counted}").fetchone()[0])  # noqa: S608 - names of ours


def _table_exists(copy: sqlite3.Connection, name: str) -> bool:
    return copy.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone() is not None


def _drop_all_but_keys(copy: sqlite3.Connection) -> None:
    copy.execute("PRAGMA foreign_keys = OFF")
    for kind in ("trigger", "view", "table"):
        query = "SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite_%' AND name != ?"
        for (name,) in copy.execute(query, (kind, KEYS)).fetchall():
            quoted = name.replace('"', '""')
            copy.execute(f'DROP {kind} "{quoted}"')


def _integrity(path: Path) -> list[str]:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as copy:
            found = [str(row[0])[:200] for row in copy.execute("PRAGMA integrity_check") if row[0] != "ok"]
            found += [f"a row of {row[0]} refers to none" for row in copy.execute("PRAGMA foreign_key_check")]
            return found[:10]
    except sqlite3.Error as error:
        return [getattr(error, "sqlite_errorname", type(error).__name__)]


def _on_disk(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
        os.fsync(file.fileno())
    with contextlib.suppress(OSError), _opened_directory(path.parent) as directory:
        os.fsync(directory)
    return digest.hexdigest()


@contextmanager
def _opened_directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
