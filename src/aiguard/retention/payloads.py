"""Event payloads about a person: deleted with their salt, so that the log stays whole and says nothing about anybody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit.erasure import erase_payloads, payloads_about
from aiguard.db.engine import writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Sealing
from aiguard.types import KeyRing, new_id


def erase_payloads_of(
    engine: Engine, keyring: KeyRing, names: Sequence[str], *, decision_id: str, now: datetime
) -> int:
    """Delete the payloads of every event about one of ``names``, in batches with a tombstone each; how many."""
    sealing = Sealing(keyring=keyring, writer=new_id("wrt"))
    total = 0
    while True:
        try:
            with writing(engine) as connection:
                positions = payloads_about(connection, names)
                if not positions:
                    return total
                total += erase_payloads(connection, positions, sealing, decision_id=decision_id, at=now)
        except SQLAlchemyError as error:
            raise as_store_error(error, "deleted") from None
