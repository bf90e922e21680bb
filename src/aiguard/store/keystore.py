"""The key store: people's wrapped keys, in one table of the evidence database or of a database of their own.

Kept apart from the data and its backups (``AIGUARD_KEY_STORE_URL``), destroying a key erases every copy of what it sealed,
also in backups of the data. In the same database, a backup holds both, and an erasure is pending until it has expired.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, LargeBinary, String, Table, delete, func, inspect, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from aiguard.db.base import PREFIX, Base, UtcTime
from aiguard.db.engine import reading, schema_of, writing
from aiguard.db.failures import as_store_error
from aiguard.db.wal import checkpoint
from aiguard.errors import IntegrityError, SchemaRevisionError
from aiguard.store.datakeys import KeyWrapper, WrappedKey, asking, wrapping_aad
from aiguard.types import HOUR_KEYS

BATCH: Final = 400
"""Keys of one statement: SQLite takes 999 parameters in the oldest version that is supported."""


REWRAPPED: Final = 100
"""Keys that are wrapped anew in one transaction."""

IDENTITY: Final = "store/identity"
"""Under this lookup stands the key store's identity: a row without a key, whose key id is 16 random bytes."""


class DataKeyRow(Base):
    """A person's key, wrapped, or an hour's. ``lookup`` is a keyed pseudonym that stands in no other table, or the hour."""

    __tablename__ = f"{PREFIX}data_keys"

    lookup: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    kek: Mapped[str] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcTime)

    def __repr__(self) -> str:
        return f"DataKeyRow(kek={self.kek!r})"


_KEYS: Final = cast("Table", DataKeyRow.__table__)
A_KEY: Final = _KEYS.c.lookup != IDENTITY
"""Which rows are keys."""


