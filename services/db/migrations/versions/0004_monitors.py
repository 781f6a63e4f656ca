"""Monitors of drift, and the scores that new ones are ranked among."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """One step forward; there is none back, since records of a hospital are not dropped."""
    op.create_table(
        "monitor",
        sa.Column("bundle_digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alarm_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("bundle_digest", "name", name=op.f("pk_monitor")),
    )
    op.create_table(
        "score_seen",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("bundle_digest", sa.String(length=64), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score_seen")),
    )
    op.create_index("ix_score_seen_rank", "score_seen", ["bundle_digest", "score"])
