"""The verifier's look at payloads: each is the one its leaf commits to, and none is missing without a tombstone in the tree."""

from __future__ import annotations

import bisect
import hmac
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from aiguard.audit.report import Report
from aiguard.audit.verify_leaves import as_bytes
from aiguard.errors import AIGuardError, IntegrityError
from aiguard.store.datakeys import KeyDestroyed
from aiguard.types import KeyRing

PAGE: Final = 4_096
SALT_BYTES: Final = 32
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


class Ranges:
    """Positions as merged ranges, both ends included."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self._merged: list[tuple[int, int]] = []
        for first, last in sorted(ranges):
            if self._merged and first <= self._merged[-1][1] + 1:
                self._merged[-1] = (self._merged[-1][0], max(last, self._merged[-1][1]))
            else:
                self._merged.append((first, last))
        self._starts = [first for first, _ in self._merged]

    def __contains__(self, position: int) -> bool:
        at = bisect.bisect_right(self._starts, position) - 1
        return at >= 0 and position <= self._merged[at][1]


def check_payloads(connection: Connection, report: Report, keyring: KeyRing | None, start: int) -> None:
    """Look at the payloads of the events from ``start`` on; without keys only at whether they are there."""
    for seq in _numbers(
        connection,
        "SELECT p.seq FROM aiguard_audit_payloads p LEFT JOIN aiguard_audit_events e ON e.seq = p.seq WHERE e.seq IS NULL",
    ):
        report.wrong("payload", "a payload belongs to no event", seq)
    tombstones = None if keyring is None else _tombstones(connection, keyring)
    erased = Ranges(each for ranges in (tombstones or {}).values() for each in ranges)
    for seq in _numbers(
        connection,
        "SELECT e.seq FROM aiguard_audit_events e LEFT JOIN aiguard_audit_payloads p ON p.seq = e.seq "  # noqa: S608 - a number
        f"WHERE p.seq IS NULL AND e.seq >= {start:d}",
    ):
        if tombstones is None:
            report.lacks("payload", "a payload is missing; the keys can tell whether it was erased", seq)
        elif seq in erased:
            report.erased += 1
        else:
            report.wrong("payload", "a payload is missing and no erasure accounts for it", seq)
    _erasure_rows(connection, report, tombstones)
    if keyring is not None:
        _Openings(report, keyring).all(connection)


def check_outbox(connection: Connection, report: Report, keyring: KeyRing | None) -> datetime | None:
    """Look at what waits in the outbox; the time of the oldest event in it."""
    rows = connection.execute(text("SELECT event_id, sealed, at FROM aiguard_audit_outbox ORDER BY id"))
    oldest: datetime | None = None
    for event, sealed, at in rows:
        report.waiting += 1
        moment = at if isinstance(at, datetime) else _moment(at)
        oldest = min(oldest or moment, moment) if moment is not None else oldest
        if keyring is None:
            continue
        try:
            said = json.loads(keyring.open(as_bytes(sealed), aad=_bound("aiguard/audit-outbox", 1, event)))
            same = said["id"] == event and datetime.fromisoformat(said["at"]) == moment
        except (AIGuardError, ValueError, KeyError, TypeError):
            same = False
        if not same:
            report.wrong("outbox", "a row of the outbox is not what was put there")
    return oldest


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(f"{value}+00:00")
    except ValueError:
        return None


class _Openings:
    """Opens every payload, and tells a key that was destroyed or never given from a payload that was changed."""

    def __init__(self, report: Report, keyring: KeyRing) -> None:
        self._report = report
        self._keyring = keyring
        self._closed: list[tuple[int, str, bool]] = []
        self._readable: set[str] = set()

    def all(self, connection: Connection) -> None:
        for seq, id, subject, leaf, sealed in _rows(connection):
            self._one(seq, str(id), str(subject), as_bytes(leaf), as_bytes(sealed))
        report = self._report
        if self._closed and not report.payloads and not any(destroyed for _, _, destroyed in self._closed):
            report.lacks(
                "key",
                f"none of {len(self._closed)} payloads opens: these are not the master keys they were sealed with",
            )
            return
        for seq, subject, destroyed in self._closed:
            if destroyed and subject not in self._readable:
                report.lacks(
                    "payload",
                    "a payload's key was destroyed and no erasure accounts for the payload yet, or the key store is another",
                    seq,
                )
            else:
                report.wrong("payload", "a payload is not the one its leaf commits to, or its key is another", seq)

    def _one(self, seq: int, id: str, subject: str, leaf: bytes, sealed: bytes) -> None:
        try:
            opened(self._keyring, id, subject, leaf, sealed)
        except KeyDestroyed:
            self._closed.append((seq, subject, True))
        except IntegrityError:
            self._closed.append((seq, subject, False))
        else:
            self._report.payloads += 1
            self._readable.add(subject)


def opened(keyring: KeyRing, id: str, subject: str, leaf: bytes, sealed: bytes) -> bytes:
    """A payload that its leaf commits to, or :class:`~aiguard.errors.IntegrityError`."""
    plain = keyring.open(sealed, aad=_bound("aiguard/audit-payload", 1, id, subject))
    salt, payload = plain[:SALT_BYTES], plain[SALT_BYTES:]
    try:
        commit = str(json.loads(leaf)["commit"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise IntegrityError("The leaf commits to nothing.") from None
    if not hmac.compare_digest(hmac.digest(salt, payload, "sha256").hex().encode(), commit.encode("utf-8", "replace")):
        raise IntegrityError("The payload is not the one its leaf commits to.")
    return payload


def _tombstones(connection: Connection, keyring: KeyRing) -> dict[str, list[tuple[int, int]]]:
    """What each ``erasure.completed`` event says was erased. It can only speak of what was before it."""
    found: dict[str, list[tuple[int, int]]] = {}
    rows = connection.execute(
        text(
            "SELECT e.seq, e.id, e.subject, e.leaf, p.sealed FROM aiguard_audit_events e "
            "JOIN aiguard_audit_payloads p ON p.seq = e.seq WHERE e.type = 'erasure.completed'"
        )
    )
    for seq, id, subject, leaf, sealed in rows:
        try:
            said = json.loads(opened(keyring, str(id), str(subject), as_bytes(leaf), as_bytes(sealed)))
            if json.loads(as_bytes(leaf))["type"] != "erasure.completed":
                continue  # a column that was changed; told with the copies
            found[str(id)] = [(int(first), min(int(last), int(seq) - 1)) for first, last in said.get("events", ())]
        except (AIGuardError, ValueError, TypeError, KeyError, AttributeError):
            continue  # told as a payload that does not open
    return found


def _erasure_rows(connection: Connection, report: Report, tombstones: dict[str, list[tuple[int, int]]] | None) -> None:
    """The rows that allowed payloads to be deleted: each belongs to a tombstone, and the payload is gone."""
    rows = connection.execute(
        text(
            "SELECT r.seq, r.tombstone, t.seq, p.seq FROM aiguard_audit_erased r "
            "LEFT JOIN aiguard_audit_events t ON t.id = r.tombstone AND t.type = 'erasure.completed' "
            "LEFT JOIN aiguard_audit_payloads p ON p.seq = r.seq"
        )
    )
    covered = {id: Ranges(ranges) for id, ranges in (tombstones or {}).items()}
    for seq, tombstone, at, payload in rows:
        accounted = at is not None and at > seq
        if tombstones is not None:
            accounted = accounted and seq in covered.get(str(tombstone), Ranges(()))
        if not accounted:
            report.wrong("erased", "a row says that a payload was erased, and no erasure in the log does", seq)
        elif payload is not None:
            report.wrong("erased", "a row says that a payload was erased, and it is there", seq)


def _numbers(connection: Connection, sql: str) -> Iterator[int]:
    return (int(seq) for seq in connection.execute(text(f"{sql} ORDER BY 1")).scalars())


def _rows(connection: Connection) -> Iterator[Any]:
    after = -1
    while True:
        page = connection.exec_driver_sql(
            "SELECT e.seq, e.id, e.subject, e.leaf, p.sealed FROM aiguard_audit_events e "  # noqa: S608 - a number
            f"JOIN aiguard_audit_payloads p ON p.seq = e.seq WHERE e.seq > {after:d} ORDER BY e.seq LIMIT {PAGE}"
        ).all()
        yield from page
        if len(page) < PAGE:
            return
        after = int(page[-1][0])


def _bound(*parts: Any) -> bytes:
    return _CANONICAL(list(parts)).encode("utf-8", "replace")
