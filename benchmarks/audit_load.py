"""A long audit log in minutes: leaves, their copies, and the kept hashes of the tree, written straight into the tables.

The log is as the writer would have left it, and verifies (a test holds that), but for one thing: what stands in the payloads' place is random
bytes of a payload's length, so ``verify --payloads`` is not for it. Triggers and indexes are put aside while it is written.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Engine, text

from aiguard.audit.verify_leaves import Tree
from aiguard.db import writing

BATCH: Final = 65_536
"""Events that are written at once."""

PEOPLE: Final = 50_000
"""Different people whom the events are about."""

STARTED: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""The time of the first event; each is a millisecond later."""

SEALED_BYTES: Final = 260
"""Bytes of a sealed payload."""

EVENT_COLUMNS: Final = (
    "seq", "log", "id", "type", "decision_id", "parent_id", "at", "actor", "tenant", "subject", "resource", "policy_hash", "leaf",
    "leaf_hash",
)  # fmt: skip
_EVENTS: Final = f"aiguard_audit_events ({', '.join(EVENT_COLUMNS)})"
_PAYLOADS: Final = "aiguard_audit_payloads (seq, sealed)"
_NODES: Final = "aiguard_audit_nodes (level, idx, hash)"
_TYPES: Final = ("exchange.decided", "exchange.completed", "access.allowed", "exchange.blocked")
_POLICY: Final = "sha256:" + "0" * 64


class Loader:
    """Makes a log longer, again and again, also after others have appended to it."""

    def __init__(self, engine: Engine, *, seed: int = 6) -> None:
        self._engine = engine
        self._rng = random.Random(seed)
        self._tree = Tree()
        self._people = [f"{self._rng.getrandbits(128):032X}"[:26] for _ in range(PEOPLE)]

    def fill(self, size: int) -> None:
        """Append events until the log holds ``size`` of them."""
        self._catch_up()
        if self._tree.size >= size:
            return
        fill = self._fill_sqlite if self._engine.dialect.name == "sqlite" else self._fill_postgresql
        fill(size)

    def _catch_up(self) -> None:
        """Take into the tree what others have appended. The hashes that they kept are left as they are."""
        query = text("SELECT leaf_hash FROM aiguard_audit_events WHERE seq >= :start ORDER BY seq")
        with self._engine.connect() as connection:
            hashes = [bytes(each) for each in connection.execute(query, {"start": self._tree.size}).scalars()]
        for _ in self._tree.extend(hashes):
            pass

    def _rows(self, first: int, count: int) -> tuple[list[tuple[Any, ...]], list[tuple[int, int, bytes]]]:
        """``count`` events from position ``first``, and the kept hashes that they complete."""
        rng, people, spare = self._rng, self._people, os.urandom(SEALED_BYTES + 4096)
        noise = rng.randbytes(32 * count).hex()
        rows: list[tuple[Any, ...]] = []
        seconds, clock = -1, ""
        for offset in range(count):
            seq = first + offset
            if seq // 1000 != seconds:
                seconds = seq // 1000
                clock = (STARTED + timedelta(seconds=seconds)).isoformat(" ", "seconds").removesuffix("+00:00")
            at = f"{clock}.{seq % 1000 * 1000:06d}"
            draw = noise[64 * offset : 64 * offset + 64]
            id, decision = f"evt_{seq:010d}{draw[:16].upper()}", f"agd_{seq // 2:010d}{draw[:1].upper()}0"
            kind, person = _TYPES[seq & 3], people[int(draw[:8], 16) % PEOPLE]
            resource = f"support-{seq % 10}"
            leaf = (
                f'{{"actor":"{person}","commit":"{draw}","decision_id":"{decision}","event_id":"{id}","log":"main","parent_id":"",'
                f'"policy_hash":"{_POLICY}","resource":"{resource}","subject":"{person}","tenant":"",'
                f'"ts":"{at.replace(" ", "T")}+00:00","type":"{kind}","v":1,"writer":"wrt_bench"}}'
            ).encode()
            rows.append(
                (
                    seq, "main", id, kind, decision, "", at, person, "", person, resource, _POLICY, leaf,
                    sha256(b"\x00" + leaf).digest(), spare[seq & 4095 : (seq & 4095) + SEALED_BYTES],
                )
            )  # fmt: skip
        kept = [
            (level, start + at, value)
            for level, start, hashes in self._tree.extend([row[13] for row in rows])
            for at, value in enumerate(hashes)
        ]
        return rows, kept

    def _batches(self, size: int) -> Iterator[tuple[list[tuple[Any, ...]], list[tuple[int, int, bytes]]]]:
        while self._tree.size < size:
            yield self._rows(self._tree.size, min(BATCH - self._tree.size % BATCH, size - self._tree.size))

    def _fill_sqlite(self, size: int) -> None:
        self._engine.dispose()
        file = sqlite3.connect(str(self._engine.url.database), isolation_level=None)
        for pragma in ("journal_mode = DELETE", "journal_mode = OFF", "synchronous = OFF", "cache_size = -400000"):
            file.execute(f"PRAGMA {pragma}").fetchall()
        aside = file.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND (type = 'trigger' AND tbl_name LIKE 'aiguard_audit_%'"
            " OR type = 'index' AND tbl_name = 'aiguard_audit_events')"
        ).fetchall()
        for kind, name, _ in aside:
            file.execute(f"DROP {kind} {name}")
        for rows, kept in self._batches(size):
            file.execute("BEGIN")
            file.executemany(_insert(_EVENTS), [row[:14] for row in rows])
            file.executemany(_insert(_PAYLOADS), [(row[0], row[14]) for row in rows])
            file.executemany(_insert(_NODES).replace("INSERT", "INSERT OR IGNORE"), kept)
            file.execute("COMMIT")
        file.execute("UPDATE aiguard_audit_logs SET size = ?", (size,))
        for _, _, sql in aside:
            file.execute(sql)
        for pragma in ("journal_mode = DELETE", "journal_mode = WAL"):
            file.execute(f"PRAGMA {pragma}").fetchall()
        file.close()

    def _fill_postgresql(self, size: int) -> None:
        tables = [f"aiguard_audit_{name}" for name in ("events", "payloads", "nodes", "logs")]
        with writing(self._engine) as connection:
            driver: Any = connection.connection.driver_connection
            with driver.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 0")
                for table in tables:
                    cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
                for rows, kept in self._batches(size):
                    _copy(cursor, _EVENTS, ([*row[:6], f"{row[6]}+00", *row[7:14]] for row in rows))
                    _copy(cursor, _PAYLOADS, ((row[0], row[14]) for row in rows))
                    cursor.executemany(f"INSERT INTO {_NODES} VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", kept)  # noqa: S608
                cursor.execute("UPDATE aiguard_audit_logs SET size = %s", (size,))
                for table in tables:
                    cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
                    for name in _triggers(cursor, table):
                        cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def _insert(into: str) -> str:
    return f"INSERT INTO {into} VALUES ({', '.join('?' * (into.count(',') + 1))})"  # noqa: S608 - our own names


def _copy(cursor: Any, into: str, rows: Iterator[Sequence[Any]]) -> None:
    with cursor.copy(f"COPY {into} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _triggers(cursor: Any, table: str) -> list[str]:
    found = cursor.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", (table,)
    ).fetchall()
    return [str(name) for (name,) in found]
