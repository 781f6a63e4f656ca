"""A node that listens, and senders of every kind of file."""

import logging as stdlib_logging
import subprocess
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydicom import Dataset, dcmwrite
from pydicom.filebase import DicomBytesIO
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification
from sqlalchemy import select

from services import logging
from services.context import Context
from services.db.models import AuditEntry
from services.intake.dicom_node import DicomNode, let_go
from services.settings import Settings
from tests.dicom_files import mr_slices
from tests.peers import peer

CLOSING = [(evt.EVT_CONN_CLOSE, let_go)]
Opened = Callable[..., Context]


@pytest.fixture
def opened(settings: Settings) -> Iterator[Opened]:
    """Opens the test's deployment with other settings."""
    contexts = []

    def open_with(**changes: Any) -> Context:
        context = Context.open(settings.model_copy(update={"dicom_port": 0, **changes}))
        contexts.append(context)
        return context

    yield open_with
    for context in contexts:
        context.close()


class Modality:
    """Senders to one node: dcmtk's programs and pynetdicom."""

    def __init__(self, port: int) -> None:
        self.port = port

    def echoscu(self, *options: str) -> int:
        """Exit status of dcmtk's echoscu."""
        return self._dcmtk("echoscu", *options)

    def storescu(self, *files: Path, options: tuple[str, ...] = ()) -> int:
        """Exit status of dcmtk's storescu."""
        return self._dcmtk("storescu", *options, files=files)

    def send(self, *datasets: Dataset, ae_title: str = "MODALITY") -> list[int | None]:
        """Status of each C-STORE over one association of pynetdicom; None without an answer."""
        ae = AE(ae_title=ae_title)
        for dataset in datasets:
            ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        assoc = ae.associate("127.0.0.1", self.port, evt_handlers=CLOSING)
        assert assoc.is_established
        try:
            return [assoc.send_c_store(dataset).get("Status") for dataset in datasets]
        finally:
            assoc.release()

    def associate(self, *syntaxes: str, ae_title: str = "MODALITY") -> Any:
        """An association that proposes the first storage classes; established or not."""
        ae = AE(ae_title=ae_title)
        ae.add_requested_context(Verification)
        for context in AllStoragePresentationContexts[:3]:
            ae.add_requested_context(context.abstract_syntax, list(syntaxes) or None)
        return ae.associate("127.0.0.1", self.port, evt_handlers=CLOSING)

    def _dcmtk(self, program: str, *options: str, files: tuple[Path, ...] = ()) -> int:
        command = [peer(program), *options, "127.0.0.1", str(self.port), *map(str, files)]
        return subprocess.run(command, timeout=60, capture_output=True, check=False).returncode


@pytest.fixture
def listening() -> Iterator[Callable[[Context], Modality]]:
    """Starts a node on a deployment and gives senders to it."""
    nodes = []

    def listen(context: Context) -> Modality:
        node = DicomNode(context)
        nodes.append(node)
        return Modality(node.start())

    yield listen
    for node in nodes:
        node.stop()


def encoded(dataset: Dataset) -> bytes:
    """The dataset as a file."""
    buffer = DicomBytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture
def pair() -> tuple[bytes, bytes]:
    """Two files of one series."""
    first, second = mr_slices()[:2]
    return encoded(first), encoded(second)


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What the services log, as in a deployment."""
    root = stdlib_logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = StringIO()
    logging.configure(stream)
    yield stream
    root.handlers, root.level = handlers, level
    stdlib_logging.captureWarnings(False)
    structlog.reset_defaults()


def events(context: Context) -> list[str]:
    """Audit events of the intake, oldest first."""
    with context.database.reading() as session:
        found = session.scalars(select(AuditEntry.event).order_by(AuditEntry.sequence))
        return [event for event in found if event.startswith("intake.")]
