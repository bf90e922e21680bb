"""The long logs that ``make bench PART=audit`` measures are logs like any other, and a proof over one is made of a few hundred hashes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from benchmarks.audit_load import Loader
from tests.support import records as r

from aiguard.audit import proofs
from aiguard.audit.note import make_signer
from aiguard.audit.prove import prove_event, verify_proof
from aiguard.audit.signing import WIDTH, StoredTree, sign_head
from aiguard.audit.verify import Status, verify

SIGNER = make_signer("example.com/long", b"l" * 32)
NOW = datetime(2026, 4, 1, tzinfo=UTC)


def assert_whole(engine, size):
    sign_head(engine, [SIGNER], now=NOW)
    report = verify(engine, [SIGNER.verifier], origin=SIGNER.name, now=NOW)
    assert (report.status, report.events, report.signed) == (Status.OK, size, size), report


def test_a_log_that_was_written_in_bulk_is_whole_and_goes_on_as_any_other(engine, writer):
    loader = Loader(engine)
    loader.fill(700)
    assert_whole(engine, 700)
    writer.commit([r.event(at=NOW) for _ in range(5)]).result(60)
    assert_whole(engine, 705)
    loader.fill(1_100)
    assert_whole(engine, 1_100)
    assert verify_proof(json.dumps(prove_event(engine, "702")), [SIGNER.verifier])["type"] == "exchange.decided"


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_proof_is_made_of_a_few_rows_of_hashes_of_each_level_however_long_the_log_is(engine):
    loader = Loader(engine)
    for size, levels in ((200, 1), (3_000, 2), (70_000, 3)):
        loader.fill(size)
        assert_whole(engine, size)
        for position in (0, size // 3, size - 1):
            with engine.connect() as connection:
                tree = StoredTree(connection)
                proofs.inclusion(tree, position, size)
                proofs.consistency(tree, position + 1, size)
            assert len(tree._rows) <= 3 * levels
            assert sum(len(row[0]) for row in tree._rows.values()) <= 3 * levels * WIDTH
