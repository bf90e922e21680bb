"""Service tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aiguard.db.base import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "aiguard_service_tokens",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        sa.Column("revoked_at", UtcTime, nullable=True),
        sa.Column("last_used_at", UtcTime, nullable=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_aiguard_service_tokens"),
    )
    op.create_index("ix_aiguard_service_tokens_service", "aiguard_service_tokens", ["service"])


def downgrade() -> None:
    raise NotImplementedError("credentials are not dropped by a downgrade; restore a backup instead")