class KeyStore:
    """People's wrapped keys in a database; implements :class:`aiguard.store.datakeys.DataKeyStore`.

    Args:
        engine: where they are.
        apart: whether that database, and its backups, are apart from the data's.
    """

    def __init__(self, engine: Engine, *, apart: bool) -> None:
        self.engine = engine
        self.apart = apart
        _stores.add(self)

    def close(self) -> None:
        """Let go of a database of its own."""
        if self.apart:
            self.engine.dispose()

    def prepare(self) -> None:
        """Make the table in a key store of its own; any number of processes may call this at once.

        In the evidence database a migration makes it.
        """
        if not self.apart:
            return
        with _told("written"), writing(self.engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(7017280440)"))
            _KEYS.create(connection, checkfirst=True)

    def check(self) -> None:
        """:class:`~aiguard.errors.SchemaRevisionError` unless the table is there."""
        with _told("read"), reading(self.engine) as connection:
            there = inspect(connection).has_table(_KEYS.name)
        if not there:
            raise SchemaRevisionError("The key store has no table for keys; run `aiguard db upgrade`.")

    def identity(self) -> str | None:
        """What tells this key store from any other; None where it carries nothing yet, or has no table."""
        with _told("read"), reading(self.engine) as connection:
            if not inspect(connection).has_table(_KEYS.name):
                return None
            found = connection.execute(select(_KEYS.c.key_id).where(_KEYS.c.lookup == IDENTITY)).scalar_one_or_none()
        return None if found is None else bytes(found).hex()

    def carry(self, identity: str, now: datetime) -> str:
        """Carry this identity from now on, unless there is one already; the one that it carries."""
        self.add([WrappedKey(lookup=IDENTITY, key_id=bytes.fromhex(identity), wrapped=b"", kek="", created_at=now)])
        carried = self.identity()
        assert carried is not None
        return carried

    def holds_any(self, key_ids: Collection[bytes]) -> bool:
        """Whether one of these keys is here; also without a table."""
        wanted = sorted(key_ids)
        with _told("read"), reading(self.engine) as connection:
            if not inspect(connection).has_table(_KEYS.name):
                return False
            return any(
                connection.execute(
                    select(_KEYS.c.key_id).where(_KEYS.c.key_id.in_(wanted[start : start + BATCH])).limit(1)
                ).first()
                is not None
                for start in range(0, len(wanted), BATCH)
            )

    def by_lookup(self, lookups: Collection[str]) -> Mapping[str, WrappedKey]:
        """Those that exist."""
        found: dict[str, WrappedKey] = {}
        with _told("read"), reading(self.engine) as connection:
            wanted = list(lookups)
            for start in range(0, len(wanted), BATCH):
                some = wanted[start : start + BATCH]
                rows = connection.execute(select(_KEYS).where(_KEYS.c.lookup.in_(some))).mappings()
                found.update((row["lookup"], WrappedKey(**row)) for row in rows)
        return found

    def by_id(self, key_id: bytes) -> WrappedKey | None:
        """The key of that id."""
        with _told("read"), reading(self.engine) as connection:
            row = connection.execute(select(_KEYS).where(_KEYS.c.key_id == key_id)).mappings().one_or_none()
        return None if row is None else WrappedKey(**row)

    def add(self, keys: Collection[WrappedKey]) -> None:
        """Keep these; the first key under a lookup stays."""
        insert = postgresql.insert if self.engine.dialect.name == "postgresql" else sqlite.insert
        rows = [_row(key) for key in sorted(keys, key=lambda key: key.lookup)]  # in order: two writers cannot deadlock
        with _told("written"), writing(self.engine) as connection:
            connection.execute(insert(_KEYS).on_conflict_do_nothing(index_elements=["lookup"]), rows)

    def destroy(
        self, lookups: Collection[str], connection: Connection | None = None, *, only: Collection[bytes] | None = None
    ) -> int:
        """Delete these keys for good; how many there were.

        Args:
            lookups: whose.
            connection: one that writes to this store already.
            only: their ids. A key that somebody got under the same lookup since stays.
        """
        statement = delete(_KEYS).where(_KEYS.c.lookup.in_(list(lookups)))
        if only is not None:
            statement = statement.where(_KEYS.c.key_id.in_(list(only)))
        if connection is not None:
            return connection.execute(statement).rowcount
        with _told("deleted"), writing(self.engine) as own:
            return own.execute(statement).rowcount

    def hours(self) -> list[WrappedKey]:
        """The keys of hours: what ends by crypto-shredding needs them; oldest first."""
        query = select(_KEYS).where(_KEYS.c.lookup.startswith(HOUR_KEYS, autoescape=True)).order_by(_KEYS.c.lookup)
        with _told("read"), reading(self.engine) as connection:
            return [WrappedKey(**row) for row in connection.execute(query).mappings()]

    def scrub(self) -> bool:
        """Remove the bytes of deleted keys from the files, as far as the database can; False when readers were in the way."""
        with _told("deleted"):
            if self.engine.dialect.name == "postgresql":
                schema = schema_of(self.engine)
                name = _KEYS.name if schema is None else f"{schema}.{_KEYS.name}"
                with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.execute(text(f"VACUUM {name}"))
                return True
            return checkpoint(self.engine)

    def counts(self) -> Mapping[str, int]:
        """How many keys each key-encryption key wraps."""
        with _told("read"), reading(self.engine) as connection:
            rows = connection.execute(select(_KEYS.c.kek, func.count()).where(A_KEY).group_by(_KEYS.c.kek))
            return {str(row[0]): int(row[1]) for row in rows}

    def knows(self, keks: Collection[str]) -> bool:
        """Whether one of these key-encryption keys wraps a key here; also where there is no key at all."""
        ours = select(_KEYS.c.kek).where(_KEYS.c.kek.in_(list(keks))).limit(1)
        with _told("read"), reading(self.engine) as connection:
            if connection.execute(ours).first() is not None:
                return True
            return connection.execute(select(_KEYS.c.kek).where(A_KEY).limit(1)).first() is None

    def rewrap(self, wrapper: KeyWrapper, *, progress: Callable[[int], None] | None = None) -> int:
        """Wrap every key with the newest key-encryption key; how many were not and are now.

        In small transactions, while the application runs; a run that is killed is taken up by the next. A key that is destroyed
        meanwhile stays destroyed, and one that does not open is passed over and stays as it is.

        Raises:
            StoreUnavailable: the database or a key management service cannot be used. What was wrapped stays wrapped.
        """
        done, after = 0, ""
        while rows := self._outdated(wrapper.kek, after):
            after = rows[-1].lookup
            # Before the transaction: a key management service takes its time, and others write.
            new = [(row, wrapped) for row in rows if (wrapped := _rewrapped(row, wrapper)) is not None]
            with _told("written"), writing(self.engine) as connection:
                for row, wrapped in new:
                    same = update(_KEYS).where(_KEYS.c.key_id == row.key_id, _KEYS.c.kek == row.kek)
                    connection.execute(same.values(wrapped=wrapped, kek=wrapper.kek))
            done += len(new)
            if progress is not None:
                progress(len(new))
        return done

    def _outdated(self, kek: str, after: str) -> Sequence[WrappedKey]:
        query = select(_KEYS).where(_KEYS.c.kek != kek, A_KEY, _KEYS.c.lookup > after)
        with _told("read"), reading(self.engine) as connection:
            rows = connection.execute(query.order_by(_KEYS.c.lookup).limit(REWRAPPED)).mappings().all()
        return [WrappedKey(**row) for row in rows]


def _rewrapped(row: WrappedKey, wrapper: KeyWrapper) -> bytes | None:
    """The key of a row under the newest key-encryption key; None where it does not open."""
    aad = wrapping_aad(row.lookup, row.key_id)
    try:
        with asking("unwrap"):
            key = wrapper.unwrap(row.wrapped, aad=aad)
    except IntegrityError:
        return None
    with asking("wrap"):
        return wrapper.wrap(key, aad=aad)


def _row(key: WrappedKey) -> dict[str, Any]:
    return {
        "lookup": key.lookup,
        "key_id": key.key_id,
        "wrapped": key.wrapped,
        "kek": key.kek,
        "created_at": key.created_at,
    }


@contextmanager
def _told(doing: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise as_store_error(error, doing) from None


_stores: weakref.WeakSet[KeyStore] = weakref.WeakSet()
_inherited: list[object] = []


def _before_fork() -> None:
    for store in list(_stores):
        if store.apart and store.engine.dialect.name == "sqlite":
            store.engine.dispose()  # SQLite's locks live in the memory of the process, and a child must not inherit them


def _after_fork_in_child() -> None:
    for store in list(_stores):
        if store.apart:
            _inherited.append(store.engine.pool)
            store.engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
