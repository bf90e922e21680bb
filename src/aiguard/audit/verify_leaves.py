"""The verifier's walk over the leaves: every row is read once, hashed, and each copy compared with what its leaf says.

The database puts together from the copies what the leaf must begin with, and says whether it does; the rest is looked at for a whole
page of rows at once. A page that is not in order, or holds a character that is escaped, is halved until the rows that are different stand
alone; those are taken apart slowly, to say what is wrong with them. So a whole log goes by at the speed of its hashes, and a strange
row costs only itself.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Connection, text

from aiguard.audit.merkle import leaf_hash, node_hash
from aiguard.audit.report import Report

PAGE: Final = {"sqlite": 512, "postgresql": 2_048}
"""Rows that are read at once: few enough that what is made of them stays in the processor's cache."""

TILE: Final = 256
"""Leaf hashes in one row of ``aiguard_audit_tiles``."""

COPIES: Final = (
    "actor", "decision_id", "id", "log", "parent_id", "policy_hash", "resource", "subject", "tenant", "at", "type",
)  # fmt: skip
"""Columns that repeat the leaf, in the order in which the leaf has them."""

_FIELD: Final = {"id": "event_id", "at": "ts"}
_FIELDS: Final = (
    "actor", "commit", "decision_id", "event_id", "log", "parent_id", "policy_hash", "resource", "subject", "tenant", "ts",
    "type", "v", "writer",
)  # fmt: skip
_QUOTES: Final = 54
"""Quotation marks in a leaf whose values need no escape: 14 names and 13 values (the version is a number)."""

_COMMIT: Final = re.compile(r"[0-9a-f]{64}\Z")
_WRITER: Final = re.compile(rb'[A-Za-z0-9_]{1,64}"\}')
_HEX: Final = "0123456789abcdef"
_AS_IT_IS: Final = bytes(byte if byte >= 0x20 and byte != ord("\\") else 0 for byte in range(256))
"""Every byte as it is, but for those that JSON escapes; the quotation mark is counted by itself."""

_CANONICAL: Final[Callable[[Any], str]] = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), check_circular=False
).encode

_INSTANT: Final = {
    "sqlite": "replace(replace(at, 'T', '?'), ' ', 'T') || '+00:00'",
    "postgresql": "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')",
}

_SAID: Final = {
    "sqlite": "CAST(substr(leaf, 23 + length(actor), 64) AS TEXT)",
    "postgresql": "encode(substr(leaf, 23 + length(actor), 64), 'escape')",
}
"""The commitment that the leaf holds, where the copies say that it begins."""

_BEGINS: Final = {
    "sqlite": (
        "instr(leaf, CAST(rtrim(json_object('actor', actor, 'commit', {commit}, 'decision_id', decision_id, 'event_id', id, "
        "'log', log, 'parent_id', parent_id, 'policy_hash', policy_hash, 'resource', resource, 'subject', subject, "
        """'tenant', tenant, 'ts', {at}, 'type', type, 'v', 1), '}}') || ',"writer":"' AS BLOB)) = 1"""
    ),
    "postgresql": (
        """position(convert_to('{{"actor":"' || actor || '","commit":"' || {commit} || '","decision_id":"' || decision_id || """
        """'","event_id":"' || id || '","log":"' || log || '","parent_id":"' || parent_id || '","policy_hash":"' || policy_hash || """
        """'","resource":"' || resource || '","subject":"' || subject || '","tenant":"' || tenant || '","ts":"' || {at} || """
        """'","type":"' || type || '","v":1,"writer":"', 'UTF8') in leaf) = 1"""
    ),
}
"""Whether a leaf begins as the copies would have it. On SQLite by ``json_object``, which takes half the time of ``||``, and which, other than
``printf``, does not end at a NUL in a text."""


class Tree:
    """A Merkle tree that grows by many leaves at once and keeps only its right edge."""

    def __init__(self) -> None:
        self.size = 0
        self._left: list[bytes | None] = []

    def extend(self, hashes: Sequence[bytes]) -> Iterator[tuple[int, int, list[bytes]]]:
        """Take leaf hashes; give ``(level, first index, hashes)`` of the subtrees that they complete, every eighth level."""
        nodes, level, before, sha256 = list(hashes), 0, self.size, hashlib.sha256
        self.size += len(nodes)
        while nodes:
            if level == len(self._left):
                self._left.append(None)
            left = self._left[level]
            if left is not None:
                nodes.insert(0, left)
            self._left[level] = nodes.pop() if len(nodes) % 2 else None
            nodes = [sha256(b"\x01" + one + other).digest() for one, other in zip(nodes[::2], nodes[1::2], strict=True)]
            level += 1
            if nodes and not level % 8:
                yield level, before >> level, nodes

    def root(self) -> bytes:
        """The tree hash over all leaves so far."""
        value: bytes | None = None
        for left in self._left:
            if left is not None:
                value = left if value is None else node_hash(left, value)
        return hashlib.sha256(b"").digest() if value is None else value

    def edge(self) -> tuple[bytes, ...]:
        """The complete subtrees at the right edge, largest first."""
        return tuple(left for left in reversed(self._left) if left is not None)


