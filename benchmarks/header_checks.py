"""Milliseconds a file of reading and of each header check, beside pydicom's on the same files.

Every round takes every file once through: `read_header` (bytes, SHA-256, walk, parser), each check
on its own, and pydicom's `dcmread` with `pixel_array`. One thread; the time that this thread had on
a processor, so that what else the machine does counts less, and the wall clock beside it. The
target is 2 ms a file of 256x256 with its digest, and checks are measured on clean files, which run
through all of them.

    python benchmarks/header_checks.py [--rounds 5] [--series FOLDER_OR_ZIP] [--json FILE]
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydicom import dcmread
from rich.console import Console
from rich.table import Table

from mri_guard.determinism import generator
from mri_guard.phantom import draw_parameters, render, write_dicom_series
from mri_guard.readers import open_sources, read_header
from mri_guard.records import Contrast
from mri_guard.sanitize import HEADER_CHECKS

TARGET_MS = 2.0

Found = TypeVar("Found")

Timed = tuple[float, float]
"""Milliseconds of this thread on a processor, and of the wall clock."""


def main() -> None:
    """Prints a table for phantoms, and one for the series given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--phantoms", type=int, default=24, help="slices of 256x256")
    parser.add_argument("--series", type=Path, help="a DICOM folder or zip that passes every check")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory(prefix="header-checks-") as folder:
        series = {"phantom, 256x256": phantom(Path(folder) / "phantom", options.phantoms)}
        if options.series:
            (Path(folder) / "series").mkdir()
            sources = open_sources(options.series, Path(folder) / "series")
            series[options.series.name] = [file for source in sources for file in source.files]
        for name, files in series.items():
            times = measure(files, options.rounds)
            Console().print(table(name, files, times, options.rounds))
            found[name] = {what: summary(some) for what, some in times.items()}
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "series": found}, indent=1))


def phantom(folder: Path, slices: int) -> list[Path]:
    """Files of one phantom series, each slice enlarged to 256x256."""
    rng = generator(0, "benchmark", "header checks")
    made = render(draw_parameters(rng, Contrast.FLAIR, (), slices=slices, spacing_mm=145 / slices))
    rows, columns = (
        np.linspace(0, side - 1, 256).round().astype(int) for side in made.voxels.shape[:2]
    )
    voxels = np.clip(made.voxels[np.ix_(rows, columns)], 0, 4095)
    return write_dicom_series(voxels, made.affine, folder, Contrast.FLAIR, seed=0)


def measure(files: Sequence[Path], rounds: int) -> dict[str, list[Timed]]:
    """Times of each part, one for each file and round; the first round warms up and is left out."""
    times: dict[str, list[Timed]] = {}
    for number in range(rounds + 1):
        for file in files:
            taken = one(file)
            if number:
                for what, some in taken.items():
                    times.setdefault(what, []).append(some)
    return times


def one(file: Path) -> dict[str, Timed]:
    """Times of each part for one file.

    Raises:
        SystemExit: a check refuses the file: a refusal ends early and would flatter the rest.
    """
    header, reading = timed(lambda: read_header(file))
    taken = {"reading, with SHA-256": reading}
    for check in HEADER_CHECKS:
        rejection, taken[check.name] = timed(partial(check, header))
        if rejection is not None:
            raise SystemExit(f"{check.name} refuses a file ({rejection.reason}); clean ones wanted")
    processor, wall = (sum(some[kind] for some in taken.values()) for kind in (0, 1))
    taken["all of the above"] = (processor, wall)
    _, taken["pydicom: dcmread + pixel_array"] = timed(lambda: dcmread(file).pixel_array)
    return taken


def timed(work: Callable[[], Found]) -> tuple[Found, Timed]:
    """What the work gives, and how long it took."""
    processor, wall = time.thread_time(), time.perf_counter()
    found = work()
    return found, (
        (time.thread_time() - processor) * 1000,
        (time.perf_counter() - wall) * 1000,
    )


def summary(times: Sequence[Timed]) -> dict[str, float]:
    """Median and 95th percentile of both clocks, milliseconds, and their number."""
    processor, wall = np.array(times).T
    return {
        "median_ms": float(np.median(processor)),
        "p95_ms": float(np.percentile(processor, 95)),
        "wall_median_ms": float(np.median(wall)),
        "wall_p95_ms": float(np.percentile(wall, 95)),
        "n": len(times),
    }


def table(name: str, files: Sequence[Path], times: dict[str, list[Timed]], rounds: int) -> Table:
    """One row a part."""
    size = sum(file.stat().st_size for file in files) / len(files) / 1024
    made = Table(
        title=f"{name}: {len(files)} files of {size:.0f} KiB, {rounds} rounds; "
        f"{TARGET_MS} ms wanted",
        caption=machine(),
    )
    made.add_column("milliseconds a file")
    for column in ("median", "p95", "wall median", "wall p95", "of pydicom's"):
        made.add_column(column, justify="right")
    reference = np.median([processor for processor, _ in times["pydicom: dcmread + pixel_array"]])
    for what, some in times.items():
        told = summary(some)
        made.add_row(
            what,
            *(
                f"{told[key]:.3f}"
                for key in ("median_ms", "p95_ms", "wall_median_ms", "wall_p95_ms")
            ),
            f"{told['median_ms'] / reference:.2f}",
        )
    return made


def machine() -> str:
    """The machine and what else it is doing."""
    return (
        f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}"
    )


if __name__ == "__main__":
    main()
