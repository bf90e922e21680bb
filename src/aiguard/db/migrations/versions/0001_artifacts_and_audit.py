"""Artifacts, and the audit log: leaves, payloads beside them, and the log's size."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aiguard.db.base import LeafIndex, UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_APPEND_ONLY = ("aiguard_audit_events", "aiguard_audit_payloads")


def upgrade() -> None:
    op.create_table(
        "aiguard_artifacts",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("decision_id", sa.String(64), nullable=False),
        sa.Column("data_class", sa.String(64), nullable=False),
        sa.Column("feature", sa.String(128), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("sensitivity", sa.SmallInteger, nullable=False),
        sa.Column("policy_hash", sa.String(80), nullable=False),
        sa.Column("basis", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("mechanism", sa.String(64), nullable=False),
        sa.Column("retention", sa.String(64), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_aiguard_artifacts"),
    )
    op.create_index("ix_aiguard_artifacts_decision_id", "aiguard_artifacts", ["decision_id"])
    op.create_index("ix_aiguard_artifacts_expires_at", "aiguard_artifacts", ["expires_at"])
    op.create_index("ix_aiguard_artifacts_subject", "aiguard_artifacts", ["subject"])
    op.create_table(
        "aiguard_audit_logs",
        sa.Column("log", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("log", name="pk_aiguard_audit_logs"),
    )
    op.create_table(
        "aiguard_audit_events",
        sa.Column("seq", LeafIndex, autoincrement=False, nullable=False),
        sa.Column("log", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("decision_id", sa.String(64), nullable=False),
        sa.Column("parent_id", sa.String(64), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("resource", sa.String(256), nullable=False),
        sa.Column("policy_hash", sa.String(80), nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_aiguard_audit_events"),
        sa.UniqueConstraint("id", name="uq_aiguard_audit_events_id"),
    )
    op.create_index("ix_aiguard_audit_events_decision_id", "aiguard_audit_events", ["decision_id"])
    op.create_index("ix_aiguard_audit_events_parent_id", "aiguard_audit_events", ["parent_id"])
    op.create_table(
        "aiguard_audit_payloads",
        sa.Column("seq", LeafIndex, autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_aiguard_audit_payloads"),
        sa.ForeignKeyConstraint(["seq"], ["aiguard_audit_events.seq"], name="fk_aiguard_audit_payloads_seq"),
    )
    op.execute("INSERT INTO aiguard_audit_logs (log, size) VALUES ('main', 0)")
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_triggers()
    else:
        _postgresql_triggers()


def _sqlite_triggers() -> None:
    """Append-only, and against ``INSERT OR REPLACE``, which deletes without running delete triggers."""
    for table in _APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
    taken = {
        "aiguard_audit_events": "id = NEW.id OR seq = NEW.seq",
        "aiguard_audit_payloads": "seq = NEW.seq",
    }
    for table, condition in taken.items():
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "  # noqa: S608 - names from this file
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {condition}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _postgresql_triggers() -> None:
    """Append-only, TRUNCATE included, also for sessions in replica mode (``ENABLE ALWAYS``)."""
    op.execute(
        "CREATE FUNCTION aiguard_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION aiguard_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION aiguard_append_only()"
        )
        for suffix in ("rows", "truncate"):
            op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{suffix}")


def downgrade() -> None:
    raise NotImplementedError("evidence is not dropped by a downgrade; restore a backup instead")
