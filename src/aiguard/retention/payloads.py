"""Event payloads about a person: deleted with their salt, so that the log stays whole and says nothing about anybody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit.erasure import erase_payloads, payloads_about, payloads_before
from aiguard.db.engine import writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Sealing
from aiguard.types import KeyRing, new_id


def erase_payloads_of(
    engine: Engine, keyring: KeyRing, names: Sequence[str], *, decision_id: str, now: datetime
) -> int:
    """Delete the payloads of every event about one of ``names``, in batches with a tombstone each; how many."""
    return _erase(engine, keyring, lambda connection: payloads_about(connection, names), decision_id, now)


def erase_payloads_before(
    engine: Engine,
    keyring: KeyRing,
    before: datetime,
    *,
    decision_id: str,
    now: datetime,
    beat: Callable[[int], None],
) -> int:
    """Delete the payloads of every event from before that moment likewise; ``beat`` is told of each batch after its commit."""
    return _erase(engine, keyring, lambda connection: payloads_before(connection, before), decision_id, now, beat)


def _erase(
    engine: Engine,
    keyring: KeyRing,
    choose: Callable[[Connection], Sequence[int]],
    decision_id: str,
    now: datetime,
    beat: Callable[[int], None] = lambda _: None,
) -> int:
    sealing = Sealing(keyring=keyring, writer=new_id("wrt"))
    total = 0
    while True:
        try:
            with writing(engine) as connection:
                positions = choose(connection)
                if not positions:
                    return total
                total += erase_payloads(connection, positions, sealing, decision_id=decision_id, at=now)
        except SQLAlchemyError as error:
            raise as_store_error(error, "deleted by this batch") from None
        beat(len(positions))
