"""What senders have sent, which are quarantined, and what their scans look like."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """One step forward; there is none back, since records of a hospital are not dropped."""
    op.add_column(
        "series", sa.Column("instance_count", sa.Integer(), nullable=False, server_default="0")
    )
    op.execute(
        "UPDATE series SET instance_count = "
        "(SELECT count(*) FROM instance WHERE instance.series_id = series.id)"
    )
    op.create_table(
        "sender_usage",
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("window", sa.BigInteger(), nullable=False),
        sa.Column("window_instances", sa.Integer(), nullable=False),
        sa.Column("window_bytes", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("day_instances", sa.Integer(), nullable=False),
        sa.Column("day_bytes", sa.BigInteger(), nullable=False),
        sa.Column("limited", sa.Integer(), nullable=False),
        sa.Column("told_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("sender", name=op.f("pk_sender_usage")),
    )
    op.create_table(
        "sender_quarantine",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("near_duplicates", sa.Integer(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sender_quarantine")),
    )
    op.create_index(op.f("ix_sender_quarantine_sender"), "sender_quarantine", ["sender"])
    op.create_table(
        "fingerprint",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"], ["series.id"], name=op.f("fk_fingerprint_series_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fingerprint")),
        sa.UniqueConstraint("series_id", name=op.f("uq_fingerprint_series_id")),
    )
    op.create_index(op.f("ix_fingerprint_at"), "fingerprint", ["at"])
    op.create_table(
        "fingerprint_hash",
        sa.Column("hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("fingerprint_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["fingerprint_id"],
            ["fingerprint.id"],
            name=op.f("fk_fingerprint_hash_fingerprint_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("hash", "fingerprint_id", name=op.f("pk_fingerprint_hash")),
    )
    op.create_index(
        op.f("ix_fingerprint_hash_fingerprint_id"), "fingerprint_hash", ["fingerprint_id"]
    )
