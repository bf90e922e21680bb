"""Which master key still opens what: to know when one may be taken off the list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Engine, LargeBinary, column, func, literal, select, table
from sqlalchemy.exc import SQLAlchemyError

from aiguard.db.base import PREFIX
from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error
from aiguard.store.keystore import KeyStore

_SEALED: Final = (
    ("artifacts", "content"),
    ("audit_payloads", "sealed"),
    ("audit_outbox", "sealed"),
    ("vault", "sealed"),
    ("service_tokens", "sealed"),
)
_HEADER_BYTES: Final = 9
_VERSION: Final = b"\x01"


def key_usage(engine: Engine, key_store: KeyStore) -> Mapping[str, Mapping[str, int]]:
    """How much each master key seals, by its public id: people's keys it wraps (``people``), those of ``hours``, and rows by table.

    Reads every row once.

    Raises:
        StoreUnavailable: a database cannot be read.
    """
    hours = Counter(key.kek for key in key_store.hours())
    found: dict[str, Counter[str]] = {
        kek: +Counter(people=count - hours[kek], hours=hours[kek]) for kek, count in key_store.counts().items()
    }
    for name, sealed in _SEALED:
        rows = table(f"{PREFIX}{name}", column(sealed, LargeBinary))
        header = func.substr(rows.c[sealed], 1, _HEADER_BYTES, type_=LargeBinary)
        version = func.substr(rows.c[sealed], 1, 1, type_=LargeBinary)
        query = select(header, func.count()).where(version == literal(_VERSION, LargeBinary)).group_by(header)
        try:
            with reading(engine) as connection:
                for start, count in connection.execute(query):
                    found.setdefault(bytes(start)[1:].hex(), Counter())[name] += int(count)
        except SQLAlchemyError as error:
            raise as_store_error(error, "read") from None
    return found
