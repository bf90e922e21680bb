"""Requests to reveal the value behind a token, which a second person approves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aiguard.db.base import UtcTime

revision = "0006"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "aiguard_vault_requests",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("vault", sa.String(64), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("requested_by", sa.String(64), nullable=False),
        sa.Column("requested_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        sa.Column("approved_by", sa.String(64), nullable=False),
        sa.Column("approval", sa.LargeBinary, nullable=True),
        sa.Column("used_at", UtcTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_aiguard_vault_requests"),
    )
    op.create_index("ix_aiguard_vault_requests_expires_at", "aiguard_vault_requests", ["expires_at"])


def downgrade() -> None:
    raise NotImplementedError("evidence is not dropped by a downgrade; restore a backup instead")