def pages(connection: Connection, start: int | None = None) -> Iterator[list[tuple[Any, ...]]]:
    """Rows ``(seq, leaf, leaf_hash, id, commit)`` in order of their position.

    ``commit`` is the leaf's commitment where the leaf begins as the copies would have it, and None where it does not.
    """
    name = connection.dialect.name
    commit = f"CASE WHEN {_BEGINS[name].format(at=_INSTANT[name], commit=_SAID[name])} THEN {_SAID[name]} END"
    driver: Any = connection.connection.driver_connection
    mark = "?" if name == "sqlite" else "%s"
    sql = f"SELECT seq, leaf, leaf_hash, id, {{}} FROM aiguard_audit_events {{}} ORDER BY seq LIMIT {PAGE[name]}"  # noqa: S608
    after = start
    while True:
        where, values = ("", ()) if after is None else (f"WHERE seq > {mark}", (after,))
        page = (
            _sqlite(driver, sql.format(commit, where), sql.format("NULL", where), values)
            if name == "sqlite"
            else driver.cursor(binary=True).execute(sql.format(commit, where), values).fetchall()
        )
        if page:
            yield page
        if len(page) < PAGE[name]:
            return
        after = int(page[-1][0])


def _sqlite(driver: Any, sql: str, otherwise: str, values: tuple[int, ...] = ()) -> list[tuple[Any, ...]]:
    """One page, by ``otherwise`` where a row holds bytes for text, or text that is not UTF-8: they are read all the same, to be told."""
    try:
        return list(driver.execute(sql, values).fetchall())
    except driver.OperationalError as error:
        if "JSON cannot hold" not in str(error) and "decode" not in str(error):
            raise
    driver.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    try:
        return list(driver.execute(otherwise, values).fetchall())
    finally:
        driver.text_factory = str


