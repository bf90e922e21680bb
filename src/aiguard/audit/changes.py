"""What the log tells of its own surroundings: that another policy came into force, and that other keys sign it.

Both are found out by comparing what is here with what the log says of its past, by whichever process comes first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit.checkpoint import trust
from aiguard.audit.events import POLICY_LOADED, SIGNING_KEY_CHANGED
from aiguard.audit.note import Signer, Verifier, parse
from aiguard.audit.signing import latest
from aiguard.audit.tables import AuditEvent, append, lock_sequencer
from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Sealing
from aiguard.errors import IntegrityError
from aiguard.types import AuditRecord, KeyRing, new_id

LOOK_BACK: Final = 1_000
"""Newest events among which one that names a policy is looked for."""


def policy_loaded(engine: Engine, keyring: KeyRing, policy_hash: str, *, environment: str, now: datetime) -> bool:
    """Record that a policy is in force, if the newest event that names one names another; whether it was recorded.

    Of a log without such an event nothing is recorded: its first decision will say which policy it begins with.

    Raises:
        StoreError: the database could not be used.
    """
    try:
        with reading(engine) as connection:
            if _policy_before(connection) in {None, policy_hash}:
                return False
        with writing(engine) as connection:
            lock_sequencer(connection)
            before = _policy_before(connection)
            if before in {None, policy_hash}:  # another process was first
                return False
            record = AuditRecord(
                type=POLICY_LOADED,
                decision_id=new_id("pol"),
                resource="policy",
                policy_hash=policy_hash,
                payload={"before": before, "environment": environment},
                at=now,
            )
            append(connection, [record], Sealing(keyring=keyring, writer=new_id("wrt")))
    except SQLAlchemyError as error:
        raise as_store_error(error) from None
    return True


def signing_keys_changed(
    engine: Engine, keyring: KeyRing, signers: Sequence[Signer], *, now: datetime, trusted: Sequence[Verifier] = ()
) -> bool:
    """Record that ``signers`` are about to sign, if others signed the newest checkpoint; whether it was recorded.

    Nothing is recorded where the newest checkpoint bears no signature of theirs or of a ``trusted`` key: then they will not sign.

    The event comes before the first checkpoint of the new keys, so that checkpoint covers it.

    Raises:
        StoreError: the database could not be used.
    """
    head = latest(engine)
    if head is None:
        return False
    origin = signers[0].name
    try:
        trust(head.note, [*trusted, *(signer.verifier for signer in signers)], origin=origin)
        signed = {signature.id for signature in parse(head.note).signatures if signature.name == origin}
    except IntegrityError:
        return False  # whoever signs next refuses it
    signing = {signer.verifier.id for signer in signers}
    if signed == signing:
        return False
    seen = hashlib.sha256(head.note.encode() + b"".join(sorted(signing))).hexdigest()
    record = AuditRecord(
        id=f"evt_{seen[:26].upper()}",  # the same in every process that finds this out
        type=SIGNING_KEY_CHANGED,
        decision_id=new_id("sig"),
        resource="audit",
        payload={"keys": _named(signing), "before": _named(signed)},
        at=now,
    )
    try:
        with writing(engine) as connection:
            lock_sequencer(connection)
            if connection.execute(select(AuditEvent.seq).where(AuditEvent.id == record.id)).first() is not None:
                return False
            append(connection, [record], Sealing(keyring=keyring, writer=new_id("wrt")))
    except SQLAlchemyError as error:
        raise as_store_error(error) from None
    return True


def _policy_before(connection: Connection) -> str | None:
    query = select(AuditEvent.policy_hash).order_by(AuditEvent.seq.desc()).limit(LOOK_BACK)
    return next((str(each) for each in connection.execute(query).scalars() if each), None)


def _named(ids: set[bytes]) -> list[str]:
    return [f"ed25519-{id.hex()}" for id in sorted(ids)]
