"""The artifact's row, and how a record becomes one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, cast

from sqlalchemy import Connection, LargeBinary, SmallInteger, String, Table, Text, insert
from sqlalchemy.orm import Mapped, mapped_column

from aiguard.db.base import PREFIX, Base, UtcTime
from aiguard.db.writer import Mapper, Row, Sealing
from aiguard.types import ArtifactRecord


class Artifact(Base):
    """One kept piece of content. Only ``content`` is encrypted; the rest is what retention and access decide on.

    ``actor``, ``subject`` and ``tenant`` are keyed pseudonyms. ``basis``, ``owner``, ``mechanism`` and ``retention`` are
    copied from the policy in force when it was kept (``policy_hash``), so that the row explains itself later.
    """

    __tablename__ = f"{PREFIX}artifacts"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    decision_id: Mapped[str] = mapped_column(String(64), index=True)
    data_class: Mapped[str] = mapped_column(String(64))
    feature: Mapped[str] = mapped_column(String(128))
    actor: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(64), index=True)
    tenant: Mapped[str] = mapped_column(String(64))
    sensitivity: Mapped[int] = mapped_column(SmallInteger)
    policy_hash: Mapped[str] = mapped_column(String(80))
    basis: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text)
    mechanism: Mapped[str] = mapped_column(String(64))
    retention: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)

    def __repr__(self) -> str:
        return f"Artifact(id={self.id!r}, data_class={self.data_class!r}, decision_id={self.decision_id!r})"


def artifact_aad(*, id: str, decision_id: str, data_class: str, subject: str, tenant: str) -> bytes:
    """What the ciphertext is bound to: the row's identity, its class and whom it is about."""
    return json.dumps(["aiguard/artifact", 1, id, decision_id, data_class, subject, tenant]).encode()


_COPIED: Final = tuple(
    column.name for column in Artifact.__table__.columns if column.name not in {"content", "sensitivity"}
)


def _prepare(record: ArtifactRecord, sealing: Sealing) -> Row:
    aad = artifact_aad(
        id=record.id,
        decision_id=record.decision_id,
        data_class=record.data_class,
        subject=record.subject,
        tenant=record.tenant,
    )
    row: dict[str, Any] = {name: getattr(record, name) for name in _COPIED}
    row["sensitivity"] = int(record.sensitivity)
    # A lone surrogate is kept as it is: it can stand in a model's answer, and losing the record would lose evidence.
    row["content"] = sealing.keyring.seal(record.content.encode("utf-8", "surrogatepass"), aad=aad)
    return row


_INSERT: Final = insert(cast("Table", Artifact.__table__))


def _insert(connection: Connection, rows: Sequence[Row]) -> None:
    connection.execute(_INSERT, rows)


MAPPERS: Final[Mapping[type, Mapper]] = MappingProxyType({ArtifactRecord: Mapper(prepare=_prepare, insert=_insert)})
"""What the writer has to be given to commit artifacts."""
