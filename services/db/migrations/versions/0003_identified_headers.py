"""Identified headers, sealed, in a table of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """One step forward; there is none back, since records of a hospital are not dropped."""
    op.create_table(
        "identified_header",
        sa.Column("series_digest", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("series_digest", name=op.f("pk_identified_header")),
    )
