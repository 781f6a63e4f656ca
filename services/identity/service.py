"""Who may call: users with one role each, and their API keys."""

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretBytes, SecretStr
from sqlalchemy import select, text
from sqlalchemy.orm import Session, joinedload

from mri_guard.errors import ConflictError, NotFoundError
from services import clock
from services.audit import chain
from services.db.models import ApiKey, Role, User

KEY_PREFIX = "mg_"
SYSTEM = "system"
_FIRST_START_LOCK = 0x6D67_0003


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is shown, once."""

    id: int
    key: SecretStr


def actor(user: User | None) -> str:
    """How the audit log names a user; None is whoever runs the command line on this host."""
    return f"user:{user.id}" if user else SYSTEM


def digest(key: str) -> str:
    """SHA-256 of a key, hex. A key has 256 random bits: no salt, no stretching.

    Keys are looked up by this digest, so what a response time could tell is the digest of a
    guess, and nothing about the key.
    """
    return hashlib.sha256(key.encode()).hexdigest()


def authenticate(session: Session, key: str) -> User | None:
    """The active user whose unrevoked key this is, or None."""
    found = session.scalar(
        select(ApiKey).options(joinedload(ApiKey.user)).where(ApiKey.sha256 == digest(key))
    )
    if found is None or found.revoked_at is not None or not found.user.active:
        return None
    return found.user


def add_user(
    session: Session, audit_key: SecretBytes, *, name: str, role: Role, by: User | None
) -> User:
    """The new user, who has no key yet.

    Raises:
        ConflictError: the name is taken.
    """
    if session.scalar(select(User.id).where(User.name == name)) is not None:
        raise ConflictError("user name is taken")
    user = User(name=name, role=role, active=True, created_at=clock.now())
    session.add(user)
    session.flush()
    _record(session, audit_key, "identity.user.added", user, by=by, role=role.value)
    return user


def disable_user(
    session: Session, audit_key: SecretBytes, user_id: int, *, by: User | None
) -> User:
    """The user, whose keys open nothing any more; once disabled, again changes nothing.

    Raises:
        NotFoundError: no such user.
        ConflictError: it is the last active admin.
    """
    user = _user(session, user_id)
    if not user.active:
        return user
    admins = session.scalars(
        select(User.id).where(User.role == Role.ADMIN, User.active).with_for_update()
    ).all()
    if user.role is Role.ADMIN and len(admins) == 1:
        raise ConflictError("the last active admin cannot be disabled")
    user.active = False
    _record(session, audit_key, "identity.user.disabled", user, by=by)
    return user


def new_key(session: Session, audit_key: SecretBytes, user_id: int, *, by: User | None) -> NewKey:
    """A new key of a user; only its hash is kept.

    Raises:
        NotFoundError: no such user.
        ConflictError: the user is disabled.
    """
    user = _user(session, user_id)
    if not user.active:
        raise ConflictError("user is disabled")
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    row = ApiKey(user_id=user.id, sha256=digest(key), created_at=clock.now(), revoked_at=None)
    session.add(row)
    session.flush()
    _record(session, audit_key, "identity.key.made", user, by=by, key=row.id)
    return NewKey(row.id, SecretStr(key))


def revoke_key(session: Session, audit_key: SecretBytes, key_id: int, *, by: User | None) -> None:
    """Ends a key; once revoked, again changes nothing.

    Raises:
        NotFoundError: no such key.
    """
    key = session.get(ApiKey, key_id)
    if key is None:
        raise NotFoundError("no such key")
    if key.revoked_at is None:
        key.revoked_at = clock.now()
        _record(session, audit_key, "identity.key.revoked", key.user, by=by, key=key.id)


def users(session: Session) -> list[User]:
    """All users, oldest first."""
    return list(session.scalars(select(User).order_by(User.id)))


def ensure_admin(session: Session, audit_key: SecretBytes, key_file: Path) -> None:
    """Makes `admin` and writes its key to a file of mode 0600, when there is no user at all."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _FIRST_START_LOCK})
    if session.scalar(select(User.id).limit(1)) is not None:
        return
    admin = add_user(session, audit_key, name="admin", role=Role.ADMIN, by=None)
    key = new_key(session, audit_key, admin.id, by=None).key.get_secret_value()
    # Before the commit: a crash in between leaves a file that opens nothing, and the next start
    # writes another; the other order could leave an admin whose key nobody has.
    key_file.unlink(missing_ok=True)
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())


def _user(session: Session, user_id: int) -> User:
    user = session.get(User, user_id)
    if user is None:
        raise NotFoundError("no such user")
    return user


def _record(
    session: Session,
    audit_key: SecretBytes,
    event: str,
    user: User,
    *,
    by: User | None,
    **payload: str | int,
) -> None:
    chain.append(
        session,
        audit_key,
        event=event,
        actor=actor(by),
        subject=f"user:{user.id}",
        payload=dict(payload),
    )
