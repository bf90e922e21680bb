"""After a change of policy: when kept artifacts go, computed anew from the rules in force.

A row remembers the hash of the rules that gave its expiry. Rows of another hash get the expiry, basis, owner and mechanism of the
rule that fits them now, counted from their creation, and are sealed anew, because their ciphertext is bound to those. A row that
no rule covers any more, or whose key was destroyed, keeps its expiry, and is counted; its hash says that it was looked at. One that does
not open for another reason, such as a master key that is not at hand, keeps its expiry, too, and is told of and tried again by every run. Until
a row was looked at, a run of the retention job leaves it.

Nothing is deleted here. What a shorter rule has made due is in the next plan, under the same limits as anything else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, Table, bindparam, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import append
from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Sealing
from aiguard.errors import AIGuardError, IntegrityError
from aiguard.policy import Policy
from aiguard.retention.holds import latch
from aiguard.retention.planning import unopened
from aiguard.retention.shredding import missing
from aiguard.retention.tables import ERASURES
from aiguard.retention.turns import Turns
from aiguard.store import DataKey, KeyDestroyed, SubjectKeyRing
from aiguard.store.tables import Artifact, artifact_aad
from aiguard.types import AuditRecord, KeyRing, Sensitivity, hour_key, new_id

logger = logging.getLogger("aiguard")

BATCH: Final = 200
"""Rows of one transaction."""

_ARTIFACTS: Final = cast("Table", Artifact.__table__)
_CHANGE: Final = (
    update(_ARTIFACTS)
    .where(_ARTIFACTS.c.id == bindparam("row_id"))
    .values({name: bindparam(f"new_{name}") for name in (
        "expires_at", "basis", "owner", "mechanism", "retention", "retention_hash", "content",
    )})
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Recomputed:
    """What a run changed. ``uncovered`` rows have no rule, ``unreadable`` ones do not open; both kept their expiry.

    Of the unreadable ones ``destroyed`` open for nobody, since their key was destroyed. The others are tried again.
    """

    run_id: str
    changed: int
    uncovered: int
    unreadable: int
    destroyed: int = 0
    fresh: int = 0
    """Those that no run has met before."""


class KeysElsewhere(AIGuardError):
    """No row opens, because the key store at hand is not the one that its key is in. Nothing was changed."""


def recompute(
    engine: Engine,
    keyring: KeyRing,
    policy: Policy,
    *,
    now: datetime,
    progress: Callable[[int], None] | None = None,
) -> Recomputed:
    """Compute expiries under ``policy`` for every row that was computed under other rules.

    In batches, resumable: rows that are done are not looked at again. Rows whose application gave their expiry itself (no
    hash) are left alone.

    Raises:
        StoreUnavailable: a database cannot be used. What was committed stays.
        KeysElsewhere: the key store at hand is another one.
    """
    run_id, after = new_id("rcp"), ""
    changed = uncovered = unreadable = destroyed = fresh = 0
    tenants = {
        keyring.pseudonym("tenant", rule.tenant): rule.tenant for rule in policy.retention_overrides if rule.tenant
    }
    try:
        others = _others(engine, policy.retention_hash)
        turns = Turns(engine, most=BATCH)
        while others and (rows := _outdated(engine, others, after, turns.rows)):
            step = _step(engine, keyring, policy, rows, tenants, turns)
            changed, uncovered, unreadable = (
                changed + step.changed, uncovered + step.uncovered, unreadable + step.unreadable,
            )  # fmt: skip
            destroyed, fresh = destroyed + step.destroyed, fresh + step.fresh
            after = rows[-1]["id"]
            if progress is not None:
                progress(len(rows))
            turns.rest()
        if changed or fresh:
            with writing(engine) as connection:
                _tell(connection, keyring, policy, run_id, now, changed, uncovered, unreadable)
    except SQLAlchemyError as error:
        raise as_store_error(error) from None
    if unreadable > destroyed:
        logger.warning(
            "%d kept contents do not open with the keys at hand, so they keep the times that older rules gave them; every run tries again, "
            "and `aiguard keys list` says which master keys are missing",
            unreadable - destroyed,
        )
    return Recomputed(
        run_id=run_id,
        changed=changed,
        uncovered=uncovered,
        unreadable=unreadable,
        destroyed=destroyed,
        fresh=fresh,
    )


def _others(engine: Engine, hash: str) -> list[str]:
    """The hashes of other rules under which rows are kept: one step through the index each, however many rows there are."""
    c = _ARTIFACTS.c.retention_hash
    found: list[str] = []
    last = ""
    with reading(engine) as connection:
        while (step := connection.execute(select(func.min(c)).where(c > last)).scalar()) is not None:
            last = str(step)
            found.append(last)
    return [each for each in found if each != hash]


def _outdated(engine: Engine, others: Sequence[str], after: str, limit: int) -> list[dict[str, Any]]:
    c = _ARTIFACTS.c
    query = select(_ARTIFACTS).where(c.id > after, c.retention_hash.in_(others)).order_by(c.id).limit(limit)
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def _step(
    engine: Engine,
    keyring: KeyRing,
    policy: Policy,
    rows: Sequence[Mapping[str, Any]],
    tenants: Mapping[str, str],
    turns: Turns,
) -> Recomputed:
    """One transaction. It begins anew when a key of an hour was destroyed before it was committed."""
    while True:
        terms = {row["id"]: _terms(policy, row, tenants) for row in rows}
        hours = _hours(keyring, [each for each in terms.values() if each is not None])
        changes: list[dict[str, Any]] = []
        destroyed: list[str] = []
        closed: list[Mapping[str, Any]] = []
        for row in rows:
            new = terms[row["id"]]
            if new is None:
                continue
            hour = hours.get(hour_key(new["mechanism"], new["expires_at"]))
            try:
                content = _resealed(keyring, row, {**row, **new}, hour)
            except IntegrityError as error:
                if isinstance(error, KeyDestroyed):
                    destroyed.append(row["id"])
                else:
                    closed.append(row)
                continue
            changes.append(
                {"row_id": row["id"], "new_content": content, **{f"new_{name}": value for name, value in new.items()}}
            )
        if destroyed and not changes and not _erasing(engine):
            raise KeysElsewhere(
                f"The key store holds none of the keys of the {len(destroyed)} rows looked at, and nobody is being erased: does AIGUARD_KEY_STORE_URL "
                "name the application's key store here? Nothing was changed."
            )
        uncovered = [id for id, new in terms.items() if new is None]
        later = unopened(policy.retention_hash)
        fresh = [row["id"] for row in closed if row["retention_hash"] != later]
        with turns.turn() as turn:
            connection = turn.connection
            latch(connection, alone=False)
            if hours and missing(cast("SubjectKeyRing", keyring), hours, [key.id for key in hours.values()]):
                cast("SubjectKeyRing", keyring).forget()
                continue
            if changes:
                connection.execute(_CHANGE, changes)
            for ids, hash in (([*destroyed, *uncovered], policy.retention_hash), (fresh, later)):
                if ids:
                    connection.execute(update(_ARTIFACTS).where(_ARTIFACTS.c.id.in_(ids)).values(retention_hash=hash))
            turn.did(len(rows))
        return Recomputed(
            run_id="",
            changed=len(changes),
            uncovered=len(uncovered),
            unreadable=len(destroyed) + len(closed),
            destroyed=len(destroyed),
            fresh=len(fresh) + len(destroyed),
        )


def _erasing(engine: Engine) -> bool:
    """Whether an erasure is under way, whose rows may be there without their keys."""
    with reading(engine) as connection:
        return (
            connection.execute(select(ERASURES.c.id).where(ERASURES.c.sweep_at.is_not(None)).limit(1)).first()
            is not None
        )


def _terms(policy: Policy, row: Mapping[str, Any], tenants: Mapping[str, str]) -> dict[str, Any] | None:
    """What the rules in force say about a row; None where none covers it."""
    rule = policy.retention_for(
        row["data_class"],
        feature=row["feature"],
        tenant=tenants.get(row["tenant"]),
        sensitivity=Sensitivity(row["sensitivity"]),
    )
    if rule is None:
        return None
    return {
        "expires_at": row["created_at"] + rule.duration,
        "basis": rule.basis,
        "owner": rule.owner,
        "mechanism": str(rule.mechanism),
        "retention": rule.written or str(rule.duration),
        "retention_hash": policy.retention_hash,
    }


def _hours(keyring: KeyRing, terms: Sequence[Mapping[str, Any]]) -> Mapping[str, DataKey]:
    """The keys of the hours in which rows expire that end by crypto-shredding."""
    wanted = {hour_key(each["mechanism"], each["expires_at"]) for each in terms} - {""}
    return keyring.subject_keys(sorted(wanted)) if wanted and isinstance(keyring, SubjectKeyRing) else {}


def _resealed(keyring: KeyRing, old: Mapping[str, Any], new: Mapping[str, Any], hour: DataKey | None) -> bytes:
    """The content under its new terms, with the key of the same person."""
    sealed: bytes = old["content"]
    if isinstance(keyring, SubjectKeyRing):
        return keyring.reseal(sealed, aad=artifact_aad(old), new_aad=artifact_aad(new), hour=hour)
    return keyring.seal(keyring.open(sealed, aad=artifact_aad(old)), aad=artifact_aad(new))


def _tell(
    connection: Connection,
    keyring: KeyRing,
    policy: Policy,
    run_id: str,
    now: datetime,
    changed: int,
    uncovered: int,
    unreadable: int,
) -> None:
    record = AuditRecord(
        type="retention.recomputed",
        decision_id=run_id,
        resource="retention",
        policy_hash=policy.hash,
        payload={"changed": changed, "uncovered": uncovered, "unreadable": unreadable, "rules": policy.retention_hash},
        at=now,
    )
    append(connection, [record], Sealing(keyring=keyring, writer=new_id("wrt")))
