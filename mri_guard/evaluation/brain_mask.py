"""Dice of the brain mask on people, and how much of their tumours it keeps."""

import csv
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from mri_guard.determinism import generator
from mri_guard.evaluation.evidence import Evidence, Metric, code_version, machine
from mri_guard.kept import digest_of
from mri_guard.metrics.bootstrap import summary
from mri_guard.preprocess import Preprocess, to_scan_grid
from mri_guard.preprocess.orientation import spacing_mm
from mri_guard.readers.manifest import digest
from mri_guard.records import Contrast, Scan, ScanHeader

CSF = 1
"""Label of the cerebrospinal fluid in the tissue maps of `healthy_t1_slabs`."""

FOLDERS = ("elderly", "healthy_t1_slabs", "lgg")
"""Of the development data."""

LESION_KEPT = "lesion_kept_lgg_flair"
DICE = "Dice of the brain mask on the scans' own voxels, mean over people"
KEPT = "share of the lesion inside the brain mask, mean over patients that are not for testing"


def evaluate_brain_mask(
    data: Path, preprocess: Preprocess, *, command: str, bundle_digest: str, seed: int = 0
) -> Evidence:
    """Dice on `elderly` (FLAIR and T1) and `healthy_t1_slabs`, on the scans' own voxels.

    Of the `lgg` patients that are not for testing: the share of their lesion inside the mask.

    Args:
        data: folder of the development data.
        preprocess: with the brain mask to assess.
        command: written into the evidence.
        bundle_digest: of the bundle whose mask it is.
        seed: of the bootstrap.
    """
    found: dict[str, list[float]] = {}
    for scan, references in scans_with_reference(data):
        brain = brain_on_scan(scan, preprocess)
        for group, reference in references.items():
            found.setdefault(f"dice_{group}", []).append(dice(brain, reference))
    for scan, lesion in _lesions(data / "lgg"):
        brain = brain_on_scan(scan, preprocess)
        found.setdefault(LESION_KEPT, []).append(float(brain[lesion].mean()))
    manifests = [data / name / "manifest.csv" for name in FOLDERS]
    return Evidence(
        kind="brain_mask",
        command=command,
        bundle_digest=bundle_digest,
        manifest_digest=digest_of(*(digest(manifest) for manifest in manifests)),
        code_version=code_version(),
        seed=seed,
        machine=machine(),
        metrics={name: mean_of(name, values, seed) for name, values in found.items()},
        tables={
            "worst": [{"figure": name, "value": min(values)} for name, values in found.items()],
            "manifests": [{"manifest_digest": digest(manifest)} for manifest in manifests],
        },
    )


def table(evidence: Evidence) -> Table:
    """Each figure with its interval, and the worst of all people."""
    shown = Table("figure", "n", "mean", "95 % interval", "worst")
    worst = {row["figure"]: row["value"] for row in evidence.tables["worst"]}
    for name, metric in evidence.metrics.items():
        interval = f"{metric.low:.3f} to {metric.high:.3f}"
        of = name.replace("_", " ")
        shown.add_row(of, str(metric.n), f"{metric.value:.3f}", interval, f"{worst[name]:.3f}")
    return shown


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Twice the overlap over the sum of sizes, in [0, 1] (Dice 1945); 1 when both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def mean_of(name: str, values: list[float], seed: int) -> Metric:
    """Mean over people with a 95 % percentile bootstrap interval.

    Args:
        name: of the figure.
        values: of each person, in [0, 1].
        seed: of the bootstrap.
    """
    rng = generator(seed, "brain-mask", name)
    drawn = rng.choice(values, size=(2000, len(values))).mean(axis=1)
    return Metric(
        **summary(float(np.mean(values)), drawn).model_dump(),
        n=len(values),
        unit="people",
        definition=KEPT if name == LESION_KEPT else DICE,
    )


def brain_on_scan(scan: Scan, preprocess: Preprocess) -> NDArray[np.bool_]:
    """The mask on the scan's own voxels."""
    result = preprocess(scan)
    brain: NDArray[np.bool_] = (
        to_scan_grid(result.brain.astype(np.float32), result.affine, scan) > 0.5
    )
    return brain


def scans_with_reference(data: Path) -> Iterator[tuple[Scan, dict[str, NDArray[np.bool_]]]]:
    """Each scan with its references by group: `elderly_flair`, `slabs_t1_with_csf`, ..."""
    folder = data / "elderly"
    for row in _rows(folder):
        if row["brain_mask"]:
            reference, _ = _read(folder / row["brain_mask"])
            for contrast, column in ((Contrast.FLAIR, "scan"), (Contrast.T1, "t1")):
                scan = _scan(folder / row[column], contrast)
                yield scan, {f"elderly_{contrast.lower()}": reference > 0}
    folder = data / "healthy_t1_slabs"
    for row in _rows(folder):
        tissue, _ = _read(folder / row["tissue"])
        yield (
            _scan(folder / row["scan"], Contrast.T1),
            {"slabs_t1_with_csf": tissue > 0, "slabs_t1_without_csf": tissue > CSF},
        )


def _lesions(folder: Path) -> Iterator[tuple[Scan, NDArray[np.bool_]]]:
    """Each scan with its lesion, test patients left out."""
    for row in _rows(folder):
        if row["split"] != "test" and row["mask"]:
            lesion, _ = _read(folder / row["mask"])
            yield _scan(folder / row["scan"], Contrast.FLAIR), lesion > 0


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _read(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    image = nibabel.load(path)
    return np.asarray(image.dataobj, np.float32), np.asarray(image.affine, np.float64)


def _scan(path: Path, contrast: Contrast) -> Scan:
    voxels, affine = _read(path)
    header = ScanHeader(
        contrast=contrast, slice_count=voxels.shape[2], spacing_mm=spacing_mm(affine)
    )
    return Scan(voxels, affine, header)
