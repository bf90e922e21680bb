"""Keys of single people, vault entries, legal holds, job runs and erasures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aiguard.db.base import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "aiguard_data_keys",
        sa.Column("lookup", sa.String(64), nullable=False),
        sa.Column("key_id", sa.LargeBinary, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("kek", sa.String(64), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("lookup", name="pk_aiguard_data_keys"),
        sa.UniqueConstraint("key_id", name="uq_aiguard_data_keys_key_id"),
    )
    op.create_index("ix_aiguard_data_keys_kek", "aiguard_data_keys", ["kek"])
    op.add_column("aiguard_artifacts", sa.Column("retention_hash", sa.String(80), nullable=False, server_default=""))
    op.create_index("ix_aiguard_artifacts_retention_hash", "aiguard_artifacts", ["retention_hash"])
    op.create_index("ix_aiguard_artifacts_actor", "aiguard_artifacts", ["actor"])
    op.create_table(
        "aiguard_vault",
        sa.Column("vault", sa.String(64), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("decision_id", sa.String(64), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("vault", "code", name="pk_aiguard_vault"),
    )
    for column in ("code", "actor", "subject", "expires_at"):
        op.create_index(f"ix_aiguard_vault_{column}", "aiguard_vault", [column])
    _retention()


def _retention() -> None:
    op.create_table(
        "aiguard_holds",
        sa.Column("id", sa.String(64), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("matter", "custodian", "placed_by")),
        sa.Column("placed_at", UtcTime, nullable=False),
        sa.Column("review_at", UtcTime, nullable=False),
        *(sa.Column(name, sa.String(64), nullable=False) for name in ("subject", "actor", "tenant")),
        sa.Column("feature", sa.String(128), nullable=False),
        *(sa.Column(name, sa.String(64), nullable=False) for name in ("data_class", "decision_id")),
        *(sa.Column(name, UtcTime, nullable=True) for name in ("created_from", "created_until")),
        sa.Column("released_by", sa.Text, nullable=False),
        sa.Column("released_at", UtcTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_aiguard_holds"),
    )
    op.create_table(
        "aiguard_retention_latch",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_aiguard_retention_latch"),
    )
    op.execute("INSERT INTO aiguard_retention_latch (id, turns) VALUES (1, 0)")
    op.create_table(
        "aiguard_job_runs",
        sa.Column("job", sa.String(64), nullable=False),
        sa.Column("period", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("lease_until", UtcTime, nullable=False),
        sa.Column("started_at", UtcTime, nullable=False),
        sa.Column("finished_at", UtcTime, nullable=True),
        sa.Column("outcome", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("job", "period", name="pk_aiguard_job_runs"),
    )
    op.create_table(
        "aiguard_erasures",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("names", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("keys_apart", sa.Boolean, nullable=False),
        sa.Column("pending_until", UtcTime, nullable=True),
        sa.Column("sweep_at", UtcTime, nullable=True),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("providers", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_aiguard_erasures"),
    )


def downgrade() -> None:
    raise NotImplementedError("keys and evidence are not dropped by a downgrade; restore a backup instead")
