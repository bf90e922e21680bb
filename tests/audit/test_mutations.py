"""Every change that an owner of the database makes is noticed; ``make bench PART=audit`` tries far more of them."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from tests.audit.test_verify import NOW, SIGNER, check
from tests.support import records as r
from tests.support.mutations import PROMISED, Owner

from aiguard.audit.erasure import erase_payloads
from aiguard.audit.expiry import expire
from aiguard.audit.outbox import put
from aiguard.audit.signing import sign_head
from aiguard.audit.verify import Status
from aiguard.db import writing
from aiguard.db.mapping import Sealing


@pytest.fixture
def log(engine, writer, keyring):
    """A log with something in every table: expired, erased, signed and unsigned events, and one in the outbox."""
    sealing = Sealing(keyring=keyring, writer="wrt_test")
    writer.commit([r.event(at=NOW - timedelta(days=400)) for _ in range(300)]).result(60)
    expire(engine, sealing, [SIGNER], before=NOW - timedelta(days=300), now=NOW)
    for _ in range(3):
        writer.commit([r.event(at=NOW) for _ in range(60)]).result(60)
        sign_head(engine, [SIGNER], now=NOW)
    with writing(engine) as connection:
        erase_payloads(connection, [280, 281, 282, 290], sealing, decision_id="ers_x", at=NOW)
    sign_head(engine, [SIGNER], now=NOW)
    with writing(engine) as connection:
        put(connection, [r.event(at=NOW)], keyring)
    return engine


def test_every_change_of_every_column_and_every_row_taken_away_is_noticed(log, keyring):
    assert check(log, keyring).status is Status.OK
    owner = Owner(log.url)
    rng = random.Random(6)
    missed, tables = [], set()
    for mutation in list(owner.mutations(rng, rows=1)):
        with owner.mutated(mutation):
            if check(log, keyring).status is not Status.TAMPERED:
                missed.append((mutation.table, mutation.what, mutation.key))
        tables.add((mutation.table, mutation.what))
    owner.close()
    assert missed == []
    assert {(table, f"change {column}") for table, columns in PROMISED.items() for column in columns} <= tables
    report = check(log, keyring)
    assert report.problems == []  # all of it was undone, so that each was noticed for itself