def map_file(connection: Connection, size: int) -> None:
    """Read a SQLite file through a memory map of up to ``size`` bytes; 0 ends that."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA mmap_size = {size:d}")


class Leaves:
    """Compares pages of rows with their leaves, and notices ids that are there twice."""

    def __init__(self, connection: Connection, report: Report, start: int) -> None:
        self._connection = connection
        self._report = report
        self._expected = start
        self._ids: list[array[int]] = [array("q") for _ in range(256)]

    def check(self, page: Sequence[tuple[Any, ...]]) -> list[bytes]:
        """The leaf hashes of a page; what is wrong with it is told."""
        self._positions(page)
        sha256, ids = hashlib.sha256, self._ids
        try:
            hashes = [sha256(b"\x00" + row[1]).digest() for row in page]
        except TypeError:
            hashes = [leaf_hash(as_bytes(row[1])) for row in page]
        self._look(page, hashes)
        for row in page:
            mark = hash(row[3])
            ids[mark & 255].append(mark)
        return hashes

    def _look(self, rows: Sequence[tuple[Any, ...]], hashes: Sequence[bytes]) -> None:
        """Look at rows together, and at each half by itself when they are not in order."""
        if _in_order(rows, hashes):
            return
        if len(rows) == 1:
            self._tell(rows[0], hashes[0])
            return
        half = len(rows) // 2
        self._look(rows[:half], hashes[:half])
        self._look(rows[half:], hashes[half:])

    def finish(self, again: Callable[[], Iterable[list[tuple[Any, ...]]]]) -> None:
        """Tell the ids that are there twice; ``again`` reads the rows once more, in the rare case that it is needed."""
        suspects = {mark for marks in self._ids for mark in _repeated(marks)}
        if not suspects:
            return
        seen: set[Any] = set()
        for page in again():
            for row in page:
                if hash(row[3]) in suspects:
                    if row[3] in seen:
                        self._report.wrong("id", "an event's id is there twice", row[0])
                    seen.add(row[3])

    def _positions(self, page: Sequence[tuple[Any, ...]]) -> None:
        expected = self._expected
        if [row[0] for row in page] == list(range(expected, expected + len(page))):
            self._expected = expected + len(page)
            return
        for row in page:
            if row[0] != expected:
                self._report.wrong("position", f"the log goes on at {row[0]} where {expected} was expected", expected)
            expected = int(row[0]) + 1
        self._expected = expected

    def _tell(self, row: tuple[Any, ...], digest: bytes) -> None:
        """Say what is wrong with a row, if anything is: a value with an escape in it is not."""
        seq, leaf, kept = row[:3]
        if digest != kept:
            self._report.wrong("leaf_hash", "the hash beside a leaf is not the leaf's", seq)
        said: Any = None
        try:
            said = json.loads(leaf)
            same = type(leaf) is bytes and isinstance(said, dict) and _CANONICAL(said).encode() == leaf
        except (ValueError, TypeError, RecursionError, UnicodeError):
            same = False
        if not same or not _is_event(said):
            self._report.wrong("leaf", "a leaf is not the canonical JSON of an event of this log", seq)
            return
        if self._copies(seq) != tuple(said[_FIELD.get(name, name)] for name in COPIES):
            self._report.wrong("copy", "an event's columns do not say what its leaf says", seq)

    def _copies(self, seq: int) -> tuple[Any, ...]:
        """The copies of one row, each by itself."""
        connection = self._connection
        columns = ", ".join(_INSTANT[connection.dialect.name] if name == "at" else name for name in COPIES)
        driver: Any = connection.connection.driver_connection
        sql = f"SELECT {columns} FROM aiguard_audit_events WHERE seq = {seq:d}"  # noqa: S608 - our own names
        rows = (
            _sqlite(driver, sql, sql)
            if connection.dialect.name == "sqlite"
            else driver.cursor().execute(sql).fetchall()
        )
        return tuple(rows[0]) if len(rows) == 1 else ()


def _in_order(rows: Sequence[tuple[Any, ...]], hashes: Sequence[bytes]) -> bool:
    """Whether all these leaves are what stands beside them, canonical, and of events, with nothing in them that is escaped.

    Each leaf begins as its copies would have it, up to the name of its writer, and ends with a quotation mark of its own: 54 at least. So
    54 times as many of them as there are leaves is exactly 54 in each, and what follows the last ``":"`` is the writer's name and the end.
    """
    _, leaves, kept, _, commits = zip(*rows, strict=True)
    if list(kept) != hashes or None in commits:
        return False
    try:
        together, said = b"".join(leaves), "".join(commits)
        return (
            together.count(b'"') == _QUOTES * len(leaves)
            and together.translate(_AS_IT_IS) == together
            and (together.isascii() or bool(together.decode()))
            and {len(commit) for commit in commits} == {64}
            and said.isascii()
            and not said.encode().translate(None, _HEX.encode())
            and all(map(_WRITER.fullmatch, {leaf.rpartition(b'":"')[2] for leaf in leaves}))
        )
    except (TypeError, AttributeError, UnicodeError):
        return False


def _repeated(marks: Sequence[int]) -> set[int]:
    """Hashes that are there twice. Equal ids have equal hashes; the other way round is looked at by :meth:`Leaves.finish`."""
    if len(set(marks)) == len(marks):
        return set()
    ordered = sorted(marks)
    return {one for one, other in pairwise(ordered) if one == other}


def _is_event(said: dict[str, Any]) -> bool:
    return (
        tuple(sorted(said)) == _FIELDS
        and said["v"] == 1
        and type(said["v"]) is int
        and said["log"] == "main"
        and all(isinstance(value, str) for name, value in said.items() if name != "v")
        and _COMMIT.match(said["commit"]) is not None
        and _WRITER.fullmatch(f'{said["writer"]}"}}'.encode()) is not None
    )


def as_bytes(value: Any) -> bytes:
    """The bytes of a value, whatever its type was made to be."""
    return bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else str(value).encode("utf-8", "replace")


def tiles(connection: Connection, report: Report, cut: int) -> Iterator[list[bytes]]:
    """The leaf hashes of the events before ``cut``, which have expired, a tile at a time."""
    expected = 0
    rows = connection.execute(text("SELECT idx, hashes FROM aiguard_audit_tiles ORDER BY idx"))
    for index, kept in rows:
        hashes = as_bytes(kept)
        if index != expected or len(hashes) != TILE * 32:
            report.wrong(
                "tile", f"the hashes of expired events are missing or damaged at tile {expected}", expected * TILE
            )
            return
        if (expected + 1) * TILE > cut:
            report.wrong("tile", f"hashes of expired events are kept for tile {index}, which nothing says has expired")
            return
        yield [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
        expected += 1
    if expected * TILE != cut:
        report.wrong("tile", f"{cut} events have expired and the hashes of only {expected * TILE} are kept")


def leftovers(connection: Connection, report: Report, cut: int) -> None:
    """Rows of expired events that are still there: they must be those whose hashes are kept."""
    at, tile = -1, b""
    for page in pages(connection):
        for row in page:
            seq = int(row[0])
            if seq >= cut:
                return
            if seq // TILE != at:
                at = seq // TILE
                query = text("SELECT hashes FROM aiguard_audit_tiles WHERE idx = :at")
                tile = as_bytes(connection.execute(query, {"at": at}).scalar() or b"")
            place = seq % TILE * 32
            if tile[place : place + 32] != leaf_hash(as_bytes(row[1])):
                report.wrong("tile", "an expired event is not the one whose hash was kept", seq)
