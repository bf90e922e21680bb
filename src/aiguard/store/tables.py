"""The artifact's row, and how a record becomes one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import Any, Final, cast

from sqlalchemy import LargeBinary, SmallInteger, String, Table, Text
from sqlalchemy.orm import Mapped, mapped_column

from aiguard.db.base import PREFIX, Base, UtcTime
from aiguard.db.bulk import BulkInsert
from aiguard.db.mapping import Mapper, Row, Sealing
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
    actor: Mapped[str] = mapped_column(String(64), index=True)
    subject: Mapped[str] = mapped_column(String(64), index=True)
    tenant: Mapped[str] = mapped_column(String(64))
    sensitivity: Mapped[int] = mapped_column(SmallInteger)
    policy_hash: Mapped[str] = mapped_column(String(80))
    basis: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text)
    mechanism: Mapped[str] = mapped_column(String(64))
    retention: Mapped[str] = mapped_column(String(64))
    retention_hash: Mapped[str] = mapped_column(String(80), default="", server_default="", index=True)
    """Hash of the retention rules under which ``expires_at`` was computed last; empty for the policy it was kept under."""
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)

    def __repr__(self) -> str:
        return f"Artifact(id={self.id!r}, data_class={self.data_class!r}, decision_id={self.decision_id!r})"


BOUND: Final = (
    "id", "decision_id", "data_class", "feature", "actor", "subject", "tenant", "owner", "mechanism", "retention",
)  # fmt: skip


def artifact_aad(row: Mapping[str, Any]) -> bytes:
    """What the ciphertext is bound to: the row's identity, its class, whom it is about, and the terms on which it is kept.

    A row whose expiry or owner was changed by anybody but the retention job, which seals it anew, does not open.
    """
    times = [_instant(row[name].astimezone(UTC)) for name in ("created_at", "expires_at")]
    # As `json.dumps` writes it, at a third of the cost.
    return f'["aiguard/artifact", 2, {", ".join(map(quoted, [*_BOUND(row), *times]))}]'.encode()


_BOUND: Final = itemgetter(*BOUND)


# What one exchange leaves has the same times. Only of UTC: elsewhere an hour comes twice a year.
@lru_cache(maxsize=256)
def _instant(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


_COPIED: Final = tuple(
    column.name
    for column in Artifact.__table__.columns
    if column.name not in {"content", "sensitivity", "actor", "subject"}
)
_COPY: Final = attrgetter(*_COPIED)


def _prepare(record: ArtifactRecord, sealing: Sealing) -> Row:
    row: dict[str, Any] = dict(zip(_COPIED, _COPY(record), strict=True))
    row["actor"], row["subject"] = sealing.name(record.actor), sealing.name(record.subject)
    row["sensitivity"] = int(record.sensitivity)
    # A lone surrogate is kept as it is: it can stand in a model's answer, and losing the record would lose evidence.
    content = record.content.encode("utf-8", "surrogatepass")
    row["content"] = sealing.seal(content, aad=artifact_aad(row), subject=record.subject, hour=record.hour_key)
    return row


_INSERT: Final = BulkInsert(cast("Table", Artifact.__table__))


MAPPERS: Final[Mapping[type, Mapper]] = MappingProxyType(
    {ArtifactRecord: Mapper(prepare=_prepare, insert=_INSERT, straight=True)}
)
"""What the writer has to be given to commit artifacts."""
