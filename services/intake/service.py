"""What has arrived, in the database: which series a spooled file belongs to, and what that means.

Nothing is judged here. A CT, a truncated file or a picture is registered like any other and ends in
a quarantine that says why.
"""

import hashlib
import hmac
import io
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain as chained
from itertools import groupby
from pathlib import Path

import structlog
from pydantic import JsonValue, SecretBytes
from pydicom import Dataset, FileDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mri_guard.errors import LimitError
from mri_guard.readers.repairs import repaired
from mri_guard.readers.values import quietly
from mri_guard.readers.values import text as text_of
from services import clock
from services.audit import chain
from services.context import Context
from services.db.models import Instance, Series, SeriesState
from services.intake import limits
from services.intake.limits import MAX_SENDER_CHARACTERS
from services.intake.spool import Spool, Spooled

logger = structlog.get_logger(__name__)

ACTOR = "intake"
RECOVERED = "RECOVERED"
"""Sender of a file that was in the spool before its row was: nobody knows any more."""

NAMING_BYTES = 2**20
"""UIDs stand in the first kilobytes of any real header; a longer search would help attackers."""

LAST_NAME = Tag("SeriesInstanceUID")
UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
"""In the order of `Names`."""

GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
"""File Meta Information Group Length (0002,0000) as it must begin the file meta."""
_SERIES_LOCK = 0x6D67_0004


@dataclass(frozen=True, slots=True)
class Names:
    """Keyed digests that stand for the UIDs of one file."""

    sop: str
    series: str
    study: str


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of an instance.

    Attributes:
        series_digest: keyed digest of its series.
        study_digest: keyed digest of its study, as the series' first instance named it.
        revision: of the series now.
        duplicate: the same file, or the same dataset behind another file meta, was there before;
            nothing has changed.
        collision: another file with the same SOP Instance UID was there before; both are kept.
    """

    series_digest: str
    study_digest: str
    revision: int
    duplicate: bool
    collision: bool


def take(
    context: Context,
    spool: Spool,
    chunks: Iterable[bytes],
    *,
    sender: str,
    within_upload: bool = False,
    recent: limits.Recent | None = None,
) -> Registered:
    """An instance, durable and registered: it may be acknowledged.

    Args:
        context: the deployment.
        spool: of the deployment.
        chunks: the file.
        sender: calling AE title or API user.
        within_upload: whether the sender's rate and quota have let the whole upload in.
        recent: senders far from their limits, of a caller that brings many instances.

    Raises:
        SenderLimitError: `sender-rate` or `sender-quota`; nothing has been kept.
        LimitError: `series-full`, `study-full`, `disk-low` or `instance-too-large`; nothing has
            been kept.
        OSError: the disk failed.
        SQLAlchemyError: the database failed; `recover` will find the file in the spool.
    """
    start, chunks = _peek(chunks)
    header = header_of(start)
    told = all(text_of(header, keyword) for keyword in UIDS)
    names = _names(context, header, "") if told else None
    limits.admit(
        context,
        sender,
        within_upload=within_upload,
        series=names.series if names else "",
        study=names.study if names else "",
        recent=recent,
    )
    try:
        spooled = spool.store(chunks)
    except LimitError as error:
        _refuse(context, error)
        raise
    with context.database.transaction() as session:
        window_seconds = context.settings.sender_window_seconds
        limits.count(session, sender, spooled.size_bytes, window_seconds)
        names = names or _names(context, header, spooled.sha256)
        return register(context, session, spooled, sender=sender, names=names)


def register(
    context: Context,
    session: Session,
    spooled: Spooled,
    *,
    sender: str,
    names: Names | None = None,
) -> Registered:
    """Adds a spooled file to its series, which it opens or reopens where that is due.

    Args:
        context: the deployment.
        session: from `Database.transaction`; acknowledge after its commit, not before.
        spooled: what the spool has kept.
        sender: calling AE title or API user.
        names: of the file; read from it when None.
    """
    now = clock.now()
    names = names or names_of(context, spooled)
    _lock(session, names.series)
    series = session.scalar(
        select(Series).where(Series.series_digest == names.series).with_for_update()
    )
    before = session.execute(
        select(Instance.sha256).where(Instance.sop_digest == names.sop)
    ).scalars()
    known = set(before)
    duplicate = spooled.sha256 in known or _same_dataset(context, spooled.sha256, known)
    collision = bool(known) and not duplicate
    if series is None:
        series = Series(
            series_digest=names.series,
            study_digest=names.study,
            last_arrival_at=now,
            sender=sender[:MAX_SENDER_CHARACTERS],
            revision=1,
            instance_count=0,
            state=SeriesState.RECEIVING,
        )
        session.add(series)
        session.flush()
        _record(context, session, "intake.series.opened", series)
    elif series.state is SeriesState.RECEIVING:
        series.last_arrival_at = now  # of a duplicate too: a sender that starts over is not done
    elif not duplicate:
        series.state = SeriesState.RECEIVING
        series.revision += 1
        series.last_arrival_at = now
        _record(context, session, "intake.series.reopened", series)
    if collision:
        payload: dict[str, JsonValue] = {"instance": names.sop, "sha256": spooled.sha256}
        _record(context, session, "intake.instance.collision", series, payload)
        logger.warning("intake.instance.collision", series=names.series, sha256=spooled.sha256)
    if not duplicate:
        series.instance_count += 1
        session.add(
            Instance(
                series_id=series.id,
                sop_digest=names.sop,
                sha256=spooled.sha256,
                size_bytes=spooled.size_bytes,
                received_at=now,
            )
        )
    session.flush()
    return Registered(names.series, series.study_digest, series.revision, duplicate, collision)


def recover(context: Context) -> int:
    """How many spooled files had no row, as after a crash between rename and commit; now they have.

    Call it at the start, before anything is received: it also removes half-written files.
    """
    spool = Spool.under(context.settings)
    spool.clear_incoming()
    recovered = 0
    for prefix, files in groupby(spool.all(), key=lambda sha256: sha256[:2]):
        with context.database.reading() as session:
            known = set(
                session.scalars(select(Instance.sha256).where(Instance.sha256.startswith(prefix)))
            )
        for sha256 in files:
            if sha256 not in known:
                spooled = Spooled(sha256, spool.path(sha256).stat().st_size)
                with context.database.transaction() as session:
                    register(context, session, spooled, sender=RECOVERED)
                recovered += 1
    if recovered:
        logger.warning("intake.spool.recovered", count=recovered)
    return recovered


def names_of(context: Context, spooled: Spooled) -> Names:
    """Keyed digests of the file's UIDs; of its SHA-256 in place of those it does not tell."""
    with Spool(context.settings.home).path(spooled.sha256).open("rb") as file:
        return _names(context, header_of(file.read(NAMING_BYTES)), spooled.sha256)


