"""Everything that somebody who owns the database can do to a log: each change of each column of each row, and of whole rows.

Used by the suite over a small log and by ``make bench PART=audit`` over a larger one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import URL, Connection, MetaData, create_engine, delete, insert, select, text, update

from aiguard.audit.merkle import leaf_hash

PROMISED = {
    "aiguard_audit_logs": ("log", "size"),
    "aiguard_audit_events": (
        "seq", "log", "id", "type", "decision_id", "parent_id", "at", "actor", "tenant", "subject", "resource", "policy_hash",
        "leaf", "leaf_hash",
    ),
    "aiguard_audit_payloads": ("seq", "sealed"),
    "aiguard_audit_nodes": ("level", "idx", "hash"),
    "aiguard_audit_checkpoints": ("size", "note"),
    "aiguard_audit_erased": ("seq", "tombstone"),
    "aiguard_audit_prunes": ("cut", "note"),
    "aiguard_audit_tiles": ("idx", "hashes"),
    "aiguard_audit_outbox": ("event_id", "at", "sealed"),
}  # fmt: skip
"""What ``verify --payloads`` promises to notice a change of, by table. Not: the time noted beside a checkpoint or a statement."""

KEYS = {
    "aiguard_audit_logs": ("log",),
    "aiguard_audit_events": ("seq",),
    "aiguard_audit_payloads": ("seq",),
    "aiguard_audit_nodes": ("level", "idx"),
    "aiguard_audit_checkpoints": ("size",),
    "aiguard_audit_erased": ("seq",),
    "aiguard_audit_prunes": ("cut",),
    "aiguard_audit_tiles": ("idx",),
    "aiguard_audit_outbox": ("id",),
}

KEPT_BY_THE_REST = {
    "aiguard_audit_events",
    "aiguard_audit_payloads",
    "aiguard_audit_prunes",
    "aiguard_audit_tiles",
    "aiguard_audit_logs",
}
"""Tables whose rows cannot be taken away unnoticed. A kept hash is made anew; a checkpoint is missed by whoever has it."""


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """What is done, and how it is called."""

    what: str
    table: str
    key: dict[str, Any]
    values: dict[str, Any] | None = None
    """New values; None deletes the row."""


class Owner:
    """Somebody who owns the database: no trigger and no foreign key stands in the way."""

    def __init__(self, url: URL) -> None:
        self.engine = create_engine(url)  # SQLite holds no foreign keys unless it is asked to
        with self.engine.begin() as connection:
            owned(connection)
        metadata = MetaData()
        metadata.reflect(self.engine, only=list(KEYS))
        self.tables = metadata.tables

    def close(self) -> None:
        """Let the database go."""
        self.engine.dispose()

    def mutations(self, rng: random.Random, *, rows: int | None = None) -> Iterator[Mutation]:
        """Changes of every promised column of every row (or of ``rows`` of each table, drawn by ``rng``), and deletions."""
        for name, columns in PROMISED.items():
            with self.engine.connect() as connection:
                found = [dict(row) for row in connection.execute(select(self.tables[name])).mappings()]
            for row in found if rows is None or len(found) <= rows else rng.sample(found, rows):
                key = {each: row[each] for each in KEYS[name]}
                for column in columns:
                    for value in _others(column, row[column], rng):
                        yield Mutation(what=f"change {column}", table=name, key=key, values={column: value})
                if name in KEPT_BY_THE_REST:
                    yield Mutation(what="delete", table=name, key=key)
                if name == "aiguard_audit_events" and len(found) > 1:
                    other = rng.choice([each for each in found if each["seq"] != row["seq"]])
                    same = {each: other[each] for each in columns if each not in {"seq", "id"}}
                    yield Mutation(what="repeat another event", table=name, key=key, values=same)
                    leaf = bytes(row["leaf"]).replace(b'"type":"', b'"type":"x')
                    again = {"leaf": leaf, "leaf_hash": leaf_hash(leaf), "type": f"x{row['type']}"[:64]}
                    yield Mutation(what="change an event, its leaf and its hash", table=name, key=key, values=again)

    @contextmanager
    def mutated(self, mutation: Mutation) -> Iterator[None]:
        """Apply a mutation, and undo it at the end."""
        table = self.tables[mutation.table]
        where = [table.c[name] == value for name, value in mutation.key.items()]
        with self.engine.begin() as connection:
            before = dict(connection.execute(select(table).where(*where)).mappings().one())
            if mutation.values is None:
                connection.execute(delete(table).where(*where))
            else:
                connection.execute(update(table).where(*where).values(mutation.values))
        try:
            yield
        finally:
            with self.engine.begin() as connection:
                if mutation.values is None:
                    connection.execute(insert(table).values(before))
                else:
                    now = [table.c[name] == mutation.values.get(name, value) for name, value in mutation.key.items()]
                    connection.execute(update(table).where(*now).values(before))


def owned(connection: Connection) -> None:
    """Put the triggers out of the way."""
    if connection.dialect.name == "sqlite":
        for name in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
            connection.execute(text(f"DROP TRIGGER {name}"))
    else:
        for table in KEYS:
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))


def _others(column: str, value: Any, rng: random.Random) -> Iterator[Any]:
    """Other values of the same kind."""
    if isinstance(value, int):
        yield from (value + (1_000 if column == "level" else 100_000_000), -value - 1)
    elif isinstance(value, datetime):
        yield from (value + timedelta(microseconds=1), value.replace(year=value.year - 1))
    elif isinstance(value, (bytes, memoryview)):
        data = bytearray(value)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        yield from (bytes(data), bytes(value)[:-1], b"")
    elif isinstance(value, str):
        at = rng.randrange(len(value)) if value else 0
        yield value[:at] + ("x" if value[at : at + 1] != "x" else "y") + value[at + 1 :]
        if value:
            yield value[:-1]
