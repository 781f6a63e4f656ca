"""Identified headers: sealed when a series completes, read back with a record of it."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydicom import Dataset
from sqlalchemy import select

from mri_guard.deidentify import Identity
from mri_guard.errors import DigestError, NotFoundError, SettingsError
from services import identities
from services.context import Context
from services.db.models import AuditEntry, IdentifiedHeader
from services.intake.completion import complete_quiet_series
from services.intake.service import take
from services.intake.spool import Spool
from tests.dicom_files import mr_slices
from tests.services.conftest import TurnedClock
from tests.services.intake.conftest import encoded


def complete(context: Context, turned: TurnedClock, *datasets: Dataset) -> str:
    """Digest of a series that was received and fell silent."""
    spool = Spool.under(context.settings)
    taken = [take(context, spool, [encoded(one)], sender="MODALITY") for one in datasets]
    turned.turn(minutes=1)
    complete_quiet_series(context, turned.time, turned.time - timedelta(days=1))
    return taken[0].series_digest


def sealed(context: Context) -> list[bytes]:
    with context.database.reading() as session:
        return list(session.scalars(select(IdentifiedHeader.sealed)))


def read(context: Context, digest: str) -> Identity:
    with context.database.transaction() as session:
        return identities.read_back(session, context, digest, actor="results", purpose="write-back")


def test_a_series_is_joined_to_its_patient_again(
    context: Context, turned_clock: TurnedClock
) -> None:
    slices = mr_slices()[:3]
    identity = read(context, complete(context, turned_clock, *slices))
    assert identity.attributes["PatientName"] == "Made^Up"
    assert identity.attributes["PatientID"] == "MADE-1"
    assert {one.SOPInstanceUID for one in slices} <= set(identity.uids)
    assert identity.original(identity.uids[slices[0].StudyInstanceUID]) == (
        slices[0].StudyInstanceUID
    )


def test_the_table_tells_nobody(context: Context, turned_clock: TurnedClock) -> None:
    complete(context, turned_clock, mr_slices()[0])
    (stored,) = sealed(context)
    assert b"Made" not in stored
    assert b"MADE" not in stored
    database = context.settings.home / "mri-guard.sqlite3"
    for file in database.parent.glob("mri-guard.sqlite3*"):
        assert b"MADE-1" not in file.read_bytes()


def test_reading_leaves_a_record_that_names_no_patient(
    context: Context, turned_clock: TurnedClock
) -> None:
    digest = complete(context, turned_clock, mr_slices()[0])
    read(context, digest)
    with context.database.reading() as session:
        entry = session.scalars(
            select(AuditEntry).where(AuditEntry.event == "identity.header.read")
        ).one()
    assert (entry.actor, entry.subject) == ("results", f"series:{digest}")
    assert entry.payload == {"purpose": "write-back"}


def test_a_late_instance_joins_the_identity(context: Context, turned_clock: TurnedClock) -> None:
    first, second = mr_slices()[:2]
    digest = complete(context, turned_clock, first)
    assert second.SOPInstanceUID not in read(context, digest).uids
    complete(context, turned_clock, second)
    assert {first.SOPInstanceUID, second.SOPInstanceUID} <= set(read(context, digest).uids)
    assert len(sealed(context)) == 1


def test_what_is_no_dicom_has_no_identity(context: Context, turned_clock: TurnedClock) -> None:
    taken = take(context, Spool.under(context.settings), [b"no DICOM"], sender="MODALITY")
    turned_clock.turn(minutes=1)
    began: datetime = turned_clock.time - timedelta(days=1)
    assert complete_quiet_series(context, turned_clock.time, began) == 1
    with pytest.raises(NotFoundError):
        read(context, taken.series_digest)


def test_a_former_key_still_opens_and_a_missing_one_is_named(
    context: Context, turned_clock: TurnedClock
) -> None:
    digest = complete(context, turned_clock, mr_slices()[0])
    folder: Path = context.settings.home / "secrets"
    (folder / "identity.key").rename(folder / "identity-2026.key")
    turned = Context.open(context.settings)
    assert read(turned, digest).attributes["PatientID"] == "MADE-1"
    turned.close()
    (folder / "identity-2026.key").unlink()
    lost = Context.open(context.settings)
    with pytest.raises(SettingsError, match="not at hand"):
        read(lost, digest)
    lost.close()


def test_an_identity_moved_to_another_series_does_not_open(
    context: Context, turned_clock: TurnedClock
) -> None:
    complete(context, turned_clock, mr_slices()[0])
    (stored,) = sealed(context)
    with context.database.transaction() as session:
        session.add(
            IdentifiedHeader(series_digest="0" * 64, sealed=stored, written_at=turned_clock.time)
        )
    with pytest.raises(DigestError):
        read(context, "0" * 64)
    assert len(sealed(context)) == 2
