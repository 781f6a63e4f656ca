"""Markers planted and markers left by de-identification, and milliseconds of processor time a file.

A unique marker, UID or date stands in every attribute of the standard's dictionary (with all of
PS3.15 table E.1-1), in items of every sequence, in private attributes, overlays, curves, icon,
padding, file meta, preamble and codestream. Each case is written once with values as the VR has
them, and once with text wherever text has no place.

    python -m benchmarks.deidentification [--rounds 20] [--folder DIR] [--json FILE]

Run it from the root of the repository: the markers are those of the tests. `--folder` adds what
becomes of real files there.
"""

import argparse
import copy
import io
import json
import os
import platform
import secrets
import statistics
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from rich.console import Console
from rich.table import Table

from mri_guard.deidentify import DeidentificationKey, deidentify
from mri_guard.errors import InputError
from mri_guard.readers.values import quietly
from tests.deidentify.images import CODESTREAMS, compressed, plant_in_codestream
from tests.deidentify.markers import Markers, as_file, originals, plant_everywhere
from tests.deidentify.table_e1_1 import TABLE_E1_1
from tests.dicom_files import enhanced_mr, mr_slices

SIDE = 256
"""Rows and columns of the images that are timed, 16 bits each."""


@dataclass(frozen=True)
class Case:
    """One kind of file.

    Attributes:
        name: what it is.
        planted: markers, UIDs and dates that the file holds.
        left: of those, in what was written.
        median_ms: of processor time to de-identify it.
        p95_ms: the same, 95th percentile.
        size_bytes: of the file.
    """

    name: str
    planted: int
    left: int
    median_ms: float
    p95_ms: float
    size_bytes: int


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="of real DICOM files")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    key = DeidentificationKey(secrets.token_bytes(32))
    with quietly():
        planted = [measure(name, file, markers, key, 3) for name, file, markers in with_markers()]
        clean = [
            measure(name, file, Markers(True), key, options.rounds)
            for name, file in without_markers()
        ]
    console = Console()
    console.print(table(f"Planted ({len(TABLE_E1_1)} tags of table E.1-1 among them)", planted))
    console.print(table(f"Clean files, {options.rounds} rounds", clean))
    outcomes = dict(Counter(outcomes_of(options.folder, key))) if options.folder else {}
    if outcomes:
        console.print(f"{sum(outcomes.values())} real files: {outcomes}", highlight=False)
    if options.json:
        rows = {"planted": planted, "clean": clean}
        document = {name: [asdict(case) for case in cases] for name, cases in rows.items()}
        options.json.write_text(json.dumps({**document, "real": outcomes}, indent=1))
    if any(case.left for case in planted):
        raise SystemExit("markers are left")


def with_markers() -> list[tuple[str, bytes, Markers]]:
    """Files full of markers, by name."""
    made = []
    for name, base in (("MR Image", mr_slices()[0]), ("Enhanced MR", enhanced_mr())):
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            for grammatical in (True, False):
                dataset, markers = copy.deepcopy(base), Markers(grammatical)
                dataset.file_meta.TransferSyntaxUID = syntax
                originals(dataset, markers)
                plant_everywhere(dataset, markers)
                kind = "as the VR has it" if grammatical else "text anywhere"
                made.append((f"{name}, {syntax.name[:8]} VR, {kind}", as_file(dataset), markers))
    for name, syntax in CODESTREAMS.items():
        dataset, markers = compressed(syntax), Markers(grammatical=True)
        plant_in_codestream(dataset, markers)
        made.append((f"{name} codestream", as_file(dataset), markers))
    return made


def without_markers() -> list[tuple[str, bytes]]:
    """Files as scanners send them, by name."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 4096, (4, SIDE, SIDE), dtype=np.uint16)
    made: list[tuple[str, Dataset]] = [("native", mr_slices(noise)[0])]
    for name, syntax in CODESTREAMS.items():
        made.append((f"{name}, 64 x 72", compressed(syntax)))
    return [(name, as_file(dataset)) for name, dataset in made]


def measure(
    name: str, file: bytes, markers: Markers, key: DeidentificationKey, rounds: int
) -> Case:
    """What is left of the markers, and how long it took."""
    milliseconds, left = [], 0
    for _ in range(rounds):
        start = time.process_time()
        made = deidentify(file, key)
        milliseconds.append((time.process_time() - start) * 1000)
        left = max(left, len(markers.left(made.content)))
    return Case(
        name,
        markers.planted(file),
        left,
        statistics.median(milliseconds),
        float(np.percentile(milliseconds, 95)),
        len(file),
    )


def outcomes_of(folder: Path, key: DeidentificationKey) -> list[str]:
    """For each file the reason it was refused, or whether its pixels are the same as before."""
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            made = deidentify(file, key)
        except InputError as refused:
            found.append(refused.reason)
            continue
        with quietly():
            before = dcmread(file).pixel_array
            after = dcmread(io.BytesIO(made.content)).pixel_array
        found.append("same pixels" if np.array_equal(before, after) else "OTHER PIXELS")
    return found


def table(title: str, cases: list[Case]) -> Table:
    """The cases for people."""
    made = Table(
        title=title,
        caption=f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}",
    )
    for column in ("file", "planted", "left", "CPU ms (median)", "CPU ms (95 %)", "bytes"):
        made.add_column(column, justify="left" if column == "file" else "right")
    for case in cases:
        made.add_row(
            case.name,
            str(case.planted),
            str(case.left),
            f"{case.median_ms:.1f}",
            f"{case.p95_ms:.1f}",
            str(case.size_bytes),
        )
    return made


if __name__ == "__main__":
    main()
