"""Verifying the log as an outsider would: everything is derived again from the leaves, and compared with every copy of it.

Nothing here, or in the ``verify_…`` modules beside it, is shared with the code that writes the log but the hashes of RFC 6962
(import-linter holds that); what the writer gets wrong is not got wrong here in the same way.

What is compared:

* positions: 0, 1, 2 … without a gap, as many as the log says it has; those before a signed statement of expiry by their hashes;
* each leaf: canonical JSON (RFC 8785) with exactly the known fields, whose hash is the one beside it, and each indexed copy of a
  field equal to the field;
* every event's id is there once;
* the hashes that proofs are made of;
* every checkpoint: signed by a known key, of this log, with the root of that many leaves; and those from outside, if given;
* with the keys: every payload is the one its leaf commits to. A payload may be missing only where an erasure says so;
* the triggers that refuse changes are in place, and what the migrations make.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit.report import Problem, Report, Status
from aiguard.audit.verify_leaves import TILE, Leaves, Tree, as_bytes, leftovers, map_file, pages, tiles
from aiguard.audit.verify_notes import Expired, Head, Key, Refused, Strange, expired_of, head_of, id_of
from aiguard.audit.verify_payloads import check_outbox, check_payloads
from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error, code_of, garbled
from aiguard.db.triggers import LOG, faults
from aiguard.types import KeyRing

__all__ = ["WINDOW", "Problem", "Report", "Status", "encode_hash", "verify"]

WINDOW: Final = timedelta(seconds=60)
"""An event that no checkpoint covers after this time makes the log stale."""

MAPPED: Final = 1 << 40
"""Bytes of a SQLite file that are read through a memory map, which saves a copy of every page."""

_DAMAGED: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


def verify(
    engine: Engine,
    verifiers: Sequence[Key],
    *,
    origin: str,
    earlier: Sequence[bytes | str] = (),
    keyring: KeyRing | None = None,
    now: datetime | None = None,
    window: timedelta = WINDOW,
    progress: Callable[[int], None] = lambda _count: None,
) -> Report:
    """Verify the whole log.

    Args:
        engine: the evidence database; it is only read.
        verifiers: public keys that may have signed checkpoints. None: signatures cannot be checked, which is a gap.
        origin: the name of the log in its checkpoints.
        earlier: checkpoints that were kept elsewhere; the log must still begin with what they commit to.
        keyring: opens payloads and compares them with what their leaves commit to; None leaves them alone.
        now: the present, for :data:`WINDOW`.
        window: how long an event may wait for its checkpoint.
        progress: told how many events have been looked at.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    report = Report()
    outside = [head for note in earlier if (head := _outside(report, note, verifiers, origin)) is not None]
    failures = (SQLAlchemyError, engine.dialect.loaded_dbapi.Error)
    try:
        with reading(engine, snapshot=True) as connection:
            try:
                map_file(connection, MAPPED)
                _Walk(connection, report, verifiers, origin, progress).go(outside)
                check_payloads(connection, report, keyring, report.expired)
                _triggers(connection, report)
                _timeliness(
                    report, connection, check_outbox(connection, report, keyring), now or datetime.now(UTC), window
                )
            except (TypeError, ValueError, OverflowError) as error:
                report.wrong("database", f"rows are not of the kind that was written ({type(error).__name__})")
            except failures as error:
                if garbled(error):
                    report.wrong("database", "a row holds a text that is none")
                elif not code_of(error).startswith(_DAMAGED):
                    raise
                else:
                    report.wrong("database", "the file is damaged: parts of it cannot be read as a database")
            finally:
                map_file(connection, 0)
    except failures as error:
        raise as_store_error(error, "read") from None
    if not verifiers:
        report.lacks("signature", "no verifier key is known, so no signature was checked")
    elif not report.checkpoints and report.events:
        report.lacks("checkpoint", "the log has no checkpoint: nothing proves that it is whole")
    return report


def _outside(report: Report, note: bytes | str, verifiers: Sequence[Key], origin: str) -> Head | None:
    try:
        return head_of(note, verifiers, origin)
    except Refused as why:
        report.wrong("earlier", f"a checkpoint from outside cannot be used: {why}")
        return None


