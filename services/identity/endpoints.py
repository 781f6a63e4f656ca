"""Users and keys over HTTP, for admins."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from services.db.models import Role, User
from services.identity import service
from services.identity.access import OpenContext, require

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
MAX_BODY_BYTES = 4096
MAX_ID = 2**31 - 1

router = APIRouter(tags=["users"], max_body_size=MAX_BODY_BYTES)
Admin = Annotated[User, Depends(require(Role.ADMIN))]
Id = Annotated[int, Field(ge=1, le=MAX_ID)]


class NewUser(BaseModel):
    """Who shall be able to call."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=NAME)
    role: Role


class UserView(BaseModel):
    """A user, without keys."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    role: Role
    active: bool
    created_at: datetime


class KeyView(BaseModel):
    """A new key; it is never shown again."""

    id: int
    key: str


@router.get("/users")
def list_users(context: OpenContext, _admin: Admin) -> list[UserView]:
    """All users, oldest first."""
    with context.database.reading() as session:
        return [UserView.model_validate(user) for user in service.users(session)]


@router.post("/users", status_code=201)
def add_user(context: OpenContext, admin: Admin, new: NewUser) -> UserView:
    """The new user, who has no key yet."""
    with context.database.transaction() as session:
        user = service.add_user(
            session, context.secrets.audit_key, name=new.name, role=new.role, by=admin
        )
        return UserView.model_validate(user)


@router.delete("/users/{user_id}", status_code=204)
def disable_user(context: OpenContext, admin: Admin, user_id: Id) -> None:
    """Disables a user: their keys open nothing any more. The history keeps their name."""
    with context.database.transaction() as session:
        service.disable_user(session, context.secrets.audit_key, user_id, by=admin)


@router.post("/users/{user_id}/keys", status_code=201)
def new_key(context: OpenContext, admin: Admin, user_id: Id) -> KeyView:
    """A new key, shown once."""
    with context.database.transaction() as session:
        made = service.new_key(session, context.secrets.audit_key, user_id, by=admin)
    return KeyView(id=made.id, key=made.key.get_secret_value())


@router.delete("/keys/{key_id}", status_code=204)
def revoke_key(context: OpenContext, admin: Admin, key_id: Id) -> None:
    """Ends a key."""
    with context.database.transaction() as session:
        service.revoke_key(session, context.secrets.audit_key, key_id, by=admin)
