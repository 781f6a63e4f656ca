"""Dice of the brain mask on people, and how much of their tumours it keeps.

`mri-guard evaluate brain-mask` prints them.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from mri_guard.determinism import generator
from mri_guard.preprocess import Preprocess, to_scan_grid
from mri_guard.preprocess.orientation import spacing_mm
from mri_guard.records import Contrast, Scan, ScanHeader

CSF = 1
"""Label of the cerebrospinal fluid in the tissue maps of `healthy_t1_slabs`."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One figure of one group of scans, in [0, 1].

    Attributes:
        group: which scans, which figure, against which reference.
        mean: mean over people.
        low: 95 % percentile bootstrap over people, lower end.
        high: the same, upper end.
        worst: smallest of all.
        n: people.
    """

    group: str
    mean: float
    low: float
    high: float
    worst: float
    n: int


def evaluate_brain_mask(data: Path, preprocess: Preprocess, seed: int = 0) -> list[Summary]:
    """Dice on `elderly` (FLAIR and T1) and `healthy_t1_slabs`, on the scans' own voxels.

    Of the `lgg` patients that are not for testing: the share of their lesion inside the mask.

    Args:
        data: folder of the development data.
        preprocess: with the brain mask to assess.
        seed: of the bootstrap.
    """
    found: dict[str, list[float]] = {}
    for scan, references in scans_with_reference(data):
        brain = brain_on_scan(scan, preprocess)
        for group, reference in references.items():
            found.setdefault(group, []).append(dice(brain, reference))
    for scan, lesion in _lesions(data / "lgg"):
        brain = brain_on_scan(scan, preprocess)
        found.setdefault("lgg FLAIR, lesion inside", []).append(float(brain[lesion].mean()))
    return [summarise(group, values, seed) for group, values in found.items()]


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Twice the overlap over the sum of sizes, in [0, 1] (Dice 1945); 1 when both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def summarise(group: str, values: list[float], seed: int) -> Summary:
    """Mean over people with a 95 % percentile bootstrap interval."""
    rng = generator(seed, "brain-mask-dice", group)
    draws = rng.choice(values, size=(2000, len(values))).mean(axis=1)
    low, high = np.percentile(draws, (2.5, 97.5))
    mean = float(np.mean(values))
    return Summary(group, mean, float(low), float(high), min(values), len(values))


def brain_on_scan(scan: Scan, preprocess: Preprocess) -> NDArray[np.bool_]:
    """The mask on the scan's own voxels."""
    result = preprocess(scan)
    brain: NDArray[np.bool_] = (
        to_scan_grid(result.brain.astype(np.float32), result.affine, scan) > 0.5
    )
    return brain


def scans_with_reference(data: Path) -> Iterator[tuple[Scan, dict[str, NDArray[np.bool_]]]]:
    """Each scan with its references by group."""
    folder = data / "elderly"
    for row in _rows(folder):
        if row["brain_mask"]:
            reference, _ = _read(folder / row["brain_mask"])
            for contrast, column in ((Contrast.FLAIR, "scan"), (Contrast.T1, "t1")):
                scan = _scan(folder / row[column], contrast)
                yield scan, {f"elderly {contrast}": reference > 0}
    folder = data / "healthy_t1_slabs"
    for row in _rows(folder):
        tissue, _ = _read(folder / row["tissue"])
        yield (
            _scan(folder / row["scan"], Contrast.T1),
            {"slabs T1, with CSF": tissue > 0, "slabs T1, without CSF": tissue > CSF},
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
