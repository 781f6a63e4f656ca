"""Instances a second over C-STORE: ours against dcmtk's storescp, in one run.

dcmtk's storescp syncs nothing to disk; ours acknowledges what survives a power failure. The disk's
own rate for the three syncs an instance costs us stands beside both.

Senders come in two kinds: dcmtk's storescu leaves Nagle's algorithm on, which waits for
acknowledgements that Linux delays by 40 ms unless the receiver takes care; with TCP_NODELAY=1 in
its environment it does not.

    python benchmarks/store_rate.py [--rounds 3] [--instances 150] [--folder DIR]
"""

import argparse
import os
import platform
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from logging import WARNING
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from rich.console import Console
from rich.table import Table

from services import logging
from services.context import Context
from services.intake.dicom_node import DicomNode
from services.settings import Settings

SIDE = 256
"""Rows and columns, 16 bits each."""


Key = tuple[str, str]
"""What was measured, and the kind of sender."""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--instances", type=int, default=150)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: temporary")
    options = parser.parse_args()
    logging.configure(level=WARNING)
    folder = Path(tempfile.mkdtemp(prefix="store-rate-", dir=options.folder))
    rates: dict[Key, list[float]] = {}
    try:
        for number in range(options.rounds):
            files = write_series(folder / f"{number}-sent", options.instances)
            rates.setdefault(("disk", ""), []).append(disk(files, folder / f"{number}-disk"))
            for sender, nodelay in (("Nagle", "0"), ("no delay", "1")):
                os.environ["TCP_NODELAY"] = nodelay  # dcmtk's storescu reads it
                place = folder / f"{number}-{nodelay}"
                place.mkdir()
                rates.setdefault(("dcmtk", sender), []).append(dcmtk(files, place))
                rates.setdefault(("ours", sender), []).append(ours(files, place))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    Console().print(table(rates, options.instances))


def table(rates: dict[Key, list[float]], instances: int) -> Table:
    """Medians over the rounds, their range, and the median ratio to dcmtk's in the same round."""
    rounds = len(rates["disk", ""])
    made = Table(
        title=f"C-STORE, one association, {instances} instances of {SIDE}x{SIDE}x16 bit, "
        f"median of {rounds} rounds",
        caption=f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}",
    )
    made.add_column("")
    made.add_column("sender")
    for column in ("instances/s", "range", "ms each", "of dcmtk"):
        made.add_column(column, justify="right")
    labels = {
        "disk": "the disk's three syncs alone",
        "dcmtk": "dcmtk storescp, nothing synced",
        "ours": "ours, synced and registered",
    }
    for (what, sender), some in rates.items():
        middle = statistics.median(some)
        ratio = "-"
        if sender:
            ratios = [a / b for a, b in zip(some, rates["dcmtk", sender], strict=True)]
            ratio = f"{statistics.median(ratios):.2f}"
        spread = f"{min(some):.0f}-{max(some):.0f}"
        made.add_row(labels[what], sender, f"{middle:.0f}", spread, f"{1000 / middle:.1f}", ratio)
    return made


def ours(files: list[Path], place: Path) -> float:
    """Instances a second of our node on a new deployment."""
    context = Context.open(Settings(home=place / "home", dicom_port=0, min_free_disk_mb=0))
    node = DicomNode(context)
    try:
        return send(files, node.start())
    finally:
        node.stop()
        context.close()


def dcmtk(files: list[Path], place: Path) -> float:
    """Instances a second of dcmtk's storescp."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    received = place / "dcmtk"
    received.mkdir()
    server = subprocess.Popen(["storescp", "--output-directory", str(received), str(port)])
    try:
        wait_for(port)
        rate = send(files, port)
    finally:
        server.terminate()
        server.wait()
    if len(list(received.iterdir())) != len(files):
        raise SystemExit("storescp did not receive everything")
    return rate


def disk(files: list[Path], folder: Path) -> float:
    """Instances a second when file, folder and a growing journal are synced, and nothing else."""
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    contents = [file.read_bytes() for file in files]
    start = time.perf_counter()
    with (folder / "journal").open("wb") as journal:
        for number, content in enumerate(contents):
            part = folder / f"{number}.part"
            with part.open("wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            part.rename(folder / f"{number}.dcm")
            os.fsync(descriptor)
            journal.write(bytes(16384))
            journal.flush()
            os.fsync(journal.fileno())
    taken = time.perf_counter() - start
    os.close(descriptor)
    return len(files) / taken


def send(files: list[Path], port: int) -> float:
    """Instances a second that storescu gets rid of over one association."""
    command = ["storescu", "127.0.0.1", str(port), *map(str, files)]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return len(files) / (time.perf_counter() - start)


def wait_for(port: int) -> None:
    """Returns when somebody listens."""
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise SystemExit("storescp does not listen")


def write_series(folder: Path, count: int) -> list[Path]:
    """Files of one MR series of noise, which no link compresses."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    study, series = generate_uid(), generate_uid()
    files = []
    for number in range(count):
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.SOPClassUID, made.SOPInstanceUID = MRImageStorage, generate_uid()
        made.StudyInstanceUID, made.SeriesInstanceUID = study, series
        made.PatientID, made.PatientName, made.Modality = "BENCH", "Bench^Mark", "MR"
        made.Rows = made.Columns = SIDE
        made.BitsAllocated = made.BitsStored = 16
        made.HighBit, made.PixelRepresentation, made.SamplesPerPixel = 15, 0, 1
        made.PhotometricInterpretation, made.InstanceNumber = "MONOCHROME2", number + 1
        made.PixelData = rng.integers(0, 4096, (SIDE, SIDE), dtype=np.uint16).tobytes()
        files.append(folder / f"{number:04d}.dcm")
        dcmwrite(files[-1], made, enforce_file_format=True)
    return files


if __name__ == "__main__":
    main()
