from __future__ import annotations

import json
import random
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from tests.support import records as r

from aiguard import store
from aiguard.db import writing
from aiguard.db.wal import checkpoint
from aiguard.errors import IntegrityError
from aiguard.store import MasterKeyRing
from aiguard.store.tables import BOUND, artifact_aad
from aiguard.types import Sensitivity, new_id

HOSTILE = ["", "plain", "é 😀 \u202e", "\x00\x01\x7f", "lone \ud800 surrogate", "a" * 300_000]


def set_column(engine, id, column, value):
    with writing(engine) as connection:
        connection.execute(text(f"UPDATE aiguard_artifacts SET {column} = :v WHERE id = :id"), {"v": value, "id": id})


ROW = st.fixed_dictionaries(
    {name: st.text(max_size=8) for name in BOUND}
    | {name: st.datetimes(timezones=st.just(UTC)) for name in ("created_at", "expires_at")}
)


@given(ROW)
def test_what_a_ciphertext_is_bound_to_is_one_json_list(row):
    times = [row[name].isoformat(timespec="microseconds") for name in ("created_at", "expires_at")]
    assert artifact_aad(row) == json.dumps(["aiguard/artifact", 2, *(row[name] for name in BOUND), *times]).encode()


@pytest.mark.parametrize("content", HOSTILE, ids=["empty", "plain", "unicode", "nul", "surrogate", "long"])
def test_content_comes_back_as_it_was(engine, writer, keyring, content):
    record = r.artifact(content=content)
    writer.commit([record]).result(5)
    (found,) = store.artifacts(engine, keyring, decision_id=record.decision_id)
    assert found.content == content
    assert found.sensitivity is Sensitivity.CONFIDENTIAL
    assert (found.created_at, found.expires_at) == (record.created_at, record.expires_at)
    assert (found.basis, found.owner, found.mechanism) == (record.basis, record.owner, record.mechanism)


def test_artifacts_of_a_decision_come_in_order_and_no_others(engine, writer, keyring):
    decision = new_id("agd")
    mine = [r.artifact(decision, data_class=name) for name in ("prompt", "output", "metadata")]
    writer.commit([r.artifact(), *mine, r.artifact()]).result(5)
    found = store.artifacts(engine, keyring, decision_id=decision)
    assert sorted(each.id for each in found) == sorted(each.id for each in mine)
    assert store.artifacts(engine, keyring, decision_id="agd_none") == []


def test_what_is_known_without_a_key_says_nothing_of_the_content(engine, writer):
    record = r.artifact(content="the content")
    writer.commit([record]).result(5)
    (known,) = store.kept(engine, decision_id=record.decision_id)
    assert (known.id, known.data_class, known.expires_at) == (record.id, "prompt", record.expires_at)
    assert not hasattr(known, "content")


def test_nothing_that_prints_an_artifact_prints_its_content(engine, writer, keyring):
    record = r.artifact(content="the content")
    writer.commit([record]).result(5)
    (found,) = store.artifacts(engine, keyring, decision_id=record.decision_id)
    assert "the content" not in f"{found!r} {found} {store.Artifact(id='x', content=b'the content')!r}"


@pytest.mark.parametrize("column", ["subject", "tenant", "data_class", "decision_id"])
def test_a_row_that_was_moved_does_not_open(engine, writer, keyring, column):
    record = r.artifact()
    writer.commit([record]).result(5)
    set_column(engine, record.id, column, r.OTHER)
    decision = r.OTHER if column == "decision_id" else record.decision_id
    with pytest.raises(IntegrityError):
        store.artifacts(engine, keyring, decision_id=decision)


def test_content_that_was_swapped_between_rows_does_not_open(engine, writer, keyring):
    one, other = r.artifact(), r.artifact()
    writer.commit([one, other]).result(5)
    with writing(engine) as connection:
        statement = (
            "UPDATE aiguard_artifacts SET content = (SELECT content FROM aiguard_artifacts WHERE id = :o) WHERE id = :i"
        )
        connection.execute(text(statement), {"o": other.id, "i": one.id})
    with pytest.raises(IntegrityError):
        store.artifacts(engine, keyring, decision_id=one.decision_id)
    assert store.artifacts(engine, keyring, decision_id=other.decision_id)


def test_a_truncated_ciphertext_does_not_open(engine, writer, keyring):
    record = r.artifact()
    writer.commit([record]).result(5)
    set_column(engine, record.id, "content", b"\x01short")
    with pytest.raises(IntegrityError, match="truncated"):
        store.artifacts(engine, keyring, decision_id=record.decision_id)


def test_a_wrong_key_is_an_integrity_error_that_names_the_missing_one(engine, writer, keyring):
    record = r.artifact()
    writer.commit([record]).result(5)
    with pytest.raises(IntegrityError, match=keyring.key_ids[0]):
        store.artifacts(engine, MasterKeyRing([b"w" * 32]), decision_id=record.decision_id)


@pytest.mark.parametrize("column", ["owner", "mechanism", "retention", "feature"])
def test_a_row_kept_on_other_terms_than_it_was_sealed_under_does_not_open(engine, writer, keyring, column):
    record = r.artifact()
    writer.commit([record]).result(5)
    set_column(engine, record.id, column, "another")
    with pytest.raises(IntegrityError):
        store.artifacts(engine, keyring, decision_id=record.decision_id)


def test_a_row_whose_expiry_somebody_moved_does_not_open(engine, writer, keyring):
    record = r.artifact()
    writer.commit([record]).result(5)
    with writing(engine) as connection:
        connection.execute(store.Artifact.__table__.update().values(expires_at=r.NOW))  # type: ignore[attr-defined]
    with pytest.raises(IntegrityError):
        store.artifacts(engine, keyring, decision_id=record.decision_id)


class TestOnSQLite:
    @pytest.fixture
    def backend(self):
        return "sqlite"

    def test_no_byte_of_content_is_in_the_file_or_its_log(self, engine, writer, database_url):
        words = [f"word{random.Random(n).getrandbits(64):x}" for n in range(200)]
        writer.commit([r.artifact(content=" ".join(words))]).result(5)
        path = Path(database_url.removeprefix("sqlite:///"))
        for _ in range(2):
            files = b"".join(file.read_bytes() for file in path.parent.iterdir())
            assert not [word for word in words if word.encode() in files]
            assert b"mo@example.org" not in files
            assert checkpoint(engine)
