"""Payloads may be erased, once a row that cannot be taken back says so; the events they belong to stay."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aiguard.db.base import LeafIndex

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLE = "aiguard_audit_erased"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("seq", LeafIndex, autoincrement=False, nullable=False),
        sa.Column("tombstone", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_aiguard_audit_erased"),
    )
    op.create_index("ix_aiguard_audit_events_subject", "aiguard_audit_events", ["subject"])
    if op.get_bind().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgresql()


def _sqlite() -> None:
    erased = f"EXISTS (SELECT 1 FROM {_TABLE} WHERE seq = OLD.seq)"  # noqa: S608 - names from this file
    op.execute("DROP TRIGGER aiguard_audit_payloads_no_delete")
    op.execute(
        "CREATE TRIGGER aiguard_audit_payloads_no_delete BEFORE DELETE ON aiguard_audit_payloads "
        f"WHEN NOT {erased} "
        "BEGIN SELECT RAISE(ABORT, 'aiguard_audit_payloads is append-only'); END"
    )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {_TABLE}_no_{verb.lower()} BEFORE {verb} ON {_TABLE} "
            f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only'); END"
        )
    op.execute(
        f"CREATE TRIGGER {_TABLE}_no_replace BEFORE INSERT ON {_TABLE} "  # noqa: S608 - names from this file
        f"WHEN EXISTS (SELECT 1 FROM {_TABLE} WHERE seq = NEW.seq) "
        f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only'); END"
    )


def _postgresql() -> None:
    erased = f"EXISTS (SELECT 1 FROM {_TABLE} WHERE seq = OLD.seq)"  # noqa: S608 - names from this file
    op.execute(
        "CREATE FUNCTION aiguard_payload_rows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP = 'DELETE' AND {erased} THEN RETURN OLD; END IF; "
        "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute("DROP TRIGGER aiguard_audit_payloads_rows ON aiguard_audit_payloads")
    op.execute(
        "CREATE TRIGGER aiguard_audit_payloads_rows BEFORE UPDATE OR DELETE ON aiguard_audit_payloads "
        "FOR EACH ROW EXECUTE FUNCTION aiguard_payload_rows()"
    )
    op.execute(
        f"CREATE TRIGGER {_TABLE}_rows BEFORE UPDATE OR DELETE ON {_TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION aiguard_append_only()"
    )
    op.execute(
        f"CREATE TRIGGER {_TABLE}_truncate BEFORE TRUNCATE ON {_TABLE} "
        "FOR EACH STATEMENT EXECUTE FUNCTION aiguard_append_only()"
    )
    for table, suffix in (("aiguard_audit_payloads", "rows"), (_TABLE, "rows"), (_TABLE, "truncate")):
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{suffix}")


def downgrade() -> None:
    raise NotImplementedError("evidence is not dropped by a downgrade; restore a backup instead")
