"""Event payloads about a person: deleted with their salt, so that the log stays whole and says nothing about anybody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit.erasure import BATCH, erase_payloads, payloads_about, payloads_before
from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Sealing
from aiguard.retention.removal import AHEAD_ROWS
from aiguard.retention.turns import Turns
from aiguard.types import KeyRing, new_id


def erase_payloads_of(
    engine: Engine, keyring: KeyRing, names: Sequence[str], *, decision_id: str, now: datetime
) -> int:
    """Delete the payloads of every event about one of ``names``, in batches with a tombstone each; how many."""

    def choose(connection: Connection, after: int, limit: int) -> Sequence[int]:
        return payloads_about(connection, names, after=after, limit=limit)

    return _erase(engine, keyring, choose, decision_id, now)


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

    def choose(connection: Connection, after: int, limit: int) -> Sequence[int]:
        return payloads_before(connection, before, after=after, limit=limit)

    return _erase(engine, keyring, choose, decision_id, now, beat)


def _erase(
    engine: Engine,
    keyring: KeyRing,
    choose: Callable[[Connection, int, int], Sequence[int]],
    decision_id: str,
    now: datetime,
    beat: Callable[[int], None] = lambda _: None,
) -> int:
    sealing = Sealing(keyring=keyring, writer=new_id("wrt"))
    turns = Turns(engine, most=BATCH)
    total, after = 0, -1
    try:
        while True:
            with reading(engine) as connection:  # found before anybody has to wait
                found = choose(connection, after, AHEAD_ROWS)
            if not found:
                return total
            after = found[-1]
            while found:
                positions, found = found[: turns.rows], found[turns.rows :]
                with turns.turn() as turn:
                    count = erase_payloads(turn.connection, positions, sealing, decision_id=decision_id, at=now)
                    turn.did(count)
                if count:  # else somebody else was quicker
                    total += count
                    beat(count)
                    turns.rest()
    except SQLAlchemyError as error:
        raise as_store_error(error, "deleted by this batch") from None
