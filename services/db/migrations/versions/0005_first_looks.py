"""First impressions of readers, given before the model speaks."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """One step forward; there is none back, since records of a hospital are not dropped."""
    op.add_column(
        "case", sa.Column("blinded", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("review_event", sa.Column("confidence", sa.String(16), nullable=True))
