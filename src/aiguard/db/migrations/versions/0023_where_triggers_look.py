"""On PostgreSQL triggers look into the tables beside their own, whatever tables of the same name a session makes for itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        return
    place = bind.dialect.identifier_preparer.quote(bind.execute(sa.text("SELECT current_schema()")).scalar_one())
    for function in ("aiguard_event_rows", "aiguard_payload_rows"):
        op.execute(
            sa.text(f"ALTER FUNCTION {place}.{function}() SET search_path = {place}, pg_temp".replace(":", "\\:"))
        )


def downgrade() -> None:
    raise NotImplementedError("evidence is not dropped by a downgrade; restore a backup instead")
