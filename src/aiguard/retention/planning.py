"""What a run would delete, counted and hashed before anything is deleted.

A plan is made in one snapshot. Its token names the moment and commits to every row that is due at it, so that whoever
applies the token deletes what was looked at, or nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Final, cast

from sqlalchemy import ColumnElement, Connection, Engine, Table, UnaryExpression, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import operators

from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error
from aiguard.errors import AIGuardError
from aiguard.retention.evidence import instant
from aiguard.retention.holds import any_in_force, free, is_held
from aiguard.store.tables import Artifact
from aiguard.types import digest

SWEEPING_ROWS: Final = 1_000
SWEEPING_SHARE: Final = 0.5
"""More than this many rows, and more than this share of all: nobody deletes half of an archive in a day by design."""

_PAGE: Final = 5_000
_ARTIFACTS: Final = cast("Table", Artifact.__table__)


class PlanDrifted(AIGuardError):
    """What would be deleted is not what was planned. Nothing was deleted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanLine:
    """Expired artifacts of one class under one rule, as written with the rows."""

    data_class: str
    feature: str
    retention: str
    basis: str
    owner: str
    mechanism: str
    count: int
    first_expired: datetime
    last_expired: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What :func:`~aiguard.retention.prune` would delete at ``now``, and how much would stay; ``held`` of those have expired too."""

    now: datetime
    lines: tuple[PlanLine, ...]
    expired: int
    staying: int
    held: int = 0
    ids: str = ""
    """SHA-256 over the sorted ids of all rows that are due."""
    other_rules: int = 0
    """Rows that stay although their time is over, because it was computed under other rules and is computed anew first."""

    @property
    def token(self) -> str:
        """The moment and a hash of the plan: give it to :func:`confirmed` to delete exactly this, or nothing."""
        said = [[*astuple(line)[:-2], instant(line.first_expired), instant(line.last_expired)] for line in self.lines]
        hash = digest(json.dumps([instant(self.now), said, self.held, self.ids]).encode()).removeprefix("sha256:")
        return f"{self.now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}-{hash[:32]}"

    @property
    def sweeping(self) -> bool:
        """Whether it deletes so much that a person should say how much they expect: a wrong policy looks like this."""
        return self.expired > SWEEPING_ROWS and self.expired > SWEEPING_SHARE * (self.expired + self.staying)


def due(connection: Connection, now: datetime, rules: str | None) -> tuple[ColumnElement[bool], ...]:
    """What may be deleted at ``now``: its time is over, no hold covers it, and its time is by the rules in force.

    ``rules`` is the hash of those (:attr:`aiguard.policy.Policy.retention_hash`); ``None`` takes each time as it is written. A row
    whose application gave its time itself has no hash, and counts.
    """
    return (_ARTIFACTS.c.expires_at <= now, free(connection), *under(rules, connection.dialect.name))


def under(rules: str | None, dialect: str) -> tuple[ColumnElement[bool], ...]:
    """The part of :func:`due` that is about rules."""
    if rules is None:
        return ()
    hash: ColumnElement[str] = _ARTIFACTS.c.retention_hash
    if dialect == "sqlite":  # with a plus it takes the index of times, as it should: nearly all rows have one hash
        hash = UnaryExpression(hash, operator=operators.custom_op("+"), type_=hash.type)
    return (hash.in_(_counting(rules)),)


def unopened(rules: str) -> str:
    """What a row bears in place of the hash of the rules in force while it does not open: its time is the old one."""
    return f"?{rules}"


def _counting(rules: str) -> list[str]:
    """The hashes of rows whose times count under these rules."""
    return ["", rules, unopened(rules)]


def plan(engine: Engine, now: datetime, *, rules: str | None = None, exact: bool = True) -> Plan:
    """Count what has expired at ``now`` (timezone-aware), by class, feature and rule. Changes nothing.

    ``rules`` are those of :func:`due`. Without ``exact`` the ids are left out, which is enough to see how much is due; such a plan is
    not applied.
    """
    require_zone(now)
    c = _ARTIFACTS.c
    rule = (c.data_class, c.feature, c.retention, c.basis, c.owner, c.mechanism)
    try:
        with reading(engine, snapshot=True) as connection:
            which = due(connection, now, rules)
            query = (
                select(
                    *rule,
                    func.count().label("count"),
                    func.min(c.expires_at).label("first_expired"),
                    func.max(c.expires_at).label("last_expired"),
                )
                .where(*which)
                .group_by(*rule)
                .order_by(*rule)
            )
            lines = tuple(PlanLine(**row) for row in connection.execute(query).mappings())
            total = connection.execute(select(func.count()).select_from(_ARTIFACTS)).scalar_one()
            held = 0
            if any_in_force(connection):
                kept = select(func.count()).select_from(_ARTIFACTS).where(c.expires_at <= now, is_held())
                held = connection.execute(kept).scalar_one()
            other = 0
            if rules is not None:
                stale = select(func.count()).select_from(_ARTIFACTS).where(*due(connection, now, None))
                other = connection.execute(stale.where(c.retention_hash.not_in(_counting(rules)))).scalar_one()
            ids = ""
            if exact:
                hashed = hashlib.sha256()
                sorted_ids = select(c.id).where(*which).order_by(c.id).execution_options(yield_per=_PAGE)
                for page in connection.execute(sorted_ids).scalars().partitions():
                    hashed.update("".join(f"{id}\n" for id in page).encode())
                ids = hashed.hexdigest()
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
    expired = sum(line.count for line in lines)
    return Plan(now=now, lines=lines, expired=expired, staying=total - expired, held=held, ids=ids, other_rules=other)


def confirmed(engine: Engine, token: str, *, rules: str | None = None) -> Plan:
    """The plan of that token, made anew at its moment under the same rules.

    Raises:
        PlanDrifted: it is no token, or what would be deleted at that moment is no longer what was planned.
    """
    moment, _, _ = token.partition("-")
    try:
        now = datetime.strptime(moment, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        raise PlanDrifted("That is not a plan's hash; `aiguard prune` prints one.") from None
    found = plan(engine, now, rules=rules)
    if not hmac.compare_digest(found.token.encode(), token.encode()):
        raise PlanDrifted(
            "What would be deleted is no longer what was planned: rows, rules or holds have changed. Run `aiguard prune` again."
        )
    return found


def require_zone(now: datetime) -> None:
    """:class:`ValueError` for a moment that could be any of 26 hours."""
    if now.tzinfo is None:
        raise ValueError("now needs a timezone; use datetime.now(UTC)")
