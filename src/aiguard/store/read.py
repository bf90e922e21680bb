"""Reading what was kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error
from aiguard.store.datakeys import SubjectKeyRing
from aiguard.store.tables import Artifact, artifact_aad
from aiguard.types import Clock, KeyRing, Sensitivity, utc_now


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptArtifact:
    """What is known about an artifact without opening it."""

    id: str
    decision_id: str
    data_class: str
    feature: str
    actor: str
    subject: str
    tenant: str
    sensitivity: Sensitivity
    policy_hash: str
    basis: str
    owner: str
    mechanism: str
    retention: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredArtifact(KeptArtifact):
    """An artifact, opened. ``repr`` leaves the content out."""

    content: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedArtifact:
    """An artifact that was found and not opened."""

    known: KeptArtifact
    row: Mapping[str, Any] = field(repr=False)


class ArtifactTable:
    """The artifacts in one database, for somebody who was allowed to see them."""

    def __init__(self, engine: Engine, keys: KeyRing, *, clock: Clock = utc_now) -> None:
        self._engine = engine
        self._keys = keys
        self._now = clock

    def select(
        self,
        *,
        tenant: str,
        id: str | None = None,
        decision_id: str | None = None,
        subject: str | None = None,
        data_class: str | None = None,
        limit: int,
    ) -> list[SealedArtifact]:
        """Artifacts of a tenant (a keyed pseudonym) whose time is not over, oldest first; ``subject`` is a lookup.

        Raises:
            StoreUnavailable: a database cannot be read.
        """
        table = Artifact.__table__
        query = select(table).where(table.c.tenant == tenant, table.c.expires_at > self._now())
        if subject is not None:
            name = subject
            if isinstance(self._keys, SubjectKeyRing):
                key = self._keys.existing_keys([subject]).get(subject)
                if key is None:
                    return []
                name = key.name
            query = query.where(table.c.subject == name)
        for column, value in (("id", id), ("decision_id", decision_id), ("data_class", data_class)):
            if value is not None:
                query = query.where(table.c[column] == value)
        rows = _rows(self._engine, query.order_by(table.c.created_at, table.c.id).limit(limit))
        return [SealedArtifact(known=KeptArtifact(**_typed(row)), row=row) for row in rows]

    def open(self, sealed: SealedArtifact) -> StoredArtifact:
        """With its content; :class:`~aiguard.errors.IntegrityError` for a row that was altered or whose key is gone."""
        return _opened(dict(sealed.row), self._keys)


def kept(engine: Engine, *, decision_id: str) -> list[KeptArtifact]:
    """The artifacts of one decision, oldest first, without their content (no key is needed)."""
    columns = [Artifact.__table__.c[each.name] for each in fields(KeptArtifact)]
    query = select(*columns).where(Artifact.decision_id == decision_id).order_by(Artifact.created_at, Artifact.id)
    return [KeptArtifact(**_typed(row)) for row in _rows(engine, query)]


def artifacts(engine: Engine, keyring: KeyRing, *, decision_id: str) -> list[StoredArtifact]:
    """The artifacts of one decision, oldest first, opened.

    Raises:
        IntegrityError: a row was altered, moved to another decision, class, subject or tenant, or its key is missing.
        StoreUnavailable: the database cannot be read.
    """
    query = (
        select(Artifact.__table__).where(Artifact.decision_id == decision_id).order_by(Artifact.created_at, Artifact.id)
    )
    return [_opened(row, keyring) for row in _rows(engine, query)]


def _opened(row: dict[str, Any], keyring: KeyRing) -> StoredArtifact:
    content = keyring.open(row["content"], aad=artifact_aad(row))
    return StoredArtifact(content=content.decode("utf-8", "surrogatepass"), **_typed(row))


_KNOWN = tuple(each.name for each in fields(KeptArtifact))


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _KNOWN} | {"sensitivity": Sensitivity(row["sensitivity"])}


def _rows(engine: Engine, query: Select[Any]) -> Iterator[dict[str, Any]]:
    with _told(), reading(engine) as connection:
        return iter([dict(row) for row in connection.execute(query).mappings()])


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
