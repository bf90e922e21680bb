"""Requests to reveal a value that a second person has to approve. An approval is sealed, so that no row can be made to say yes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import Engine, LargeBinary, String, Table, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from aiguard.db.base import PREFIX, Base, UtcTime
from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.errors import IntegrityError
from aiguard.ids import folded
from aiguard.types import KeyRing

LIFETIME: Final = timedelta(hours=24)
"""How long a request stands. What was worth approving yesterday has to be asked again today."""

KEPT_AFTERWARDS: Final = timedelta(days=30)
"""How long a request that is over stays to be looked at; the audit log keeps its story."""


class RevealRequest(Base):
    """One request. Names are the pseudonyms that rows carry; ``approval`` is sealed and bound to all the rest."""

    __tablename__ = f"{PREFIX}vault_requests"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    vault: Mapped[str] = mapped_column(String(64))
    code: Mapped[str] = mapped_column(String(64))
    tenant: Mapped[str] = mapped_column(String(64))
    requested_by: Mapped[str] = mapped_column(String(64))
    requested_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    person: Mapped[str] = mapped_column(String(64), default="", server_default="")
    """Who asked, however their id is spelled: a pseudonym that is of use for this request alone."""
    approved_by: Mapped[str] = mapped_column(String(64))
    approval: Mapped[bytes | None] = mapped_column(LargeBinary)
    used_at: Mapped[datetime | None] = mapped_column(UtcTime)

    def __repr__(self) -> str:
        return f"RevealRequest(id={self.id!r})"


_REQUESTS: Final = cast("Table", RevealRequest.__table__)
_BOUND: Final = ("id", "vault", "code", "tenant", "requested_by", "approved_by")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request as it stands."""

    id: str
    vault: str
    code: str
    tenant: str
    requested_by: str
    approved_by: str
    """Empty while nobody has approved it."""
    person: str = ""
    """:meth:`RequestTable.person` of who asked."""


class RequestTable:
    """The requests in one database."""

    def __init__(self, engine: Engine, keys: KeyRing) -> None:
        self._engine = engine
        self._keys = keys

    def person(self, request_id: str, actor_id: str) -> str:
        """Stands for a person in one request, however their id is spelled (:func:`aiguard.ids.folded`)."""
        return self._keys.pseudonym("second-person", f"{request_id} {folded(actor_id)}")

    def add(self, request: Request, now: datetime) -> None:
        """Keep a new request, which stands for a day."""
        row = {name: getattr(request, name) for name in (*_BOUND, "person")}
        times = {"requested_at": now, "expires_at": now + LIFETIME}
        with _told("written"), writing(self._engine) as connection:
            c = _REQUESTS.c  # also by the database's clock: what stands by that one does not go
            connection.execute(delete(_REQUESTS).where(c.expires_at < now - KEPT_AFTERWARDS, c.expires_at < func.now()))
            connection.execute(insert(_REQUESTS).values(**row, **times, approval=None, used_at=None))

    def find(self, id: str, *, tenant: str, now: datetime) -> Request | None:
        """A request that stands and was not used; its approval is checked.

        Raises:
            IntegrityError: the row says that it was approved, and it was not.
        """
        query = select(_REQUESTS).where(
            _REQUESTS.c.id == id,
            _REQUESTS.c.tenant == tenant,
            _REQUESTS.c.expires_at > now,
            _REQUESTS.c.requested_at <= now,
            _REQUESTS.c.used_at.is_(None),
        )
        with _told("read"), reading(self._engine) as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        if row["approved_by"]:
            if row["approval"] is None:
                raise IntegrityError("The request's approval is missing.")
            self._keys.open(row["approval"], aad=_aad(row))
        return Request(**{name: row[name] for name in (*_BOUND, "person")})

    def approve(self, id: str, *, by: str, now: datetime) -> bool:
        """Write down who approved; False when it was approved, used or over meanwhile."""
        with _told("written"), writing(self._engine) as connection:
            query = select(_REQUESTS).where(_REQUESTS.c.id == id, _REQUESTS.c.expires_at > now).with_for_update()
            row = connection.execute(query).mappings().one_or_none()
            if row is None or row["approved_by"] or row["used_at"] is not None:
                return False
            approved = {**row, "approved_by": by}
            values = {"approved_by": by, "approval": self._keys.seal(b"approved", aad=_aad(approved))}
            connection.execute(update(_REQUESTS).where(_REQUESTS.c.id == id).values(values))
            return True

    def use(self, id: str, *, now: datetime) -> bool:
        """Use a request up; False when somebody did already."""
        unused = update(_REQUESTS).where(_REQUESTS.c.id == id, _REQUESTS.c.used_at.is_(None))
        with _told("written"), writing(self._engine) as connection:
            return connection.execute(unused.values(used_at=now)).rowcount == 1


def _aad(row: Mapping[Any, Any]) -> bytes:
    times = [row[name].astimezone(UTC).isoformat(timespec="microseconds") for name in ("requested_at", "expires_at")]
    return json.dumps(["aiguard/reveal-approval", 1, *(row[name] for name in _BOUND), *times]).encode()


@contextmanager
def _told(doing: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise as_store_error(error, doing) from None
