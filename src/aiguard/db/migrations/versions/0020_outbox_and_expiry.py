"""The audit log's outbox, its expiry under a signed statement, and triggers on its size."""

from __future__ import annotations

import os

import sqlalchemy as sa
from alembic import op

from aiguard.db.base import LeafIndex, UtcTime

revision = "0020"
down_revision = "0005"
branch_labels = None
depends_on = None

_EVENTS = "aiguard_audit_events"
_PAYLOADS = "aiguard_audit_payloads"
_ERASED = "aiguard_audit_erased"
_LOGS = "aiguard_audit_logs"
_APPEND_ONLY = {"aiguard_audit_prunes": "cut", "aiguard_audit_tiles": "idx"}

_EXPIRED = (
    "(OLD.seq < (SELECT max(cut) FROM aiguard_audit_prunes) "
    "AND EXISTS (SELECT 1 FROM aiguard_audit_tiles WHERE idx = OLD.seq / 256))"
)
_WAS_ERASED = f"EXISTS (SELECT 1 FROM {_ERASED} WHERE seq = OLD.seq)"  # noqa: S608 - names from this file


def upgrade() -> None:
    op.add_column(_LOGS, sa.Column("instance", sa.String(32), nullable=False, server_default=""))
    op.execute(sa.text(f"UPDATE {_LOGS} SET instance = :id").bindparams(id=os.urandom(16).hex()))  # noqa: S608 - the same
    op.create_table(
        "aiguard_audit_outbox",
        sa.Column("id", LeafIndex, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_aiguard_audit_outbox"),
        sa.UniqueConstraint("event_id", name="uq_aiguard_audit_outbox_event_id"),
    )
    op.create_table(
        "aiguard_audit_prunes",
        sa.Column("cut", LeafIndex, autoincrement=False, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("cut", name="pk_aiguard_audit_prunes"),
    )
    op.create_table(
        "aiguard_audit_tiles",
        sa.Column("idx", LeafIndex, autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("idx", name="pk_aiguard_audit_tiles"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgresql()


def _sqlite() -> None:
    for table, key in _APPEND_ONLY.items():
        for verb in ("UPDATE", "DELETE"):
            _refuse(table, f"no_{verb.lower()}", f"BEFORE {verb}")
        _refuse(table, "no_replace", "BEFORE INSERT", f"EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})")  # noqa: S608 - the same
    for table, reason in ((_EVENTS, _EXPIRED), (_PAYLOADS, f"({_WAS_ERASED} OR {_EXPIRED})"), (_ERASED, _EXPIRED)):
        op.execute(f"DROP TRIGGER {table}_no_delete")
        _refuse(table, "no_delete", "BEFORE DELETE", f"{reason} IS NOT TRUE")
    _refuse(_LOGS, "no_delete", "BEFORE DELETE")
    _refuse(_LOGS, "no_replace", "BEFORE INSERT", f"EXISTS (SELECT 1 FROM {_LOGS} WHERE log = NEW.log)")  # noqa: S608 - the same
    changed = "NEW.log IS NOT OLD.log OR NEW.instance IS NOT OLD.instance OR (NEW.size >= OLD.size) IS NOT TRUE"
    _refuse(_LOGS, "no_shrink", "BEFORE UPDATE", changed)


def _refuse(table: str, name: str, when: str, condition: str = "TRUE") -> None:
    op.execute(
        f"CREATE TRIGGER {table}_{name} {when} ON {table} WHEN {condition} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


def _postgresql() -> None:
    raised = "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'"
    for name, reason in (
        ("aiguard_event_rows", _EXPIRED),
        ("aiguard_payload_rows", f"({_WAS_ERASED} OR {_EXPIRED})"),
    ):
        op.execute(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF TG_OP = 'DELETE' AND {reason} THEN RETURN OLD; END IF; {raised}; END $$"
        )
    op.execute(
        "CREATE FUNCTION aiguard_log_rows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP = 'UPDATE' AND NEW.log = OLD.log AND NEW.instance = OLD.instance AND NEW.size >= OLD.size "
        f"THEN RETURN NEW; END IF; {raised}; END $$"
    )
    for table in (_EVENTS, _ERASED):
        op.execute(f"DROP TRIGGER {table}_rows ON {table}")
        _on_rows(table, "aiguard_event_rows")
    for table in _APPEND_ONLY:
        _on_rows(table, "aiguard_append_only")
        _on_truncate(table)
    _on_rows(_LOGS, "aiguard_log_rows")
    _on_truncate(_LOGS)


def _on_rows(table: str, function: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_rows")


def _on_truncate(table: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION aiguard_append_only()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_truncate")


def downgrade() -> None:
    raise NotImplementedError("evidence is not dropped by a downgrade; restore a backup instead")
