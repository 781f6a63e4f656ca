"""Who is calling, and whether the role permits it."""

from collections.abc import Callable
from typing import Annotated

import structlog
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from mri_guard.errors import NotAllowedError
from services.context import Context
from services.db.models import Role, User
from services.identity import service

logger = structlog.get_logger(__name__)

_bearer = HTTPBearer(auto_error=False, description="`Authorization: Bearer mg_...`")


def opened_context(request: Request) -> Context:
    """The deployment that the application serves."""
    context: Context = request.app.state.context
    return context


OpenContext = Annotated[Context, Depends(opened_context)]


def caller(
    context: OpenContext,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> User:
    """The user whose key came with the request; 401 without one."""
    if credentials is not None:
        with context.database.reading() as session:
            user = service.authenticate(session, credentials.credentials)
        if user is not None:
            return user
        logger.warning("identity.key.refused")
    raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})


def require(*roles: Role) -> Callable[[User], User]:
    """A dependency that gives the calling user, if their role is one of these.

    Use it as `user: Annotated[User, Depends(require(Role.RADIOLOGIST))]`.

    Raises:
        NotAllowedError: another role.
    """

    def permitted(user: Annotated[User, Depends(caller)]) -> User:
        if user.role not in roles:
            raise NotAllowedError(f"role is {user.role}; wanted {' or '.join(roles)}")
        return user

    return permitted
