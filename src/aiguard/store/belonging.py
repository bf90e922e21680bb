"""Which key store belongs to the data: the evidence database knows the identity that its key store carries.

A key store that is empty, or another database's, looks as if everybody were somebody new: what is kept does not open, nobody is found
under their id, and what is kept from then on is sealed with keys that are where nobody looks for them. So it is refused before anything is written.

The identity stands in the table of keys itself, as a row without a key, so that whatever copies, backs up or moves that table
takes it along. A guard writes it on both sides when it first starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, cast

from sqlalchemy import Engine, LargeBinary, SmallInteger, String, Table, column, func, insert, select, table, update
from sqlalchemy.exc import IntegrityError as Taken
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from aiguard.db.base import PREFIX, Base, UtcTime
from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.errors import SettingsError
from aiguard.store.datakeys import key_ids
from aiguard.store.keystore import KeyStore

LOOKED_AT: Final = 200
"""Newest rows of a table whose keys say whose key store it is, where no identity does."""

_SEALED: Final = (
    ("artifacts", "content", ("id",)),
    ("vault", "sealed", ("vault", "code")),
    ("audit_payloads", "sealed", ("seq",)),
)
_HEADER_BYTES: Final = 17


class KnownKeyStore(Base):
    """One row: the identity of the key store that holds the keys of what is sealed here."""

    __tablename__ = f"{PREFIX}key_store"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    identity: Mapped[str] = mapped_column(String(64))
    since: Mapped[datetime] = mapped_column(UtcTime)


_KNOWN: Final = cast("Table", KnownKeyStore.__table__)


def known_identity(engine: Engine) -> str | None:
    """The identity of the key store that the evidence database belongs with; None before a guard first started on it."""
    with _told("read"), reading(engine) as connection:
        found: str | None = connection.execute(select(_KNOWN.c.identity)).scalar_one_or_none()
    return found


def require_own_store(engine: Engine, key_store: KeyStore) -> str | None:
    """Refuse a key store that is not the one that the data belongs with; the identity that the data knows. Writes nothing.

    Where one side carries no identity yet, or none any more, the keys of the newest rows decide.

    Raises:
        SettingsError: it is another one, or an empty one.
        StoreUnavailable: a database cannot be read.
    """
    known, carried = known_identity(engine), key_store.identity()
    if known is not None and known == carried:
        return known
    if known is None or carried is None:
        needed = _needed(engine)
        if key_store.holds_any(needed) if needed else known is None:
            return known
    raise SettingsError(
        f"The key store at hand ({_where(key_store)}, {_called(carried)}) is not the one that holds the keys of this data "
        f"({_called(known)}). Nothing was written. Check AIGUARD_KEY_STORE_URL and AIGUARD_DATABASE_URL, or restore the key store from "
        "its backup. If its keys are lost for good, `aiguard keys adopt` goes on with the one at hand."
    )


def bind(engine: Engine, key_store: KeyStore, now: datetime) -> None:
    """:func:`require_own_store`, and write the identity where it is missing. Any number of processes may do it at once.

    Raises:
        SettingsError: it is another key store.
        StoreUnavailable: a database cannot be used.
    """
    known = require_own_store(engine, key_store)
    if known is not None and key_store.identity() == known:
        return  # as at every start but the first: nothing is written, so that a database that can only be read does not stop it
    carried = key_store.carry(known or os.urandom(16).hex(), now)
    if known is None and not _write(engine, carried, now):
        require_own_store(engine, key_store)  # another process was first, perhaps with another key store


def adopt(engine: Engine, key_store: KeyStore, now: datetime) -> str:
    """Go on with the key store at hand, whatever the data belonged with; its identity. What only the other one opens is lost.

    Raises:
        StoreUnavailable: a database cannot be used.
    """
    carried = key_store.carry(os.urandom(16).hex(), now)
    if not _write(engine, carried, now):
        with _told("written"), writing(engine) as connection:
            connection.execute(update(_KNOWN).values(identity=carried, since=now))
    return carried


def _write(engine: Engine, identity: str, now: datetime) -> bool:
    """Write what is known for the first time; False when it was there."""
    try:
        with writing(engine) as connection:
            connection.execute(insert(_KNOWN).values(id=1, identity=identity, since=now))
    except Taken:
        return False
    except SQLAlchemyError as error:
        raise as_store_error(error) from None
    return True


def _needed(engine: Engine) -> set[bytes]:
    """The keys that the newest rows are sealed with."""
    found: set[bytes] = set()
    for name, sealed, order in _SEALED:
        rows = table(f"{PREFIX}{name}", column(sealed, LargeBinary), *map(column, order))
        header = func.substr(rows.c[sealed], 1, _HEADER_BYTES, type_=LargeBinary)
        query = select(header).order_by(*(rows.c[each].desc() for each in order)).limit(LOOKED_AT)
        with _told("read"), reading(engine) as connection:
            for start in connection.execute(query).scalars():
                found.update(key_ids(bytes(start)))
    return found


def _where(key_store: KeyStore) -> str:
    return (
        "of AIGUARD_KEY_STORE_URL"
        if key_store.apart
        else "in the evidence database, since AIGUARD_KEY_STORE_URL is not set"
    )


def _called(identity: str | None) -> str:
    return "no identity" if identity is None else f"identity {identity[:8]}"


@contextmanager
def _told(doing: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise as_store_error(error, doing) from None
