"""How many scans the voxel checks hold as they are, and with each defect, with exact intervals.

python benchmarks/voxel_power.py --manifest ../shared/data/lgg/manifest.csv --split calibration
python benchmarks/voxel_power.py --manifest ../shared/data/elderly/manifest.csv --clean
"""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

import bundles
from mri_guard import bundle
from mri_guard.evaluation.voxel_checks import evaluate_voxel_checks
from mri_guard.readers.manifest import read_manifest


def main() -> None:
    """Prints the table and, where asked, writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--split", action="append", help="again for more; default: all")
    parser.add_argument("--clean", action="store_true", help="the scans as they are, alone")
    parser.add_argument("--first", type=int, help="scans of each manifest; default: all")
    parser.add_argument("--bundle", type=Path, default=bundles.DEFAULT)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()

    rows = [
        row
        for row in read_manifest(options.manifest)
        if options.split is None or row.split in options.split
    ]
    contrast = bundle.contents(options.bundle)[0].contrasts[0]
    with bundle.load(options.bundle) as kit:
        found = evaluate_voxel_checks(
            rows[: options.first],
            kit.sanitizer,
            kit.decoder,
            contrast,
            options.seed,
            wanted=[] if options.clean else None,
        )
    table = Table("defect", "held", "of", "95 % interval", "reasons")
    for row in found:
        reasons = ", ".join(f"{reason} {count}" for reason, count in row.reasons.items())
        interval = f"{row.low:.2f} to {row.high:.2f}"
        table.add_row(row.defect, str(row.refused), str(row.n), interval, reasons)
    Console().print(table)
    if options.json:
        document = [row.model_dump(mode="json") for row in found]
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
