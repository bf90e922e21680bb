"""How much there is about a person, before it is erased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import Engine, Table, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import AuditEvent, AuditPayload
from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error
from aiguard.retention.erasing import NOBODY, NobodyKnown
from aiguard.retention.holds import is_held
from aiguard.retention.people import Person
from aiguard.store import VaultEntry
from aiguard.store.tables import Artifact

_ARTIFACTS: Final = cast("Table", Artifact.__table__)
_VAULT: Final = cast("Table", VaultEntry.__table__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """What an erasure would destroy; ``held`` of the artifacts stay while a legal hold covers them."""

    keys: int
    artifacts: int
    vault_entries: int
    payloads: int
    held: int


def extent(engine: Engine, person: Person) -> Extent:
    """Count it; changes nothing.

    Raises:
        NobodyKnown: there is no key of theirs.
        StoreUnavailable: the database cannot be read.
    """
    if not person.names:
        raise NobodyKnown(NOBODY)
    names = list(person.every_name)
    artifacts = select(func.count()).select_from(_ARTIFACTS).where(_ARTIFACTS.c.subject.in_(names))
    entries = select(func.count()).select_from(_VAULT)
    entries = entries.where(or_(_VAULT.c.subject.in_(names), _VAULT.c.actor.in_(names)))
    payloads = select(func.count(AuditPayload.seq)).join(AuditEvent, AuditEvent.seq == AuditPayload.seq)
    try:
        with reading(engine) as connection:
            return Extent(
                keys=len(names),
                artifacts=int(connection.execute(artifacts).scalar_one()),
                vault_entries=int(connection.execute(entries).scalar_one()),
                payloads=int(connection.execute(payloads.where(AuditEvent.subject.in_(names))).scalar_one()),
                held=int(connection.execute(artifacts.where(is_held())).scalar_one()),
            )
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
