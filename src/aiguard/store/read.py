"""Reading what was kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error
from aiguard.store.tables import Artifact, artifact_aad
from aiguard.types import KeyRing, Sensitivity


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
    bound = {name: row[name] for name in ("id", "decision_id", "data_class", "subject", "tenant")}
    content = keyring.open(row.pop("content"), aad=artifact_aad(**bound))
    return StoredArtifact(content=content.decode("utf-8", "surrogatepass"), **_typed(row))


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "sensitivity": Sensitivity(row["sensitivity"])}


def _rows(engine: Engine, query: Select[Any]) -> Iterator[dict[str, Any]]:
    with _told(), reading(engine) as connection:
        return iter([dict(row) for row in connection.execute(query).mappings()])


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
