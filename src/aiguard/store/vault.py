"""The vault's rows: what a conversation's tokens stand for, sealed with the key of the person whom they are about.

A conversation's rows are found by a name, and its tokens made from a secret, that both come from its actor's own key: in every process
the same, of another actor never, and after the key is destroyed nobody's.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, LargeBinary, String, Table, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from aiguard.db.base import PREFIX, Base, UtcTime
from aiguard.db.bulk import BulkInsert
from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Mapper, Row, Sealing
from aiguard.errors import SubjectErased
from aiguard.store.datakeys import KeyDestroyed
from aiguard.types import Clock, KeyRing, Recalled, SubjectKeys, VaultRecord, utc_now

BATCH: Final = 400
"""Codes of one statement."""


class VaultEntry(Base):
    """One value of one conversation. ``vault`` is the conversation's name, ``code`` what stands in its token."""

    __tablename__ = f"{PREFIX}vault"

    vault: Mapped[str] = mapped_column(String(64), primary_key=True)
    code: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    type: Mapped[str] = mapped_column(String(64))
    tenant: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(64), index=True)
    subject: Mapped[str] = mapped_column(String(64), index=True)
    decision_id: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)

    def __repr__(self) -> str:
        return f"VaultEntry(type={self.type!r})"


_VAULT: Final = cast("Table", VaultEntry.__table__)


def entry_aad(row: Mapping[str, Any]) -> bytes:
    """What a sealed value is bound to."""
    bound = [row[name] for name in ("vault", "code", "type", "tenant", "actor", "subject")]
    return json.dumps(["aiguard/vault", 1, *bound]).encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedEntry:
    """A value with what is known about it. ``actor`` and ``subject`` are names as rows carry them."""

    vault: str
    code: str
    type: str
    actor: str
    subject: str
    decision_id: str
    created_at: datetime
    expires_at: datetime
    value: str = field(repr=False)


class VaultTable:
    """The vaults in one database; implements :class:`aiguard.types.VaultArchive`."""

    def __init__(self, engine: Engine, keys: KeyRing, *, clock: Clock = utc_now) -> None:
        self._engine = engine
        self._keys = keys
        self._now = clock

    def recall(self, *, actor: str, conversation: str, known: Collection[str]) -> Recalled:
        """What is kept for a conversation; a value whose person was erased is not."""
        vault, secret = self._names(actor, conversation)
        with _told("read"), reading(self._engine) as connection:
            query = select(_VAULT.c.code, _VAULT.c.expires_at)
            query = query.where(_VAULT.c.vault == vault, _VAULT.c.expires_at > self._now())
            live = {str(row[0]): cast("datetime", row[1]) for row in connection.execute(query)}
            rows = self._rows(connection, vault, [code for code in live if code not in known])
        values: dict[str, tuple[str, str]] = {}
        for row in rows:
            try:
                values[row["code"]] = (row["type"], self._open(row))
            except KeyDestroyed:
                del live[row["code"]]
        return Recalled(vault=vault, secret=secret, live=live, values=values)

    def find(self, code: str, *, tenant: str) -> list[OpenedEntry]:
        """The values that a code stands for in one tenant (a keyed pseudonym, or ``""``), while their time is not over.

        Raises:
            IntegrityError: a row was altered or moved, or the person was erased.
        """
        query = select(_VAULT).where(
            _VAULT.c.code == code, _VAULT.c.tenant == tenant, _VAULT.c.expires_at > self._now()
        )
        with _told("read"), reading(self._engine) as connection:
            rows = [dict(row) for row in connection.execute(query.limit(BATCH)).mappings()]
        return [
            OpenedEntry(value=self._open(row), **{name: row[name] for name in OpenedEntry.__slots__ if name != "value"})
            for row in rows
        ]

    def _names(self, actor: str, conversation: str) -> tuple[str, bytes]:
        """The name of a conversation's rows, and the secret of its tokens."""
        if isinstance(self._keys, SubjectKeys):
            key = self._keys.subject_keys([actor])[actor]
            return key.derive(f"vault/{conversation}").hex()[:32], key.derive(f"vault tokens/{conversation}")
        name = self._keys.pseudonym("vault", f"{actor}:{conversation}")
        return name, self._keys.pseudonym("vault-tokens", name).encode()

    @staticmethod
    def _rows(connection: Connection, vault: str, codes: Sequence[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for start in range(0, len(codes), BATCH):
            query = select(_VAULT).where(_VAULT.c.vault == vault, _VAULT.c.code.in_(codes[start : start + BATCH]))
            found += [dict(row) for row in connection.execute(query).mappings()]
        return found

    def _open(self, row: Mapping[str, Any]) -> str:
        return self._keys.open(row["sealed"], aad=entry_aad(row)).decode("utf-8", "surrogatepass")


def _prepare(record: VaultRecord, sealing: Sealing) -> Row:
    row: dict[str, Any] = {name: getattr(record, name) for name in _COPIED}
    row["actor"], row["subject"] = sealing.name(record.actor), sealing.name(record.subject)
    if sealing.erased(record.actor):  # whose key the conversation hangs from
        raise SubjectErased
    value = record.value.encode("utf-8", "surrogatepass")
    row["sealed"] = sealing.seal(value, aad=entry_aad(row), subject=record.subject)
    return row


_COPIED: Final = tuple(column.name for column in _VAULT.columns if column.name != "sealed")


def _insert(connection: Connection, rows: Sequence[Row]) -> None:
    """A value that is there already stays, with a new time to go and sealed for whom it is about now."""
    latest = {(row["vault"], row["code"]): row for row in rows}
    _INSERT(connection, [latest[key] for key in sorted(latest)])  # in order: two writers cannot deadlock


_INSERT: Final = BulkInsert(
    _VAULT, renew=(*(name for name in _COPIED if name not in {"vault", "code", "created_at"}), "sealed")
)


MAPPERS: Final[Mapping[type, Mapper]] = MappingProxyType(
    {VaultRecord: Mapper(prepare=_prepare, insert=_insert, straight=True)}
)
"""What the writer has to be given to keep the values of tokens."""


@contextmanager
def _told(doing: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise as_store_error(error, doing) from None
