"""Do exact thresholds keep their promises on real healthy scores, overall and slice by slice?

Takes the scores from a table, or makes them with a bundle (`--write` keeps the table):

python -m benchmarks.calibration_claims --bundle B --manifest MANIFEST.csv --split calibration \
    --split test --by sex --by site --by age --write scores.csv
python -m benchmarks.calibration_claims --scores scores.csv --by sex --by age --workload 3/20

A column of numbers is cut into bands of 20; slices with fewer than two people are not shown.
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from mri_guard import bundle
from mri_guard.calibration import Budget, Rate, Workload
from mri_guard.evaluation.claims import RESAMPLES, claims
from mri_guard.readers.manifest import ManifestRow, read_manifest
from mri_guard.training.site import one_a_person, seen_by

BAND = 20


def main() -> None:
    """Prints the table and, where asked, writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=Path, help="CSV of healthy scans with the column `score`")
    parser.add_argument("--bundle", type=Path, help="to score with instead")
    parser.add_argument("--manifest", type=Path, help="of the scans to score")
    parser.add_argument("--split", action="append", default=[], help="again for more")
    parser.add_argument("--write", type=Path, help="CSV of the scores that were made")
    parser.add_argument("--by", action="append", default=[], help="column; again for more")
    parser.add_argument("--alpha", type=float, action="append")
    parser.add_argument("--workload", action="append", help="as 3/20: at most 3 of 20 a day")
    parser.add_argument("--delta", type=float, default=0.05)
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    if (options.scores is None) == (options.bundle is None or options.manifest is None):
        parser.error("wanted either --scores, or --bundle and --manifest")

    rows = table_of(options.scores) if options.scores else scored(options)
    budgets: list[Budget] = [Rate(alpha=alpha) for alpha in options.alpha or (0.05, 0.10)]
    for day in options.workload or ("3/20",):
        at_most, per_day = map(int, day.split("/"))
        budgets.append(Workload(at_most=at_most, per_day=per_day))
    scores = np.array([float(row["score"]) for row in rows])
    found = claims(
        scores,
        slices_of(rows, options.by),
        budgets,
        options.delta,
        seed=options.seed,
        resamples=options.resamples,
    )
    printed = Table("of", "people", "budget", "threshold", "broken", "95 % interval", "verdict")
    for claim in found:
        told = claim.broken is not None
        printed.add_row(
            claim.of,
            str(claim.people),
            claim.budget,
            claim.threshold,
            f"{claim.broken} of {claim.resamples}" if told else "",
            f"{claim.low:.3f} to {claim.high:.3f}" if told else "",
            claim.verdict,
        )
    Console(width=150).print(printed)
    if options.json:
        document = [claim.model_dump(mode="json") for claim in found]
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def table_of(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV; with a column `label`, the healthy ones."""
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row.get("label", "healthy") == "healthy"]


def scored(options: argparse.Namespace) -> list[dict[str, str]]:
    """Healthy scans of the manifest with their scores; those that never got one are left out."""
    rows = healthy_people(options.manifest, options.split)
    with (
        bundle.load(options.bundle) as kit,
        tempfile.TemporaryDirectory() as work,
        Progress(console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("screening", total=len(rows))
        seen = seen_by(kit, rows, Path(work), lambda: progress.advance(task))
    made = [
        row.attributes | {"score": repr(one.scores[0])}
        for row, one in zip(rows, seen, strict=True)
        if one.scores
    ]
    if options.write and made:
        write(options.write, made)
    return made


def healthy_people(manifest: Path, splits: Collection[str]) -> tuple[ManifestRow, ...]:
    """One healthy scan of each person of the splits; of all splits where none is named."""
    return one_a_person(
        [
            row
            for row in read_manifest(manifest)
            if row.label == "healthy" and (not splits or row.split in splits)
        ]
    )


def write(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """At least one row, as `table_of` reads them."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def slices_of(
    rows: Sequence[dict[str, str]], columns: Sequence[str]
) -> dict[str, NDArray[np.bool_]]:
    """Who belongs to each value, or band of values, of each column; nobody whose value is empty."""
    slices: dict[str, NDArray[np.bool_]] = {}
    for column in columns:
        values = [band_of(row[column]) for row in rows]
        for value in sorted({value for value in values if value}):
            inside = np.array([other == value for other in values])
            if inside.sum() > 1:
                slices[f"{column} {value}"] = inside
    return slices


def band_of(value: str) -> str:
    """A number's band of 20, anything else itself."""
    try:
        low = int(float(value) // BAND) * BAND
    except ValueError:
        return value
    return f"{low} to {low + BAND - 1}"


if __name__ == "__main__":
    main()
