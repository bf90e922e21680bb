"""Records to store, with only what a test cares about spelled out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, text

from aiguard.store import MasterKeyRing
from aiguard.types import ArtifactRecord, AuditRecord, Sensitivity, new_id

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAMES = MasterKeyRing([b"k" * 32])
ACTOR = NAMES.pseudonym("actor", "mo@example.org")
OTHER = NAMES.pseudonym("actor", "ada@example.org")
POLICY = "sha256:" + "0" * 64


def event(decision_id: str = "", **changes: Any) -> AuditRecord:
    """An audit event; a new decision unless told which."""
    fields: dict[str, Any] = {
        "type": "exchange.decided",
        "decision_id": decision_id or new_id("agd"),
        "actor": ACTOR,
        "subject": ACTOR,
        "resource": "support-reply",
        "policy_hash": POLICY,
        "payload": {"findings": {"EMAIL_ADDRESS": {"tokenize": 2}}, "model": "openai:gpt-5-mini"},
    }
    return AuditRecord(**{**fields, **changes})


def artifact(decision_id: str = "", **changes: Any) -> ArtifactRecord:
    """An artifact that expires 30 days after ``NOW``."""
    fields: dict[str, Any] = {
        "decision_id": decision_id or new_id("agd"),
        "data_class": "prompt",
        "content": "Where is the order of [REDACTED_PERSON]?",
        "feature": "support-reply",
        "actor": ACTOR,
        "subject": ACTOR,
        "tenant": "",
        "sensitivity": Sensitivity.CONFIDENTIAL,
        "policy_hash": POLICY,
        "basis": "GDPR Art. 6(1)(f)",
        "owner": "privacy-office",
        "mechanism": "delete",
        "retention": "30d",
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=30),
    }
    return ArtifactRecord(**{**fields, **changes})


def exchange() -> list[AuditRecord | ArtifactRecord]:
    """What one answered exchange leaves: an event and two artifacts."""
    decision = new_id("agd")
    return [
        event(decision, type="exchange.completed"),
        artifact(decision),
        artifact(decision, data_class="output"),
    ]


def event_ids(engine: Engine) -> list[str]:
    """The ids in the log, in its order."""
    return [str(row) for row in scalars(engine, "SELECT id FROM aiguard_audit_events ORDER BY seq")]


def scalars(engine: Engine, sql: str) -> Sequence[Any]:
    """The first column of a query."""
    with engine.connect() as connection:
        return connection.execute(text(sql)).scalars().all()


def assert_log_is_whole(engine: Engine) -> None:
    """Indexes run 0, 1, 2 … without a gap, the log knows its size, and each event has its payload."""
    seqs = scalars(engine, "SELECT seq FROM aiguard_audit_events ORDER BY seq")
    assert seqs == list(range(len(seqs)))
    assert scalars(engine, "SELECT size FROM aiguard_audit_logs") == [len(seqs)]
    assert scalars(engine, "SELECT count(*) FROM aiguard_audit_payloads") == [len(seqs)]
    if engine.dialect.name == "sqlite":
        assert scalars(engine, "PRAGMA integrity_check") == ["ok"]