class _Walk:
    """Leaves, their copies, kept hashes, checkpoints and statements of expiry, in one pass."""

    def __init__(
        self,
        connection: Connection,
        report: Report,
        verifiers: Sequence[Key],
        origin: str,
        progress: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._report = report
        self._verifiers = verifiers
        self._origin = origin
        self._progress = progress
        self._tree = Tree()
        self._nodes = _Nodes(connection, report)
        self._notes = _notes(connection)
        self._note = next(self._notes, None)
        self._strange: list[tuple[int, Strange]] = []

    def go(self, outside: Sequence[Head]) -> None:
        """Walk it, and hold ``outside`` against it."""
        self._believed = bool(outside)
        self._earlier = sorted(outside, key=lambda head: head.size)
        self._expired = self._statements()
        report, connection = self._report, self._connection
        cut = report.expired = max((said.cut for said in self._expired), default=0)
        self._settle()
        if cut or _any(connection, "SELECT 1 FROM aiguard_audit_tiles LIMIT 1"):
            for hashes in tiles(connection, report, cut):
                self._grow(hashes)
            leftovers(connection, report, cut)
        leaves = Leaves(connection, report, cut)
        for page in pages(connection, cut - 1 if cut else None):
            self._grow(leaves.check(page))
            self._progress(self._tree.size)
        leaves.finish(lambda: pages(connection, cut - 1 if cut else None))
        self._end()

    def _grow(self, hashes: list[bytes]) -> None:
        """Take leaf hashes, stopping wherever something commits to that many."""
        start = 0
        while (stop := self._next_stop()) is not None and stop - self._tree.size <= len(hashes) - start:
            end = start + stop - self._tree.size
            self._nodes.compare(self._tree.extend(hashes[start:end]))
            start = end
            self._settle()
        self._nodes.compare(self._tree.extend(hashes[start:]))

    def _next_stop(self) -> int | None:
        sizes = [self._earlier[0].size] if self._earlier else []
        if self._note is not None:
            sizes.append(self._note[0])
        if self._expired:
            sizes.append(self._expired[0].cut)
        return min(sizes, default=None)

    def _settle(self) -> None:
        """Compare everything that commits to as many leaves as there are now."""
        size, report = self._tree.size, self._report
        while self._note is not None and self._note[0] <= size:
            self._checkpoint(*self._note)
            self._note = next(self._notes, None)
        while self._earlier and self._earlier[0].size <= size:
            if self._earlier.pop(0).root != self._tree.root():
                report.wrong("earlier", f"the first {size} events are not those an earlier checkpoint commits to")
        while self._expired and self._expired[0].cut <= size:
            said = self._expired.pop(0)
            if said.root != self._tree.root() or said.frontier != self._tree.edge():
                report.wrong("expiry", f"the {said.cut} events that have expired are not those that were signed for")

    def _checkpoint(self, size: int, note: str) -> None:
        report = self._report
        report.checkpoints += 1
        if not self._verifiers:
            return
        try:
            head = head_of(note, self._verifiers, self._origin)
        except Strange as why:
            self._strange.append((size, why))
            return
        except Refused as why:
            report.wrong("checkpoint", f"the checkpoint over {size} events is not to be trusted: {why}")
            return
        if size != self._tree.size or head.size != size:
            report.wrong("checkpoint", f"the checkpoint filed under {size} commits to {head.size} events")
        elif head.root != self._tree.root():
            report.wrong("checkpoint", f"the first {size} events are not those the checkpoint commits to")
        else:
            report.signed = size

    def _statements(self) -> list[Expired]:
        """The statements of expiry in the database that are to be believed, smallest first."""
        found: list[Expired] = []
        for cut, note in self._connection.execute(text("SELECT cut, note FROM aiguard_audit_prunes ORDER BY cut")):
            if not self._verifiers:  # told as a gap; what follows is at least held against the tiles
                continue
            try:
                said = expired_of(str(note), self._verifiers, self._origin)
            except Refused as why:
                self._report.wrong(
                    "expiry", f"the statement that {cut} events have expired is not to be trusted: {why}"
                )
                continue
            if said.cut != cut or said.cut % TILE:
                self._report.wrong("expiry", f"the statement filed under {cut} speaks of {said.cut} events")
                continue
            found.append(said)
        return found

    def _end(self) -> None:
        report, tree = self._report, self._tree
        report.events, report.root = tree.size, tree.root()
        while self._note is not None:
            report.checkpoints += 1
            report.wrong("checkpoint", f"a checkpoint commits to {self._note[0]} events and the log holds {tree.size}")
            self._note = next(self._notes, None)
        for head in self._earlier:
            report.wrong(
                "rollback",
                f"an earlier checkpoint commits to {head.size} events and the log holds {tree.size}: rolled back",
            )
        self._strangers()
        self._nodes.finish(tree.size)
        said = self._connection.execute(text("SELECT log, size FROM aiguard_audit_logs")).all()
        if [tuple(row) for row in said] != [("main", tree.size)]:
            report.wrong("size", f"the log's own count is not the {tree.size} events that are there")
        self._progress(tree.size)

    def _strangers(self) -> None:
        """Tell of checkpoints that bear no known signature. Where none bears one, the key that was given may be the wrong one.

        It may as well be the right one, and the log signed anew by somebody else: nothing here tells the two apart, so neither is milder.
        """
        report = self._report
        if self._strange and len(self._strange) == report.checkpoints and not self._believed:
            given = ", ".join(id_of(key) for key in self._verifiers[:4])
            theirs = ", ".join(sorted({id for _, why in self._strange for id in why.signed_by})[:4])
            report.wrong(
                "signer",
                f"no checkpoint bears a signature of the public key given ({given}); all {report.checkpoints} were signed by key {theirs}. "
                "Is it this log's public key? If it is, somebody else has signed the log",
            )
            return
        for size, why in self._strange:
            report.wrong("checkpoint", f"the checkpoint over {size} events is not to be trusted: {why}")


def _notes(connection: Connection) -> Iterator[tuple[int, str]]:
    """Checkpoints in order of what they are filed under, some at a time."""
    after: int | None = None
    while True:
        where = "" if after is None else f"WHERE size > {after:d}"
        rows = connection.exec_driver_sql(
            f"SELECT size, note FROM aiguard_audit_checkpoints {where} ORDER BY size LIMIT 1000"  # noqa: S608 - a number
        ).all()
        for size, note in rows:
            yield int(size), str(note)
        if len(rows) < 1000:
            return
        after = int(rows[-1][0])


def _any(connection: Connection, sql: str) -> bool:
    return connection.execute(text(sql)).first() is not None


class _Nodes:
    """The hashes kept for proofs, compared as the tree completes them. They may lag behind; they may not be wrong."""

    def __init__(self, connection: Connection, report: Report) -> None:
        self._report = report
        rows = connection.execute(text("SELECT level, idx, hash FROM aiguard_audit_nodes"))
        self._kept = {(int(level), int(index)): as_bytes(value) for level, index, value in rows}

    def compare(self, completed: Iterator[tuple[int, int, list[bytes]]]) -> None:
        """Hold what the tree has completed against what is kept."""
        for level, first, hashes in completed:
            for index, value in enumerate(hashes, first):
                kept = self._kept.pop((level, index), None)
                if kept is not None and kept != value:
                    self._report.wrong(
                        "node", f"the hash kept for subtree {index} of level {level} is not that subtree's"
                    )

    def finish(self, size: int) -> None:
        """What is left belongs to no subtree of the log."""
        for level, index in self._kept:
            self._report.wrong("node", f"a hash is kept for subtree {index} of level {level}, which {size} events lack")


def _triggers(connection: Connection, report: Report) -> None:
    """What keeps the database from changing the log: where it is missing, nothing is proved false; where it was exchanged, somebody did that."""
    found = faults(connection, LOG)
    for name in found.missing:
        report.lacks("trigger", f"the trigger {name}, which refuses changes, is not there or not in force")
    for name in found.altered:
        report.wrong(
            "trigger", f"the trigger {name}, which refuses changes, was replaced: it is not what the migrations make"
        )
    for what in found.added:
        report.lacks(
            "trigger", f"{what} is not what the migrations make: it may keep rows from being written, or hide them"
        )


def _timeliness(
    report: Report, connection: Connection, waiting: datetime | None, now: datetime, window: timedelta
) -> None:
    if waiting is not None and now - waiting.astimezone(UTC) > window:
        detail = f"{report.waiting} events wait in the outbox for their place in the log; does any process drain it?"
        report.waits("outbox", detail)
    distrusted = any(problem.check in {"checkpoint", "signer"} for problem in report.problems)
    if not report.unsigned or not report.checkpoints or distrusted:  # how much is signed is not known then
        return
    first, last = (
        _told_at(
            connection.execute(
                text(f"SELECT leaf FROM aiguard_audit_events WHERE seq >= :signed ORDER BY seq {order} LIMIT 1"),  # noqa: S608 - two words
                {"signed": report.signed},
            ).scalar()
        )
        for order in ("ASC", "DESC")
    )
    if first is not None and now - first > window:
        seconds = int((now - first).total_seconds())
        detail = f"{report.unsigned} events have no checkpoint, the oldest since {seconds} s; is the signer running?"
        report.waits("checkpoint", detail, report.signed)
    elif last is not None and last - now > window:
        seconds = int((last - now).total_seconds())
        detail = f"an event without a checkpoint is {seconds} s ahead of this clock: one of the two clocks has jumped"
        report.waits("clock", detail, report.events - 1)


def _told_at(leaf: Any) -> datetime | None:
    """The time that a leaf tells, or None where it is told already that the leaf is not one."""
    try:
        return datetime.fromisoformat(json.loads(as_bytes(leaf))["ts"])
    except (ValueError, KeyError, TypeError):
        return None


def encode_hash(value: bytes) -> str:
    """A hash as checkpoints write it."""
    return base64.b64encode(value).decode()
