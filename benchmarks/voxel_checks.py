"""Milliseconds of each voxel check on one clean series: median and 95th percentile.

The first check that looks at the head pays for the look that the others share. A scan is looked at
once in its life, so that every round takes a fresh copy. On a busy machine the processor time says
what a free core would take.

    OMP_NUM_THREADS=1 python benchmarks/voxel_checks.py [--rounds 30] [--slices 24] [--json FILE]
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import bundles
from mri_guard import bundle
from mri_guard.determinism import generator
from mri_guard.phantom import draw_parameters, render
from mri_guard.preprocess.orientation import spacing_mm
from mri_guard.records import Contrast, Scan, ScanHeader


def main() -> None:
    """Prints the table and, where asked, writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--slices", type=int, default=24, help="of 256 x 256")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()

    rng = generator(options.seed, "benchmark of voxel checks")
    made = render(
        draw_parameters(
            rng, Contrast.FLAIR, (), slices=options.slices, spacing_mm=145 / options.slices
        )
    )
    header = ScanHeader(
        contrast=Contrast.FLAIR, slice_count=options.slices, spacing_mm=spacing_mm(made.affine)
    )
    times: dict[str, list[float]] = {}
    with bundle.load(bundles.DEFAULT) as kit:
        for _ in range(options.rounds + 1):
            voxels = np.asfortranarray(made.voxels, dtype=np.float32)
            start = time.process_time()
            results = kit.sanitizer.check_voxels(Scan(voxels, made.affine.copy(), header))
            spent = 1000 * (time.process_time() - start)
            if not results[-1].passed:
                raise SystemExit(f"the phantom was refused: {results[-1].reason}")
            for result in results:
                times.setdefault(result.name, []).append(result.milliseconds)
            total = sum(result.milliseconds for result in results)
            times.setdefault("all", []).append(total)
            times.setdefault("all, processor time", []).append(spent)
    rows = {name: np.percentile(some[1:], (50, 95)).tolist() for name, some in times.items()}

    table = Table("check", "median, ms", "p95, ms", title=f"{made.voxels.shape}")
    for name, (median, high) in rows.items():
        table.add_row(name, f"{median:.1f}", f"{high:.1f}")
    Console().print(table)
    if options.json:
        where = f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        document = {"machine": where, "rounds": options.rounds, "milliseconds": rows}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
