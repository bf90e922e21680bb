"""Deletion certificates: what was deleted, in a form that somebody without access to anything can check.

A certificate lists the events of one run or one erasure. Each comes with its payload and the salt that opens its
commitment, and with a proof that a signed checkpoint of the log covers it (:mod:`aiguard.audit.prove`). With a public key
alone one can check that the log says exactly this; with the lists of ids that a run wrote down, also that these rows were
the ones. It holds counts, times and hashes, and nothing about anybody.
"""

from __future__ import annotations

import hmac
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit.canonical import canonical
from aiguard.audit.note import Verifier
from aiguard.audit.prove import prove_event, verify_proof
from aiguard.audit.tables import SALT_BYTES, AuditEvent, AuditPayload, commitment, payload_aad
from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error
from aiguard.errors import AIGuardError, IntegrityError, MalformedInput, StoreError, StoreUnavailable
from aiguard.retention.evidence import ids_root, instant
from aiguard.types import KeyRing

FORMAT: Final = "aiguard-deletion-certificate/1"
_TYPES: Final = (
    "store.pruned", "store.shredded", "store.prune_completed", "subject.erasure_requested", "subject.erasure_held", "subject.erased",
    "erasure.completed", "subject.erasure_confirmed",
)  # fmt: skip
_DELETES: Final = "store.pruned"


class CertificateRefused(AIGuardError):
    """The certificate does not hold. The message says where."""


def certificate(engine: Engine, keyring: KeyRing, run_id: str, *, now: datetime) -> dict[str, Any]:
    """The certificate of a prune run (``prn_…``) or an erasure (``ers_…``).

    Where no checkpoint covers an event yet, its ``proof`` is ``None`` and ``covered`` is False: sign the log and ask again.

    Raises:
        StoreError: nothing was recorded under that id.
        IntegrityError: the log is not what was recorded.
        StoreUnavailable: the database cannot be read.
    """
    rows = _events(engine, run_id)
    if not rows:
        raise StoreError("Nothing was deleted under that id; `aiguard retention runs` lists runs.")
    events = [_event(engine, keyring, row) for row in rows]
    deletes = [each["payload"] for each in events if each["type"] == _DELETES]
    return {
        "format": FORMAT,
        "run": run_id,
        "issued_at": instant(now),
        "completed": _ended(each["type"] for each in events),
        "covered": all(each["proof"] is not None for each in events),
        **_totals(deletes),
        "events": events,
    }


def verify_certificate(
    data: bytes | str, verifiers: Sequence[Verifier], *, lists: Mapping[int, Sequence[str]] | None = None
) -> dict[str, Any]:
    """What a certificate proves. Nothing is read but ``data``.

    Args:
        data: as :func:`certificate` made it, in JSON.
        verifiers: the log's public keys.
        lists: the ids of each batch, as the run wrote them down; then they must be exactly the deleted ones.

    Raises:
        CertificateRefused: something in it is not what the log says, or not under a checkpoint of a known key.
    """
    try:
        said = json.loads(data)
        events = said["events"]
        if said["format"] != FORMAT or not isinstance(events, list):
            raise ValueError("not a certificate")
        proved = [_proved(each, said["run"], verifiers) for each in events]
        positions = [event["proof"]["index"] for event in events]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CertificateRefused(
            "The file is not a certificate as `aiguard retention certificate` prints it."
        ) from None
    if len(set(positions)) != len(positions):
        raise CertificateRefused("The certificate names an event twice.")
    deletes = [payload for type, payload in proved if type == _DELETES]
    totals = {"completed": _ended(type for type, _ in proved), **_totals(deletes)}
    wrong = [name for name, value in totals.items() if said.get(name) != value]
    if wrong:
        raise CertificateRefused(f"The certificate's {', '.join(wrong)} is not what its events say.")
    ends = [payload for type, payload in proved if type == "store.prune_completed"]
    if ends and (ends[-1]["count"], ends[-1]["batches"]) != (totals["deleted"], len(deletes)):
        raise CertificateRefused("Batches of the run are missing from the certificate.")
    if lists is not None:
        roots = {payload["batch"]: payload["ids_root"] for payload in deletes}
        other = sorted(batch for batch in {*roots, *lists} if ids_root(lists.get(batch, ())) != roots.get(batch))
        if other:
            raise CertificateRefused(f"The ids of batch {other[0]} are not the ones that were deleted.")
    return {"run": said["run"], "ids_checked": lists is not None, **totals}


