import hashlib
import shutil
import socket
import struct
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)
from pynetdicom.dsutils import encode
from sqlalchemy import select

from services.context import Context
from services.db.models import Instance, Series, SeriesState
from services.intake import dicom_node, service
from services.intake.spool import Spool
from tests.dicom_files import mr_slices, write
from tests.services.intake.conftest import Modality, Opened, events
from tests.services.intake.test_spool import Disk

Listening = Callable[[Context], Modality]


def spooled(context: Context) -> list[Path]:
    spool = Spool.under(context.settings)
    return [spool.path(sha256) for sha256 in spool.all()]


def rows(context: Context) -> dict[str, str]:
    """Series digest of each instance, by its SHA-256."""
    with context.database.reading() as session:
        found = session.execute(
            select(Instance.sha256, Series.series_digest).join(Instance.series)
        ).all()
    return {row.sha256: row.series_digest for row in found}


def test_answers_an_echo(opened: Opened, listening: Listening) -> None:
    assert listening(opened()).echoscu() == 0


def test_spools_and_registers_what_dcmtk_sends(
    opened: Opened, listening: Listening, tmp_path: Path
) -> None:
    context = opened()
    files = write(mr_slices(), tmp_path)
    assert listening(context).storescu(*files) == 0
    assert len(files) == len(spooled(context)) == len(rows(context))
    sent = {dcmread(file).SOPInstanceUID: dcmread(file) for file in files}
    for path in spooled(context):
        kept = dcmread(path)
        assert kept == sent[kept.SOPInstanceUID]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    with context.database.reading() as session:
        series = session.scalars(select(Series)).one()
    assert (series.state, series.sender) == (SeriesState.RECEIVING, "STORESCU")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_keeps_the_bytes_of_the_wire_as_they_were(
    opened: Opened, listening: Listening, syntax: UID
) -> None:
    context = opened()
    dataset = mr_slices()[0]
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = bytes(len(dataset.PixelData))
    little = syntax != ExplicitVRBigEndian
    sent = encode(dataset, syntax == ImplicitVRLittleEndian, little)
    assert sent
    dataset.file_meta.TransferSyntaxUID = syntax
    assert listening(context).send(dataset) == [0]
    [path] = spooled(context)
    assert path.read_bytes().endswith(sent)
    assert dcmread(path).file_meta.TransferSyntaxUID == syntax


def test_receives_a_ct_and_two_patients_in_one_series(opened: Opened, listening: Listening) -> None:
    context = opened()
    ct, other, another = mr_slices()[:3]
    ct.SOPClassUID, ct.Modality = CTImageStorage, "CT"
    another.PatientID = "OTHER"
    assert listening(context).send(ct, other, another) == [0, 0, 0]
    assert len(rows(context)) == 3
    assert len(set(rows(context).values())) == 1


def test_receives_a_dataset_that_does_not_parse(opened: Opened, listening: Listening) -> None:
    context = opened()
    dataset = mr_slices()[0]
    assoc = listening(context).associate()
    assert assoc.is_established
    broken = Dataset()
    broken.file_meta = dataset.file_meta
    broken.SOPClassUID = assoc.accepted_contexts[-1].abstract_syntax
    broken.SOPInstanceUID = dataset.SOPInstanceUID
    broken.add_new(0x00081140, "OB", b"\xff" * 31 + b"\xfe")
    assert assoc.send_c_store(broken).Status == 0
    assoc.release()
    assert len(rows(context)) == 1


def test_the_same_instance_again_is_acknowledged(opened: Opened, listening: Listening) -> None:
    context = opened()
    modality = listening(context)
    first = mr_slices()[0]
    assert modality.send(first) == [0]
    assert modality.send(first, first) == [0, 0]
    assert len(rows(context)) == len(spooled(context)) == 1
    assert events(context) == ["intake.series.opened"]


def test_a_uid_with_other_content_is_kept_and_noted(opened: Opened, listening: Listening) -> None:
    context = opened()
    modality = listening(context)
    first = mr_slices()[0]
    modality.send(first)
    first.PatientName = "Another"
    assert modality.send(first) == [0]
    assert len(rows(context)) == 2
    assert events(context)[-1] == "intake.instance.collision"


def test_says_out_of_resources_when_the_disk_is_low(
    opened: Opened, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = opened(min_free_disk_mb=100)
    modality = listening(context)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Disk(0, 0, 99 * 2**20))
    assert modality.send(mr_slices()[0]) == [0xA700]
    assert spooled(context) == []
    assert rows(context) == {}
    assert events(context) == ["intake.instance.refused"]
    monkeypatch.undo()
    assert modality.send(mr_slices()[0]) == [0]


