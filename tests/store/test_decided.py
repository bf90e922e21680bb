"""What somebody decided is not undone by whoever may write to the table: on both databases, by the tables' own owner."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.support import records as r
from tests.support.guards import JANE, Model, user
from tests.support.older import without_decisions

from aiguard import Actor, retention
from aiguard.db import upgrade, writing
from aiguard.errors import AccessDenied
from aiguard.retention import HoldScope

FOUR_EYES = "[vault]\nfour_eyes = true\n"
OLGA = Actor(id="olga", tenant="acme", scopes=frozenset({"vault:reveal"}))
SVEN = Actor(id="sven", tenant="acme", scopes=frozenset({"vault:reveal", "vault:approve"}))
WHY = "OPS-17: the address bounced."
MAIL = "jane.roe@example.org"
DAY = timedelta(days=1)


def refused(engine, statement, **values):
    """That the statement is refused as undoing a decision."""
    with pytest.raises(DBAPIError, match="what was decided stays"), writing(engine) as connection:
        connection.execute(text(statement), values)


@pytest.fixture
def guard(worker):
    return worker(FOUR_EYES)


@pytest.fixture
def token(guard):
    model = Model()
    with guard.acting_as(JANE, scope="support:reply", conversation="c1"):
        guard.call(model, user(f"write to {MAIL}"), model="local:small")
    return model.received[0][0][0]["content"].split()[-1]


@pytest.fixture
def used(guard, token):
    """The id of a request that was approved and used up."""
    request = guard.request_reveal(token, OLGA, WHY)
    guard.approve_reveal(request, SVEN, "Looked at OPS-17.")
    assert guard.reveal(token, OLGA, WHY, request=request) == MAIL
    return request


ROWS = "aiguard_vault_requests WHERE id = :id"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE aiguard_vault_requests SET used_at = NULL WHERE id = :id",
        "UPDATE aiguard_vault_requests SET used_at = requested_at WHERE id = :id",
        "UPDATE aiguard_vault_requests SET used_at = NULL, id = 'rvl_other' WHERE id = :id",
        "UPDATE aiguard_vault_requests SET approved_by = '', approval = NULL WHERE id = :id",
        "UPDATE aiguard_vault_requests SET approved_by = requested_by WHERE id = :id",
        "UPDATE aiguard_vault_requests SET requested_by = 'me' WHERE id = :id",
        "UPDATE aiguard_vault_requests SET person = '' WHERE id = :id",
        "UPDATE aiguard_vault_requests SET code = 'other' WHERE id = :id",
        "UPDATE aiguard_vault_requests SET expires_at = requested_at WHERE id = :id",
        "DELETE FROM aiguard_vault_requests WHERE id = :id",
    ],
)
def test_a_request_that_was_used_up_cannot_be_made_usable_again(guard, token, used, engine, statement):
    refused(engine, statement, id=used)
    with pytest.raises(AccessDenied):
        guard.reveal(token, OLGA, WHY, request=used)


def test_a_request_cannot_be_put_there_as_approved_or_instead_of_another(used, engine):
    columns = "vault, code, tenant, requested_by, requested_at, expires_at, person, approved_by, approval"
    copied = f"INSERT INTO aiguard_vault_requests (id, {columns}) SELECT 'rvl_new', {columns} FROM {ROWS}"
    refused(engine, copied, id=used)
    if engine.dialect.name == "sqlite":
        unapproved = columns.replace(", approved_by, approval", "")
        instead = f"REPLACE INTO aiguard_vault_requests (id, {unapproved}, approved_by) SELECT id, {unapproved}, '' FROM {ROWS}"
        refused(engine, instead, id=used)


def test_an_approval_that_waits_for_its_use_stands_and_a_request_is_approved_after_an_attempt(guard, token, engine):
    request = guard.request_reveal(token, OLGA, WHY)
    refused(
        engine, "UPDATE aiguard_vault_requests SET expires_at = '2999-01-01 00:00:00+00' WHERE id = :id", id=request
    )
    guard.approve_reveal(request, SVEN, "Looked at OPS-17.")
    refused(engine, "UPDATE aiguard_vault_requests SET approval = NULL WHERE id = :id", id=request)
    assert guard.reveal(token, OLGA, WHY, request=request) == MAIL


def test_requests_go_when_they_are_long_over_and_a_clock_that_is_ahead_takes_none_that_stands(
    guard, token, used, engine, clock
):
    with writing(engine) as connection:
        columns = "vault, code, tenant, requested_by, requested_at, person, approved_by"
        old = (
            "'2020-01-01 00:00:00.000000'"
            if engine.dialect.name == "sqlite"
            else "timestamptz '2020-01-01 00:00:00+00'"
        )
        values = columns.replace("requested_at", old).replace("approved_by", "''")
        insert = f"INSERT INTO aiguard_vault_requests (id, expires_at, {columns}) SELECT 'rvl_old', {old}, {values} FROM {ROWS}"
        connection.execute(text(insert), {"id": used})
    guard.request_reveal(token, OLGA, WHY)
    assert sorted(r.scalars(engine, "SELECT id = 'rvl_old' FROM aiguard_vault_requests")) == [False, False]
    clock.ahead = timedelta(hours=23)
    guard.request_reveal(token, OLGA, WHY)
    assert used in r.scalars(engine, "SELECT id FROM aiguard_vault_requests")


@pytest.fixture
def held(engine, keyring):
    scope = HoldScope(feature="support-reply")
    return retention.place(
        engine, keyring, scope, matter="m", custodian="c", placed_by="ann", review_at=r.NOW + DAY, now=r.NOW
    ).id


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE aiguard_holds SET feature = 'nothing' WHERE id = :id",
        "UPDATE aiguard_holds SET created_until = placed_at WHERE id = :id",
        "UPDATE aiguard_holds SET placed_by = 'bob' WHERE id = :id",
        "UPDATE aiguard_holds SET released_at = placed_at WHERE id = :id",
        "UPDATE aiguard_holds SET released_at = placed_at, released_by = 'ann' WHERE id = :id",
        "UPDATE aiguard_holds SET released_by = 'bob' WHERE id = :id",
        "DELETE FROM aiguard_holds WHERE id = :id",
    ],
)
def test_a_hold_covers_what_it_did_until_somebody_else_releases_it(engine, keyring, held, statement):
    refused(engine, statement, id=held)
    assert retention.release(engine, keyring, held, released_by="bob", now=r.NOW).released_by == "bob"
    for undoing in (
        "UPDATE aiguard_holds SET released_at = NULL, released_by = '' WHERE id = :id",
        "UPDATE aiguard_holds SET released_by = 'eve' WHERE id = :id",
        "DELETE FROM aiguard_holds WHERE id = :id",
    ):
        refused(engine, undoing, id=held)


def test_an_upgrade_protects_what_is_there(guard, token, used, engine, held):
    with writing(engine) as connection:
        without_decisions(connection)
        connection.execute(text("UPDATE aiguard_schema_version SET version_num = '0024'"))
    upgrade(engine)
    refused(engine, "UPDATE aiguard_vault_requests SET used_at = NULL WHERE id = :id", id=used)
    refused(engine, "DELETE FROM aiguard_holds WHERE id = :id", id=held)
