from __future__ import annotations

import hmac
from datetime import UTC

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from aiguard.audit.tables import COLUMNS, LEAF_VERSION, commitment, leaf_of, payload_aad
from aiguard.db.base import utc_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = ("actor", "decision_id", "id", "log", "parent_id", "policy_hash", "resource", "subject", "tenant", "type")
ROWS = st.fixed_dictionaries(dict.fromkeys(NAMES, TEXTS) | {"at": st.datetimes(timezones=st.just(UTC))})


@given(ROWS, TEXTS, TEXTS)
def test_a_leaf_is_canonical_json(row, writer, commit):
    said = {name: row[name] for name in NAMES if name != "id"} | {
        "v": LEAF_VERSION,
        "event_id": row["id"],
        "writer": writer,
        "ts": row["at"].isoformat(timespec="microseconds"),
        "commit": commit,
    }
    told = [utc_text(row[name]) if name == "at" else row[name] for name in COLUMNS[:-2]]
    assert leaf_of(told, writer=writer, commit=commit) == rfc8785.dumps(said)


@given(TEXTS, TEXTS)
def test_what_a_payload_is_bound_to_is_canonical_json(event, subject):
    assert payload_aad(event, subject) == rfc8785.dumps(["aiguard/audit-payload", 1, event, subject])


@given(st.binary(max_size=200), st.binary(max_size=5000))
def test_a_commitment_is_hmac_sha256_in_hex(salt, payload):
    assert commitment(salt, payload) == hmac.digest(salt, payload, "sha256").hex()
