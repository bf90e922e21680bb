"""Proving one event to somebody who has no access to the log: its leaf, its place in the tree, and a signed checkpoint.

A proof is a JSON object ``{"v": 1, "index", "leaf", "proof", "checkpoint"}``: ``leaf`` is the event's canonical JSON as a text,
``proof`` the inclusion path of RFC 9162 (base64, lowest first), ``checkpoint`` the signed note. It holds no payload.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, select
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
        "proof": [base64.b64encode(step).decode() for step in path],
        "checkpoint": head.note,
    }


def verify_proof(data: bytes | str, verifiers: Sequence[Verifier]) -> dict[str, Any]:
    """What the proved event says. Nothing is read but ``data``.

    Raises:
        MalformedInput: it is not a proof.
        IntegrityError: the checkpoint is not signed by a known key, or the event is not under it.
    """
    try:
        said = json.loads(data)
        index, leaf, note = said["index"], said["leaf"].encode(), said["checkpoint"]
        path = [base64.b64decode(step, validate=True) for step in said["proof"]]
        event = json.loads(leaf)
        if said["v"] != 1 or type(index) is not int or not isinstance(note, str) or not isinstance(event, dict):
            raise ValueError("not a proof")
        if len(path) > 64 or any(len(step) != 32 for step in path):
            raise ValueError("not a path")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MalformedInput("The file is not a proof as `aiguard audit prove` writes it.") from None
    committed = checkpoint.trust(note, verifiers)
    if not proofs.included(leaf_hash(leaf), index, committed.size, path, committed.root):
        raise NoteRefused("The event is not under the checkpoint: it, its position or the proof was changed.")
    return event
