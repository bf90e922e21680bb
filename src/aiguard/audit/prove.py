"""Proving something of the log to somebody who has no access to it, from what is signed.

That it holds an *event*: a JSON object ``{"v": 1, "index", "leaf", "proof", "checkpoint"}``, where ``leaf`` is the event's canonical JSON
as a text, ``proof`` the inclusion path of RFC 9162 (base64, lowest first), and ``checkpoint`` the signed note. It holds no payload.

That it only grew between two checkpoints (their *consistency*): ``{"v": 1, "earlier", "proof", "later"}``, with both signed notes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import checkpoint, proofs
from aiguard.audit.merkle import leaf_hash
from aiguard.audit.note import NoteRefused, Verifier
from aiguard.audit.signing import AuditCheckpoint, StoredTree
from aiguard.audit.tables import AuditEvent
from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error
from aiguard.errors import IntegrityError, MalformedInput, StoreError


def prove_event(engine: Engine, event: str) -> dict[str, Any]:
    """The proof of an event, named by its id or its position, under the first checkpoint that covers it.

    Raises:
        StoreError: there is no such event, or no checkpoint covers it yet.
        IntegrityError: the log lacks what the proof is made of, or the event is not what the checkpoint commits to.
        StoreUnavailable: the database cannot be read.
    """
    which = (
        AuditEvent.seq == int(event)
        if event.isascii() and event.isdigit() and len(event) < 19
        else AuditEvent.id == event
    )
    try:
        with reading(engine) as connection:
            row = connection.execute(select(AuditEvent.seq, AuditEvent.leaf).where(which)).first()
            if row is None:
                raise StoreError("The log holds no such event; give the id of an event (evt_…) or its position.")
            query = select(AuditCheckpoint.size, AuditCheckpoint.note).where(AuditCheckpoint.size > row.seq)
            head = connection.execute(query.order_by(AuditCheckpoint.size).limit(1)).first()
            if head is None:
                raise StoreError(
                    "No checkpoint covers the event yet; run `aiguard audit checkpoint`, or wait for the signer."
                )
            tree = StoredTree(connection)
            path = proofs.inclusion(tree, row.seq, head.size)
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
    committed, _ = checkpoint.read(head.note)
    leaf = bytes(row.leaf)
    if not proofs.included(leaf_hash(leaf), row.seq, head.size, path, committed.root):
        raise IntegrityError("The event is not the one its checkpoint commits to; run `aiguard audit verify`.")
    return {
        "v": 1,
        "index": row.seq,
        "leaf": leaf.decode(),
        "proof": _written(path),
        "checkpoint": head.note,
    }


def prove_consistency(engine: Engine, earlier: int | bytes | str, later: int | None = None) -> dict[str, Any]:
    """The proof that the log under one checkpoint is the beginning of the log under another.

    Args:
        engine: the evidence database.
        earlier: a checkpoint that was kept elsewhere, or the size of one in the log.
        later: the size of a checkpoint in the log; by default the newest.

    Raises:
        StoreError: there is no such checkpoint.
        IntegrityError: the log does not begin with what ``earlier`` commits to (it was rewritten, or rolled back), the checkpoint
            cannot be read, or the log lacks what the proof is made of.
        StoreUnavailable: the database cannot be read.
    """
    try:
        with reading(engine) as connection:
            note = _checkpoint(connection, earlier) if isinstance(earlier, int) else earlier
            newer = _checkpoint(connection, later)
            first, spelled = checkpoint.read(note)
            second, _ = checkpoint.read(newer)
            if first.origin != second.origin:
                raise IntegrityError("The checkpoint is of another log.")
            if first.size > second.size:
                raise IntegrityError(
                    f"The checkpoint commits to {first.size} events and the log's to {second.size}: rolled back, or not signed since; "
                    "run `aiguard audit verify --from` with the checkpoint."
                )
            path = proofs.consistency(StoredTree(connection), first.size, second.size)
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
    if not proofs.consistent(first.size, second.size, path, first.root, second.root):
        raise IntegrityError(
            f"The first {first.size} events are not those that the checkpoint commits to; run `aiguard audit verify --from` with it."
        )
    return {"v": 1, "earlier": str(spelled), "proof": _written(path), "later": newer}


def _checkpoint(connection: Connection, size: int | None) -> str:
    query = select(AuditCheckpoint.note)
    query = query.order_by(AuditCheckpoint.size.desc()) if size is None else query.where(AuditCheckpoint.size == size)
    note = connection.execute(query.limit(1)).scalar()
    if note is None:
        raise StoreError(
            "The log has no checkpoint yet; run `aiguard audit checkpoint`."
            if size is None
            else f"The log has no checkpoint over {size} events; give the size of one, or a file."
        )
    return str(note)


def _written(path: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(step).decode() for step in path]


def verify_proof(data: bytes | str, verifiers: Sequence[Verifier]) -> dict[str, Any]:
    """What the proved event says, or ``{"log", "earlier", "later"}`` with both sizes. Nothing is read but ``data``.

    Raises:
        MalformedInput: it is not a proof.
        IntegrityError: a checkpoint is not signed by a known key, or the proof does not lead to it.
    """
    try:
        said = json.loads(data)
        path = [base64.b64decode(step, validate=True) for step in said["proof"]]
        if said["v"] != 1 or len(path) > 128 or any(len(step) != 32 for step in path):
            raise ValueError("not a proof")
        return _consistent(said, path, verifiers) if "earlier" in said else _included(said, path, verifiers)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MalformedInput("The file is not a proof as `aiguard audit prove` writes it; is it cut off?") from None


def _included(said: dict[str, Any], path: Sequence[bytes], verifiers: Sequence[Verifier]) -> dict[str, Any]:
    index, leaf, note = said["index"], said["leaf"].encode(), said["checkpoint"]
    event = json.loads(leaf)
    if type(index) is not int or not isinstance(note, str) or not isinstance(event, dict):
        raise ValueError("not a proof")
    committed = checkpoint.trust(note, verifiers)
    if not proofs.included(leaf_hash(leaf), index, committed.size, path, committed.root):
        raise NoteRefused("The event is not under the checkpoint: it, its position or the proof was changed.")
    return event


def _consistent(said: dict[str, Any], path: Sequence[bytes], verifiers: Sequence[Verifier]) -> dict[str, Any]:
    if not isinstance(said["earlier"], str) or not isinstance(said["later"], str):
        raise TypeError("not a proof")
    first, second = (checkpoint.trust(said[name], verifiers) for name in ("earlier", "later"))
    if first.origin != second.origin:
        raise NoteRefused("The two checkpoints are of different logs.")
    if not proofs.consistent(first.size, second.size, path, first.root, second.root):
        raise NoteRefused("The later log does not begin with the earlier one: a checkpoint or the proof was changed.")
    return {"log": first.origin, "earlier": first.size, "later": second.size}
