"""`mri-guard users`: users and keys from the host itself, for the first admin and for recovery."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from mri_guard.errors import NotFoundError
from services.context import Context
from services.db.models import Role, User
from services.deployment import deployment
from services.identity import service
from services.identity.endpoints import NAME, UserView
from services.secrets import Secrets

users_app = typer.Typer(help="Users, roles and API keys.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Lower case letters, digits, dot, dash, underscore.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@users_app.command("add")
def add(
    name: Name, role: Annotated[Role, typer.Argument(case_sensitive=False)], as_json: Json = False
) -> None:
    """Adds a user and prints their first key, once."""
    if not re.fullmatch(NAME, name):
        raise typer.BadParameter("1 to 64 of a-z 0-9 . _ -, a letter or digit first")
    with _deployment() as (session, secrets):
        user = service.add_user(session, secrets.audit_key, name=name, role=role, by=None)
        key = service.new_key(session, secrets.audit_key, user.id, by=None)
    _show_key(user, key, as_json=as_json)


@users_app.command("list")
def list_users(as_json: Json = False) -> None:
    """Lists all users."""
    with _deployment() as (session, _):
        views = [UserView.model_validate(user) for user in service.users(session)]
    if as_json:
        typer.echo(json.dumps([view.model_dump(mode="json") for view in views]))
        return
    for view in views:
        typer.echo(f"{view.name}\t{view.role}\t{'active' if view.active else 'disabled'}")


@users_app.command("disable")
def disable(name: Name) -> None:
    """Disables a user; their keys open nothing any more."""
    with _deployment() as (session, secrets):
        service.disable_user(session, secrets.audit_key, _id(session, name), by=None)


@users_app.command("new-key")
def new_key(name: Name, as_json: Json = False) -> None:
    """Prints one more key of a user, once."""
    with _deployment() as (session, secrets):
        user_id = _id(session, name)
        key = service.new_key(session, secrets.audit_key, user_id, by=None)
        user = session.get_one(User, user_id)
    _show_key(user, key, as_json=as_json)


@users_app.command("revoke-key")
def revoke_key(key_id: Annotated[int, typer.Argument(help="As shown when it was made.")]) -> None:
    """Ends one key."""
    with _deployment() as (session, secrets):
        service.revoke_key(session, secrets.audit_key, key_id, by=None)


@contextmanager
def _deployment() -> Iterator[tuple[Session, Secrets]]:
    """One transaction on the deployment, made where there is none."""
    with deployment(Context.open) as context, context.database.transaction() as session:
        yield session, context.secrets


def _id(session: Session, name: str) -> int:
    user_id = session.scalar(select(User.id).where(User.name == name))
    if user_id is None:
        raise NotFoundError("no such user")
    return user_id


def _show_key(user: User, key: service.NewKey, *, as_json: bool) -> None:
    secret = key.key.get_secret_value()
    if as_json:
        typer.echo(json.dumps({"user": user.id, "key_id": key.id, "key": secret}))
    else:
        typer.echo(f"{user.name} ({user.role}), key {key.id}, shown once:\n{secret}")
