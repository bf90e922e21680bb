"""Which key store belongs to the data."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aiguard.db.base import UtcTime

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "aiguard_key_store",
        sa.Column("id", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("identity", sa.String(64), nullable=False),
        sa.Column("since", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_aiguard_key_store"),
    )


def downgrade() -> None:
    raise NotImplementedError("evidence is not dropped by a downgrade; restore a backup instead")