def test_says_out_of_resources_to_an_instance_that_is_too_large(
    opened: Opened, listening: Listening
) -> None:
    context = opened(max_instance_mb=1)
    dataset = mr_slices()[0]
    dataset.PixelData = bytes(2**20 + 2)
    assert listening(context).send(dataset, mr_slices()[1]) == [0xA700, 0]
    assert len(rows(context)) == 1


def test_hangs_up_on_a_message_that_would_fill_the_memory(
    opened: Opened, listening: Listening
) -> None:
    context = opened(max_instance_mb=1)
    modality = listening(context)
    dataset = mr_slices()[0]
    dataset.PixelData = bytes(4 * 2**20)
    assert modality.send(dataset) == [None]
    assert modality.send(mr_slices()[1]) == [0]


def test_hangs_up_on_a_pdu_longer_than_agreed(opened: Opened, listening: Listening) -> None:
    modality = listening(opened())
    with socket.create_connection(("127.0.0.1", modality.port), timeout=10) as raw:
        raw.sendall(struct.pack(">BBL", 0x01, 0, 10 * 2**28) + bytes(100))
        raw.settimeout(10)
        assert raw.recv(100) == b""
    assert modality.echoscu() == 0


def test_survives_garbage_on_its_port(opened: Opened, listening: Listening) -> None:
    modality = listening(opened())
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 2000, b""):
        with socket.create_connection(("127.0.0.1", modality.port), timeout=10) as raw:
            raw.sendall(garbage)
    assert modality.echoscu() == 0


def test_says_failure_when_the_database_does_and_loses_nothing(
    opened: Opened, listening: Listening, monkeypatch: pytest.MonkeyPatch, log: StringIO
) -> None:
    context = opened()
    modality = listening(context)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("database")

    with monkeypatch.context() as patch:
        patch.setattr(service, "register", fail)
        assert modality.send(mr_slices()[0]) == [0xC000]
    assert rows(context) == {}
    assert "intake.instance.failed" in log.getvalue()
    assert modality.send(mr_slices()[0]) == [0]
    assert len(rows(context)) == 1


def test_acknowledges_only_what_is_committed(
    opened: Opened, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = opened()
    order: list[str] = []
    real = service.take

    def watched(*args: object, **named: object) -> object:
        try:
            return real(*args, **named)  # type: ignore[arg-type]  # handed on as they came
        finally:
            order.append(f"{len(rows(context))} rows, {len(spooled(context))} files")

    monkeypatch.setattr(service, "take", watched)
    assert listening(context).send(*mr_slices()[:2]) == [0, 0]
    assert order == ["1 rows, 1 files", "2 rows, 2 files"]


def test_lets_in_only_listed_senders(opened: Opened, listening: Listening) -> None:
    modality = listening(opened(allowed_ae_titles=("SCANNER-1",)))
    assert modality.echoscu("-aet", "SCANNER-1") == 0
    assert modality.echoscu("-aet", "STRANGER") != 0
    assert modality.associate(ae_title="STRANGER").is_rejected


def test_takes_compressed_syntaxes_and_never_deflated(opened: Opened, listening: Listening) -> None:
    modality = listening(opened())
    for syntax in (RLELossless, JPEG2000Lossless):
        assoc = modality.associate(syntax)
        assert assoc.is_established
        assoc.release()
    proposed = modality.associate(DeflatedExplicitVRLittleEndian)
    assert not [
        cx for cx in proposed.accepted_contexts if cx.abstract_syntax != "1.2.840.10008.1.1"
    ]
    proposed.abort()


def test_logs_no_identifier(opened: Opened, listening: Listening, log: StringIO) -> None:
    context = opened(max_instance_mb=1)
    dataset = mr_slices()[0]
    dataset.PixelData = bytes(2**20 + 2)
    listening(context).send(dataset, mr_slices()[1])
    assert "intake.instance.refused" in log.getvalue()
    for value in (dataset.SOPInstanceUID, dataset.PatientName, dataset.PatientID):
        assert str(value) not in log.getvalue()


def test_acknowledges_every_segment_at_once(
    opened: Opened, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delayed, an acknowledgement holds up a sender with Nagle's algorithm for 40 ms."""
    seen: list[tuple[str, int]] = []
    real = dicom_node.acknowledge_at_once

    def watched(event: Any) -> None:
        connection = event.assoc.dul.socket.socket
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        real(event)
        quick = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
        seen.append((event.event.name, quick))

    monkeypatch.setattr(dicom_node, "acknowledge_at_once", watched)
    assert listening(opened()).send(mr_slices()[0]) == [0]
    assert {("EVT_DATA_RECV", 1), ("EVT_DATA_SENT", 1)} <= set(seen)