def read_lists(text: str) -> dict[int, list[str]]:
    """The lists that ``aiguard prune --ids FILE`` wrote: one ``{"batch": n, "ids": […]}`` a line."""
    try:
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        return {int(line["batch"]): [str(id) for id in line["ids"]] for line in lines}
    except (ValueError, KeyError, TypeError):
        raise CertificateRefused("The file of ids is not one that `aiguard prune --ids` wrote.") from None


def _proved(event: Mapping[str, Any], run: str, verifiers: Sequence[Verifier]) -> tuple[str, Mapping[str, Any]]:
    if event["proof"] is None:
        raise CertificateRefused(
            "An event of the certificate is under no checkpoint yet; sign the log, and issue it again."
        )
    try:
        leaf = verify_proof(json.dumps(event["proof"]), verifiers)
    except (IntegrityError, MalformedInput) as error:
        raise CertificateRefused(str(error)) from None
    if leaf["decision_id"] != run or leaf["type"] != event["type"]:
        raise CertificateRefused("An event of the certificate belongs to another run, or is of another type.")
    committed = commitment(bytes.fromhex(event["salt"]), canonical(event["payload"], simple=False))
    if event["at"] != leaf["ts"] or not hmac.compare_digest(committed, leaf["commit"]):
        raise CertificateRefused("What the certificate says about an event is not what the log commits to.")
    return leaf["type"], event["payload"]


def _ended(types: Iterable[str]) -> bool:
    """Whether a run came to its end, or the keys were destroyed: what a run that died has deleted is certified too."""
    return not {"store.prune_completed", "subject.erased"}.isdisjoint(types)


def _totals(deletes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    classes: Counter[str] = Counter()
    for payload in deletes:
        classes.update(payload.get("classes") or {})
    first = [payload["first_expired"] for payload in deletes if "first_expired" in payload]
    last = [payload["last_expired"] for payload in deletes if "last_expired" in payload]
    return {
        "deleted": sum(payload["count"] for payload in deletes),
        "by_class": dict(sorted(classes.items())),
        "first_expired": min(first, default=None),
        "last_expired": max(last, default=None),
    }


def _event(engine: Engine, keyring: KeyRing, row: Mapping[Any, Any]) -> dict[str, Any]:
    opened = keyring.open(row["sealed"], aad=payload_aad(row["id"], row["subject"]))
    salt, payload = opened[:SALT_BYTES], json.loads(opened[SALT_BYTES:])
    try:
        proof = prove_event(engine, row["id"])
    except StoreUnavailable:
        raise
    except StoreError:
        proof = None
    return {
        "id": row["id"],
        "type": row["type"],
        "at": instant(row["at"]),
        "payload": payload,
        "salt": salt.hex(),
        "proof": proof,
    }


def _events(engine: Engine, run_id: str) -> list[Mapping[Any, Any]]:
    query = (
        select(AuditEvent.id, AuditEvent.type, AuditEvent.at, AuditEvent.subject, AuditPayload.sealed)
        .join(AuditPayload, AuditPayload.seq == AuditEvent.seq)
        .where(AuditEvent.decision_id == run_id, AuditEvent.type.in_(_TYPES))
        .order_by(AuditEvent.seq)
    )
    try:
        with reading(engine) as connection:
            return [dict(row) for row in connection.execute(query).mappings()]
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