def _names(context: Context, header: Dataset | None, sha256: str) -> Names:
    return Names(
        *(
            digest(context.secrets.identifier_key, text_of(header, keyword) or sha256)
            for keyword in UIDS
        )
    )


def _peek(chunks: Iterable[bytes]) -> tuple[bytes, Iterable[bytes]]:
    """The first `NAMING_BYTES` of what comes in chunks, and all of it."""
    rest = iter(chunks)
    begun: list[bytes] = []
    start = bytearray()
    while len(start) < NAMING_BYTES and (chunk := next(rest, None)) is not None:
        begun.append(chunk)
        start += chunk[: NAMING_BYTES - len(start)]
    return bytes(start), chained(begun, rest)


def digest(key: SecretBytes, identifier: str) -> str:
    """HMAC-SHA256 of a UID, hex: without the key nobody can tell which one it stands for."""
    value = identifier.encode(errors="surrogatepass")
    return hmac.new(key.get_secret_value(), value, hashlib.sha256).hexdigest()


def _same_dataset(context: Context, sha256: str, known: set[str]) -> bool:
    """Whether a known file holds the same dataset: sent once by C-STORE, say, and once as a zip.

    Only what the sender's route has put before it, preamble and file meta, may differ; the transfer
    syntax, by which the dataset is read, may not.
    """
    spool = Spool(context.settings.home)
    new = _dataset_digest(spool.path(sha256)) if known else None
    return new is not None and new in {_dataset_digest(spool.path(other)) for other in known}


def _dataset_digest(path: Path) -> str | None:
    """SHA-256 of transfer syntax and dataset of a Part 10 file (PS3.10 section 7.1), else None."""
    with path.open("rb") as file:
        start = file.read(NAMING_BYTES)
        header = header_of(start)
        meta = header.file_meta if isinstance(header, FileDataset) else None
        syntax = meta.get("TransferSyntaxUID") if meta is not None else None
        if not syntax or start[132:140] != GROUP_LENGTH:
            return None
        file.seek(144 + int.from_bytes(start[140:144], "little"))
        sha = hashlib.sha256(str(syntax).encode() + b"\0")
        while block := file.read(NAMING_BYTES):
            sha.update(block)
    return sha.hexdigest()


class _Start(io.BytesIO):
    """The first bytes of a file, which refuse to be read to the end: only inflating asks for it."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file does, but never all."""
        if size is None or size < 0:
            raise EOFError
        return super().read(size)


def header_of(start: bytes) -> Dataset | None:
    """Attributes up to the series' UID, from a file's first bytes; None if they do not parse."""

    def beyond_names(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        return bool(tag > LAST_NAME)

    with quietly():
        try:
            return read_partial(_Start(repaired(start)[0]), stop_when=beyond_names)
        except Exception:  # noqa: BLE001 - a parser of hostile bytes raises anything
            return None


def _lock(session: Session, series_digest: str) -> None:
    """Lets one transaction at a time open or change a series; on SQLite that is so anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(
            text("SELECT pg_advisory_xact_lock(:kind, :series)"),
            {"kind": _SERIES_LOCK, "series": int(series_digest[:8], 16) - 2**31},
        )


def _refuse(context: Context, refusal: LimitError) -> None:
    """Leaves word of a refusal; on a full disk that may fail, which changes nothing."""
    logger.warning("intake.instance.refused", reason=refusal.reason, detail=refusal.detail)
    try:
        with context.database.transaction() as session:
            chain.append(
                session,
                context.secrets.audit_key,
                event="intake.instance.refused",
                actor=ACTOR,
                subject="spool",
                payload={"reason": refusal.reason},
            )
    except SQLAlchemyError as error:
        logger.error("intake.audit.failed", exc_info=error)


def _record(
    context: Context,
    session: Session,
    event: str,
    series: Series,
    payload: dict[str, JsonValue] | None = None,
) -> None:
    chain.append(
        session,
        context.secrets.audit_key,
        event=event,
        actor=ACTOR,
        subject=f"series:{series.series_digest}",
        payload={"study": series.study_digest, "revision": series.revision, **(payload or {})},
    )
