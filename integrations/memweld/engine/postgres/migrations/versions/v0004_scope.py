"""Items without the column that only the full-text index of early embedded files had a use for."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Drop the column, which rewrites no row."""
    op.get_bind().exec_driver_sql("ALTER TABLE items DROP COLUMN scope")
