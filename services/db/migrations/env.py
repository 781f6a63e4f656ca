"""Runs the migrations on the connection that `Database.migrate` hands over."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context

from services.db.models import Base, UtcDateTime


def plain_type(kind: str, item: Any, _autogen: object) -> str | Literal[False]:
    """Database types in place of ours: a migration must not change when `models.py` does."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, sa.Enum):
        return f"sa.String({item.length})"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,  # SQLite too: the connection begins its own transactions
    render_item=plain_type,
)
with context.begin_transaction():
    context.run_migrations()
