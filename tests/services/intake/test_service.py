import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.uid import DeflatedExplicitVRLittleEndian
from sqlalchemy import func, select

from services.context import Context
from services.db.models import AuditEntry, Instance, Series, SeriesState
from services.db.session import Database
from services.intake import service
from services.intake.service import Registered, names_of, recover, take
from services.intake.spool import Spool
from services.settings import Settings
from tests.dicom_files import mr_slices
from tests.services.conftest import TurnedClock
from tests.services.intake.conftest import encoded, events

Take = Callable[[bytes], Registered]


@pytest.fixture(scope="module")
def slices() -> list[bytes]:
    return [encoded(dataset) for dataset in mr_slices()[:3]]


@pytest.fixture
def taken(context: Context) -> Take:
    """Takes a file from `MODALITY`."""
    spool = Spool.under(context.settings)
    return lambda content: take(context, spool, [content], sender="MODALITY")


def the_series(context: Context) -> Series:
    with context.database.reading() as session:
        return session.scalars(select(Series)).one()


def count(context: Context, what: type[Series] | type[Instance]) -> int:
    with context.database.reading() as session:
        return session.scalar(select(func.count()).select_from(what)) or 0


def complete(context: Context) -> None:
    with context.database.transaction() as session:
        session.scalars(select(Series)).one().state = SeriesState.COMPLETE


def test_knows_the_series_of_a_file_that_lacks_its_start(taken: Take, slices: list[bytes]) -> None:
    assert taken(slices[0]).series_digest == taken(slices[1][132:]).series_digest


def test_opens_a_series_with_its_first_instance(
    context: Context, taken: Take, slices: list[bytes], turned_clock: TurnedClock
) -> None:
    registered = taken(slices[0])
    series = the_series(context)
    assert (series.state, series.revision, series.sender) == (SeriesState.RECEIVING, 1, "MODALITY")
    assert series.last_arrival_at == turned_clock.time
    assert (registered.series_digest, registered.study_digest) == (
        series.series_digest,
        series.study_digest,
    )
    assert not registered.duplicate
    assert not registered.collision
    assert events(context) == ["intake.series.opened"]


def test_later_instances_join_it_without_a_word_in_the_audit_log(
    context: Context, taken: Take, slices: list[bytes], turned_clock: TurnedClock
) -> None:
    taken(slices[0])
    turned_clock.turn(seconds=5)
    for content in slices[1:]:
        taken(content)
    assert the_series(context).last_arrival_at == turned_clock.time
    assert count(context, Instance) == len(slices)
    assert events(context) == ["intake.series.opened"]


def test_a_late_instance_reopens_a_complete_series_as_its_next_revision(
    context: Context, taken: Take, slices: list[bytes]
) -> None:
    taken(slices[0])
    complete(context)
    registered = taken(slices[1])
    series = the_series(context)
    assert (series.state, series.revision, registered.revision) == (SeriesState.RECEIVING, 2, 2)
    assert events(context) == ["intake.series.opened", "intake.series.reopened"]


def test_a_duplicate_adds_nothing_and_reopens_nothing(
    context: Context, taken: Take, slices: list[bytes]
) -> None:
    taken(slices[0])
    complete(context)
    registered = taken(slices[0])
    assert registered.duplicate
    assert not registered.collision
    assert count(context, Instance) == 1
    assert (the_series(context).state, the_series(context).revision) == (SeriesState.COMPLETE, 1)
    assert events(context) == ["intake.series.opened"]


def test_a_duplicate_keeps_a_series_open_while_its_sender_starts_over(
    context: Context, taken: Take, slices: list[bytes], turned_clock: TurnedClock
) -> None:
    taken(slices[0])
    turned_clock.turn(seconds=5)
    taken(slices[0])
    assert the_series(context).last_arrival_at == turned_clock.time


def test_the_same_dataset_by_another_route_is_a_duplicate(context: Context, taken: Take) -> None:
    dataset = mr_slices()[0]
    taken(encoded(dataset))
    dataset.file_meta.ImplementationVersionName = "OTHER_ROUTE"
    registered = taken(encoded(dataset))
    assert registered.duplicate
    assert not registered.collision
    assert count(context, Instance) == 1
    assert events(context) == ["intake.series.opened"]


def test_the_same_bytes_read_by_another_transfer_syntax_are_no_duplicate(
    context: Context, taken: Take
) -> None:
    content = encoded(mr_slices()[0])
    taken(content)
    explicit, bit_by_bit_as_long = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"
    registered = taken(content.replace(explicit, bit_by_bit_as_long, 1))
    assert not registered.duplicate


def test_keeps_both_when_a_uid_comes_with_other_content(context: Context, taken: Take) -> None:
    dataset = mr_slices()[0]
    taken(encoded(dataset))
    dataset.PatientName = "Another"
    registered = taken(encoded(dataset))
    assert registered.collision
    assert not registered.duplicate
    assert count(context, Instance) == 2
    assert events(context) == ["intake.series.opened", "intake.instance.collision"]


def test_two_series_of_a_study_share_its_digest(context: Context, taken: Take) -> None:
    first = taken(encoded(mr_slices(name="first")[0]))
    second = taken(encoded(mr_slices(name="second")[0]))
    assert first.study_digest == second.study_digest
    assert first.series_digest != second.series_digest


