"""PostgreSQL roles with the least that each kind of process needs. None of them owns a table, so none can take a trigger away.

``aiguard_app``        web workers: append artifacts, values and events; change and delete nothing of them
``aiguard_retention``  ``aiguard run-due`` and workers of jobs: delete what is over or erased, and write that down
``aiguard_auditor``    reads the log and what there is, and no content, no value and no key

Whoever runs ``aiguard db upgrade`` owns the tables, and grants these roles to the accounts that processes sign in with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, cast

from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.exc import SQLAlchemyError

from aiguard.db.base import PREFIX
from aiguard.db.engine import schema_of, writing
from aiguard.db.failures import as_store_error
from aiguard.errors import ConfigurationError
from aiguard.store import Artifact

APP: Final = f"{PREFIX}app"
RETENTION: Final = f"{PREFIX}retention"
AUDITOR: Final = f"{PREFIX}auditor"
ROLES: Final = (APP, RETENTION, AUDITOR)

LISTING: Final = f"{PREFIX}artifacts_listed"
"""A view of the artifacts without their content."""

LISTED: Final = tuple(column.name for column in cast("Table", Artifact.__table__).columns if column.name != "content")
"""Its columns, which an auditor may read in the table as well, so that commands can count."""

_APPEND: Final = "SELECT, INSERT"
_LOG: Final = MappingProxyType(
    {
        "audit_logs": "SELECT, UPDATE",
        "audit_events": _APPEND,
        "audit_payloads": _APPEND,
        "audit_nodes": _APPEND,
        "audit_tiles": "SELECT, INSERT, UPDATE",
        "audit_checkpoints": _APPEND,
        "audit_erased": "SELECT",
        "audit_prunes": "SELECT",
        "audit_outbox": "SELECT, INSERT, UPDATE, DELETE",
    }
)
GRANTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        APP: {
            **_LOG,
            "schema_version": "SELECT",
            "artifacts": _APPEND,
            "vault": "SELECT, INSERT, UPDATE",  # a value that is used again is kept for longer
            "vault_requests": "SELECT, INSERT, UPDATE (approved_by, approval, used_at), DELETE",  # once, and when over: triggers
            "service_tokens": "SELECT, UPDATE (last_used_at)",
            "data_keys": _APPEND,
            "key_store": _APPEND,
        },
        RETENTION: {
            **_LOG,
            "schema_version": "SELECT",
            "audit_events": "SELECT, INSERT, DELETE",
            "audit_payloads": "SELECT, INSERT, DELETE",
            "audit_nodes": "SELECT, INSERT, DELETE",
            "audit_tiles": "SELECT, INSERT, UPDATE, DELETE",
            "audit_erased": "SELECT, INSERT, DELETE",
            "audit_prunes": _APPEND,
            "artifacts": "SELECT, INSERT, UPDATE, DELETE",  # it plants canaries, and recomputes times
            "vault": "SELECT, UPDATE (code), DELETE",  # it locks rows; a value under another code does not open
            "vault_requests": "SELECT, DELETE",
            "data_keys": "SELECT, INSERT, DELETE",
            "key_store": "SELECT",
            "holds": "SELECT, INSERT, UPDATE",
            "retention_latch": "SELECT, UPDATE",
            "job_runs": "SELECT, INSERT, UPDATE, DELETE",
            "erasures": "SELECT, INSERT, UPDATE",
            "anonymised": "SELECT, INSERT, UPDATE",
        },
        AUDITOR: {
            **dict.fromkeys((*_LOG, "schema_version", "holds", "job_runs", "erasures", "anonymised"), "SELECT"),
            "artifacts": f"SELECT ({', '.join(LISTED)})",
            "artifacts_listed": "SELECT",
        },
    }
)
"""Role to table (without its prefix) to privileges. What is not named is not granted."""

_ACCOUNT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]{0,62}\Z")


def statements(schema: str | None, members: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """SQL that makes the roles, takes away what they had, and grants what they need. May be run again after every upgrade.

    Args:
        schema: where the tables are; None for ``public``.
        members: role to the accounts that it is granted to.

    Raises:
        ConfigurationError: an account's name would have to be quoted.
    """
    place = schema or "public"
    made = [
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} NOLOGIN; END IF; END $$"
        for role in ROLES
    ]
    made += [
        f"DROP VIEW IF EXISTS {place}.{LISTING}",
        f"CREATE VIEW {place}.{LISTING} AS SELECT {', '.join(LISTED)} FROM {place}.{PREFIX}artifacts",  # noqa: S608 - our own names
    ]
    tables = sorted({f"{place}.{PREFIX}{name}" for grants in GRANTS.values() for name in grants})
    made += [f"REVOKE ALL ON {', '.join(tables)} FROM PUBLIC, {', '.join(ROLES)}"]
    for role, grants in GRANTS.items():
        made.append(f"GRANT USAGE ON SCHEMA {place} TO {role}")
        made += [f"GRANT {privileges} ON {place}.{PREFIX}{name} TO {role}" for name, privileges in grants.items()]
    made.append(f"GRANT USAGE ON SEQUENCE {place}.{PREFIX}audit_outbox_id_seq TO {APP}, {RETENTION}")
    for role, accounts in (members or {}).items():
        for account in accounts:
            if not _ACCOUNT.match(account) or role not in ROLES:
                raise ConfigurationError("an account's name is written in letters, digits, _, - and $")
            made.append(f'GRANT {role} TO "{account}"')
    return made


def apply(
    engine: Engine,
    members: Mapping[str, Sequence[str]] | None = None,
    *,
    record: Callable[[Connection], None] = lambda _connection: None,
) -> int:
    """Run :func:`statements` in one transaction; how many there were.

    Args:
        engine: the database, as the tables' owner.
        members: role to the accounts that it is granted to.
        record: puts it on record, in the same transaction.

    Raises:
        ConfigurationError: the database is not PostgreSQL, or there is no such account.
        StoreError: the account may not create roles, does not own the tables, or the database cannot be used.
    """
    if engine.dialect.name != "postgresql":
        raise ConfigurationError(
            "Roles are PostgreSQL's; who may use a SQLite file is said by its mode and its directory's."
        )
    wanted = statements(schema_of(engine), members)
    accounts = sorted({account for some in (members or {}).values() for account in some})
    there = text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:accounts)")
    try:
        with writing(engine) as connection:
            missing = set(accounts) - set(connection.execute(there, {"accounts": accounts}).scalars())
            if missing:
                raise ConfigurationError(
                    f"There is no account {', '.join(sorted(missing))} on this server; make it with CREATE ROLE … LOGIN first. Nothing was granted."
                )
            for statement in wanted:
                connection.execute(text(statement.replace(":", "\\:")))
            record(connection)
    except SQLAlchemyError as error:
        raise as_store_error(error, "granted") from None
    return len(wanted)
