"""Counts of what was anonymised."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "aiguard_anonymised",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("data_class", sa.String(64), nullable=False),
        sa.Column("feature", sa.String(128), nullable=False),
        sa.Column("sensitivity", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", "data_class", "feature", "sensitivity", name="pk_aiguard_anonymised"),
    )


def downgrade() -> None:
    raise NotImplementedError("evidence is not dropped by a downgrade; restore a backup instead")