def test_stores_neither_uids_nor_names_in_the_database(
    context: Context, taken: Take, slices: list[bytes]
) -> None:
    taken(slices[0])
    complete(context)
    taken(slices[1])
    dataset = mr_slices()[0]
    context.close()  # so that everything is in the files
    stored = b"".join(path.read_bytes() for path in context.settings.home.glob("*.sqlite3*"))
    for value in (dataset.SOPInstanceUID, dataset.SeriesInstanceUID, dataset.StudyInstanceUID):
        assert value.encode() not in stored
    assert b"Made^Up" not in stored
    assert b"MADE-1" not in stored


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xd8\xff\xe0\x00\x10JFIF", bytes(128) + b"DICM", bytes(128) + b"DICM" + bytes(99)],
    ids=["empty", "JPEG", "preamble", "zeros"],
)
def test_garbage_is_a_series_of_its_own(context: Context, taken: Take, content: bytes) -> None:
    taken(b"other garbage")
    registered = taken(content)
    assert count(context, Series) == 2
    assert registered.series_digest == registered.study_digest


def test_a_file_cut_in_its_pixels_still_belongs_to_its_series(
    context: Context, taken: Take, slices: list[bytes]
) -> None:
    whole, cut = taken(slices[0]), taken(slices[1][: len(slices[1]) // 2])
    assert cut.series_digest == whole.series_digest


def test_inflates_nothing(
    context: Context, taken: Take, slices: list[bytes], tmp_path: Path
) -> None:
    dataset = dcmread(DicomBytesIO(slices[0]))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = tmp_path / "deflated.dcm"
    dataset.save_as(path, enforce_file_format=True)
    registered = taken(path.read_bytes())
    assert registered.series_digest == registered.study_digest


def test_registers_what_a_crash_left_between_spool_and_database(
    context: Context, taken: Take, slices: list[bytes]
) -> None:
    taken(slices[0])
    spool = Spool.under(context.settings)
    spool.store([slices[1]])
    spool.store([slices[2]])
    (context.settings.home / "spool" / "incoming" / "half.part").write_bytes(b"half")
    assert recover(context) == 2
    assert count(context, Instance) == 3
    assert count(context, Series) == 1
    assert not list((context.settings.home / "spool" / "incoming").iterdir())
    assert recover(context) == 0


def test_a_crash_before_the_commit_leaves_the_file_for_the_next_start(
    context: Context, taken: Take, slices: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(service, "register", crash)
        with pytest.raises(KeyboardInterrupt):
            taken(slices[0])
    assert count(context, Instance) == 0
    assert recover(context) == 1
    assert the_series(context).sender == service.RECOVERED


def test_recovers_nothing_in_a_new_deployment(context: Context) -> None:
    assert recover(context) == 0


def test_many_senders_of_one_series_open_it_once(
    context: Context, database: Database, slices: list[bytes]
) -> None:
    shared = Context(context.settings, context.secrets, database)
    spool = Spool.under(context.settings)
    contents = [encoded(dataset) for dataset in mr_slices()[:6]] * 2

    def send(some: list[bytes]) -> None:
        for content in some:
            take(shared, spool, [content], sender="MODALITY")

    threads = [threading.Thread(target=send, args=(contents[at::4],)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(shared, Series) == 1
    assert count(shared, Instance) == 6
    assert events(shared) == ["intake.series.opened"]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    home = tmp_path_factory.mktemp("any") / "home"
    opened = Context.open(Settings(home=home, min_free_disk_mb=0))
    yield opened
    opened.close()


def hostile() -> st.SearchStrategy[bytes]:
    """Any bytes, and a real file with some of its bytes changed or cut off."""
    real = encoded(mr_slices(pixels=np.zeros((1, 2, 2), np.uint16))[0])

    def broken(change: tuple[int, bytes, int]) -> bytes:
        at, other, length = change
        return (real[:at] + other + real[at + len(other) :])[:length]

    changes = st.tuples(
        st.integers(0, len(real)), st.binary(min_size=1, max_size=12), st.integers(0, len(real))
    )
    return st.one_of(st.binary(max_size=300), changes.map(broken))


@settings(deadline=None, max_examples=60)
@given(content=hostile())
def test_keeps_and_registers_whatever_arrives(deployment: Context, content: bytes) -> None:
    spool = Spool.under(deployment.settings)
    registered = take(deployment, spool, [content], sender="MODALITY")
    spooled = spool.store([content])
    assert spool.path(spooled.sha256).read_bytes() == content
    sop = names_of(deployment, spooled).sop
    with deployment.database.reading() as session:
        rows = session.scalars(select(Instance).where(Instance.sop_digest == sop)).all()
    own = [row.size_bytes for row in rows if row.sha256 == spooled.sha256]
    # a file that differs from a known one before its dataset alone stands behind that one's row
    assert own == [len(content)] or (registered.duplicate and rows and not own)


def test_audit_entries_name_digests_alone(context: Context, taken: Take) -> None:
    taken(b"garbage")
    with context.database.reading() as session:
        entry = session.scalars(
            select(AuditEntry).where(AuditEntry.event == "intake.series.opened")
        ).one()
    series = the_series(context)
    assert entry.subject == f"series:{series.series_digest}"
    assert entry.payload == {"study": series.study_digest, "revision": 1}
