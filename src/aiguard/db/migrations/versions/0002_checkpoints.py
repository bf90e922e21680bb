"""Signed checkpoints of the audit log, and the subtree hashes that proofs are made of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aiguard.db.base import LeafIndex, UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_APPEND_ONLY = ("aiguard_audit_nodes", "aiguard_audit_checkpoints")


def upgrade() -> None:
    op.create_table(
        "aiguard_audit_nodes",
        sa.Column("level", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("level", "idx", name="pk_aiguard_audit_nodes"),
    )
    op.create_table(
        "aiguard_audit_checkpoints",
        sa.Column("size", LeafIndex, autoincrement=False, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_aiguard_audit_checkpoints"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_triggers()
    else:
        _postgresql_triggers()


def _sqlite_triggers() -> None:
    taken = {
        "aiguard_audit_nodes": "level = NEW.level AND idx = NEW.idx",
        "aiguard_audit_checkpoints": "size = NEW.size",
    }
    for table in _APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "  # noqa: S608 - names from this file
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {taken[table]}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _postgresql_triggers() -> None:
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
