"""Everything that is kept about a person (GDPR Art. 15), as one JSON-able object.

It holds personal data in the clear: whoever makes one hands it to the person and to nobody else. That it was made is in the
log before it is handed out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Engine, Table, or_, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import append, read
from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Sealing
from aiguard.errors import IntegrityError
from aiguard.retention.erasing import NobodyKnown
from aiguard.retention.evidence import instant
from aiguard.retention.people import Person
from aiguard.store import SubjectKeyRing, VaultEntry
from aiguard.store.tables import Artifact, artifact_aad
from aiguard.store.vault import entry_aad
from aiguard.types import AuditRecord, Sensitivity, new_id

FORMAT: Final = "aiguard-subject-export/1"
MAX_EVENTS: Final = 100_000
"""Events of one export; the object says when there were more."""

_ARTIFACTS: Final = cast("Table", Artifact.__table__)
_VAULT: Final = cast("Table", VaultEntry.__table__)
_SAID: Final = ("data_class", "feature", "basis", "owner", "mechanism", "retention", "policy_hash", "decision_id")


def export(engine: Engine, keyring: SubjectKeyRing, person: Person, *, by: str, now: datetime) -> dict[str, Any]:
    """Artifacts about the person, values behind tokens, and events that name them.

    A row that does not open is listed with ``"content": null`` and why, so that one damaged row hides no other.

    Raises:
        NobodyKnown: there is no key of theirs.
        StoreUnavailable: a database cannot be used; then nothing is handed out.
    """
    if not person.names:
        raise NobodyKnown("Nothing is kept under that id; check the id and the tenant.")
    id, names = new_id("exp"), list(person.every_name)
    artifacts = select(_ARTIFACTS).where(_ARTIFACTS.c.subject.in_(names)).order_by(_ARTIFACTS.c.created_at)
    entries = select(_VAULT).where(or_(_VAULT.c.subject.in_(names), _VAULT.c.actor.in_(names)))
    try:
        with reading(engine) as connection:
            kept = [_artifact(row, keyring) for row in connection.execute(artifacts).mappings()]
            tokens = [_entry(row, keyring) for row in connection.execute(entries).mappings()]
        events = _events(engine, keyring, names)
        counts = {"artifacts": len(kept), "tokens": len(tokens), "events": len(events)}
        record = AuditRecord(
            type="subject.exported",
            decision_id=id,
            actor=keyring.pseudonym("operator", by),
            resource="retention",
            payload=counts,
            at=now,
        )
        with writing(engine) as connection:
            append(connection, [record], Sealing(keyring=keyring, writer=new_id("wrt")))
    except SQLAlchemyError as error:
        raise as_store_error(error, "handed out") from None
    return {
        "format": FORMAT,
        "id": id,
        "at": instant(now),
        "names": dict(person.names),
        "artifacts": kept,
        "tokens": tokens,
        "events": events[:MAX_EVENTS],
        "events_left_out": len(events) > MAX_EVENTS,
    }


def _artifact(row: Mapping[Any, Any], keyring: SubjectKeyRing) -> dict[str, Any]:
    return {
        "id": row["id"],
        **{name: row[name] for name in _SAID},
        "sensitivity": Sensitivity(row["sensitivity"]).name.lower(),
        "created_at": instant(row["created_at"]),
        "expires_at": instant(row["expires_at"]),
        **_opened(keyring, row["content"], artifact_aad(row), "content"),
    }


def _entry(row: Mapping[Any, Any], keyring: SubjectKeyRing) -> dict[str, Any]:
    return {
        "type": row["type"],
        "created_at": instant(row["created_at"]),
        "expires_at": instant(row["expires_at"]),
        **_opened(keyring, row["sealed"], entry_aad(row), "value"),
    }


def _opened(keyring: SubjectKeyRing, sealed: bytes, aad: bytes, name: str) -> dict[str, Any]:
    try:
        return {name: keyring.open(sealed, aad=aad).decode("utf-8", "surrogatepass")}
    except IntegrityError as error:
        return {name: None, "unreadable": str(error)}


def _events(engine: Engine, keyring: SubjectKeyRing, names: list[str]) -> list[dict[str, Any]]:
    found: dict[int, read.Event] = {}
    for name in names:
        for role in ("subject", "actor"):
            for event in read.search(engine, keyring, limit=MAX_EVENTS + 1, **{role: name}):  # type: ignore[arg-type]
                found[event.seq] = event
    return [
        {
            "seq": event.seq,
            "type": event.type,
            "at": instant(event.at),
            "feature": event.resource,
            "decision_id": event.decision_id,
            # What an event says about somebody else whom this person only acted for is not theirs.
            "payload": dict(event.payload) if event.subject in names or not event.subject else None,
        }
        for _, event in sorted(found.items())
    ]
