"""Who asked for a value, however their id is spelled; and content that was to be shredded, marked to be sealed anew.

Content whose rule says ``crypto-shred`` was sealed with its person's key alone before the keys of hours were there. The next run of
retention seals what carries other rules than those in force, so such rows are given none that ever were.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "aiguard_vault_requests", sa.Column("person", sa.String(64), nullable=False, server_default=sa.text("''"))
    )
    rows = sa.table(
        "aiguard_artifacts",
        sa.column("retention_hash", sa.String),
        sa.column("mechanism", sa.String),
        sa.column("content", sa.LargeBinary),
    )
    version = sa.func.substr(rows.c.content, 1, 1, type_=sa.LargeBinary)
    op.execute(
        sa.update(rows)
        .where(
            rows.c.mechanism == "crypto-shred",
            rows.c.retention_hash != "",
            version != sa.literal(b"\x03", sa.LargeBinary),
        )
        .values(retention_hash="to be sealed with the key of its hour")
    )


def downgrade() -> None:
    raise NotImplementedError("evidence is not dropped by a downgrade; restore a backup instead")
