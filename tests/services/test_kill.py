"""The whole server, killed while it receives."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE
from sqlalchemy import func, select

from services.audit import chain
from services.context import Context
from services.db.models import AuditEntry, Case, Instance, Job, Series, SeriesState, WorkState
from services.intake.spool import Spool
from services.settings import Settings
from tests.dicom_files import mr_slices
from tests.services.waiting import eventually

COUNT = 150
ROOT = Path(__file__).resolve().parents[2]


class Server:
    """`tests.services.serving` in a process group of its own."""

    def __init__(self, settings: Settings) -> None:
        self.home = settings.home
        (self.home / "serve.json").unlink(missing_ok=True)
        given = settings.model_dump(mode="json", exclude_none=True)
        given["allowed_ae_titles"] = json.dumps(given["allowed_ae_titles"])
        environment = {f"MRI_GUARD_{key.upper()}": str(value) for key, value in given.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.services.serving"],
            cwd=ROOT,
            env=os.environ | environment | {"OMP_NUM_THREADS": "1"},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually((self.home / "serve.json").exists)
        self.addresses: dict[str, Any] = json.loads((self.home / "serve.json").read_text())

    def alive(self) -> list[int]:
        """Processes of this server that have not ended."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, _parent, group = stat.read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.process.pid and state != "Z":
                    found.append(int(stat.parent.name))
        return found

    def stop(self) -> int:
        """Exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def end(self) -> None:
        """Leaves nothing behind, whatever the test did."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


Serve = Callable[[Settings], Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(settings: Settings) -> Server:
        servers.append(Server(settings))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


@pytest.fixture
def brisk(settings: Settings) -> Settings:
    """Settings of a server on free ports that waits for nobody."""
    changes = {"http_port": 0, "dicom_port": 0, "quiet_seconds": 1.0, "lease_seconds": 2.0}
    return settings.model_copy(update=changes)


def slices() -> list[Dataset]:
    pixels = np.random.default_rng(0).integers(0, 90, (COUNT, 16, 16), dtype=np.uint16)
    return mr_slices(pixels, name="killed")


def send(
    server: Server, datasets: Sequence[Dataset], acknowledged: Callable[[str], object]
) -> None:
    """Sends until all are sent or the server is gone; tells of each success as it comes."""
    ae = AE(ae_title="MODALITY")
    ae.add_requested_context(datasets[0].SOPClassUID, datasets[0].file_meta.TransferSyntaxUID)
    assoc = ae.associate("127.0.0.1", server.addresses["dicom_port"])
    assert assoc.is_established
    connection = assoc.dul.socket.socket
    try:
        for dataset in datasets:
            status = assoc.send_c_store(dataset).get("Status")
            if status != 0:
                return
            acknowledged(str(dataset.SOPInstanceUID))
        assoc.release()
    except RuntimeError:  # the association is gone
        return
    finally:
        connection.close()  # pynetdicom forgets it when the peer dies


def test_keeps_what_it_acknowledged_and_finishes_the_study_once_after_a_kill(
    brisk: Settings, serve: Serve
) -> None:
    datasets = slices()
    first = serve(brisk)
    acknowledged: set[str] = set()

    def kill_in_the_middle(uid: str) -> None:
        acknowledged.add(uid)
        if len(acknowledged) == COUNT // 2:
            os.kill(first.process.pid, signal.SIGKILL)

    send(first, datasets, kill_in_the_middle)
    assert first.process.wait(10) == -signal.SIGKILL
    eventually(lambda: not first.alive())
    assert COUNT // 2 <= len(acknowledged) < COUNT

    second = serve(brisk)
    context = Context.existing(brisk)
    kept = on_disk(context)
    assert {dataset.SOPInstanceUID for dataset in kept} >= acknowledged
    sent = {dataset.SOPInstanceUID: dataset.PixelData for dataset in datasets}
    assert all(dataset.PixelData == sent[dataset.SOPInstanceUID] for dataset in kept)

    rest = [dataset for dataset in datasets if dataset.SOPInstanceUID not in acknowledged]
    send(second, rest, acknowledged.add)
    assert len(acknowledged) == COUNT
    eventually(lambda: finished(context))

    assert second.stop() == 0
    with context.database.reading() as session:
        series = session.scalars(select(Series)).one()
        cases = session.scalars(select(Case).order_by(Case.revision)).all()
        decided = session.scalars(
            select(AuditEntry).where(AuditEntry.event == "examination.decided")
        ).all()
        assert session.scalar(select(func.count(Instance.id))) == COUNT
        assert chain.verify(session, context.secrets.audit_key).intact
    assert [case.state for case in cases if case.revision == series.revision] == [
        WorkState.COMPLETED
    ]
    assert all(case.state is WorkState.CANCELED for case in cases[:-1])
    assert len(cases[-1].examination["source_digests"]) == COUNT
    revisions = [entry.payload["revision"] for entry in decided]
    assert sorted(revisions) == [case.revision for case in cases]
    context.close()


def on_disk(context: Context) -> list[Dataset]:
    """Every instance that has a row, as it lies in the spool."""
    spool = Spool(context.settings.home)
    with context.database.reading() as session:
        return [dcmread(spool.path(sha256)) for sha256 in session.scalars(select(Instance.sha256))]


def finished(context: Context) -> bool:
    """Whether all instances are in a complete series whose newest job is done."""
    with context.database.reading() as session:
        series = session.scalars(select(Series)).one()
        newest = session.scalar(select(Job.state).where(Job.revision == series.revision))
        count = session.scalar(select(func.count(Instance.id)))
    return count == COUNT and series.state is SeriesState.COMPLETE and newest is WorkState.COMPLETED
