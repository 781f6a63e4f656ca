"""Who is who: the identified header of each series, encrypted, apart from cases and results.

Results go back to the right patient by it. Cases, results and logs know a series by its keyed
digest alone; what joins the two lies here, sealed with keys that are not in the database.
"""

from collections.abc import Sequence
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from mri_guard.deidentify import DeidentificationKey, Identity, identity_of, seal, unseal
from mri_guard.errors import InputError, NotFoundError
from mri_guard.readers.headers import parse_header
from services import clock
from services.audit import chain
from services.context import Context
from services.db.models import IdentifiedHeader

logger = structlog.get_logger(__name__)


def identity_of_files(context: Context, files: Sequence[Path]) -> Identity | None:
    """What the files of one series say about whom they show; None where none says anything.

    Files that cannot be read are passed over: they end in a quarantine that says why.
    """
    key = _keys(context)[0]
    found: Identity | None = None
    for file in files:
        try:
            identity = identity_of(parse_header(file), key)
        except (InputError, OSError) as error:
            logger.warning("identity.header.unreadable", error=type(error).__name__)
            continue
        found = identity if found is None else found.merged(identity)
    return found


def keep(session: Session, context: Context, series_digest: str, identity: Identity) -> None:
    """Seals the identity with the present key and files it under the series, in place of an older.

    Args:
        session: from `Database.transaction`.
        context: the deployment.
        series_digest: keyed digest of the series.
        identity: from `identity_of_files`.
    """
    sealed = seal(identity, _keys(context)[0], series_digest)
    header = IdentifiedHeader(series_digest=series_digest, sealed=sealed, written_at=clock.now())
    session.merge(header)


def read_back(
    session: Session, context: Context, series_digest: str, *, actor: str, purpose: str
) -> Identity:
    """The identity of a series; that it was read, by whom and what for, is in the audit log.

    Args:
        session: from `Database.transaction`: reading leaves a record or does not happen.
        context: the deployment.
        series_digest: keyed digest of the series.
        actor: `user:3`, `results`; never a person's name.
        purpose: what for, such as `write-back`; no patient data.

    Raises:
        NotFoundError: none is kept for this series.
        SettingsError: it was sealed with a key that is no longer there.
        DigestError: it was changed.
    """
    header = session.get(IdentifiedHeader, series_digest)
    if header is None:
        raise NotFoundError("no identified header of this series")
    identity = unseal(header.sealed, _keys(context), series_digest)
    chain.append(
        session,
        context.secrets.audit_key,
        event="identity.header.read",
        actor=actor,
        subject=f"series:{series_digest}",
        payload={"purpose": purpose},
    )
    return identity


def _keys(context: Context) -> tuple[DeidentificationKey, ...]:
    """The present key, then former ones."""
    return tuple(
        DeidentificationKey(key.get_secret_value()) for key in context.secrets.identity_keys
    )
