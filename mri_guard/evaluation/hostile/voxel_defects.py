"""What can be wrong with an image whose header is in order: the plainest of each kind."""

import numpy as np

from mri_guard.evaluation.voxel_defects import Defect, changed, defects
from mri_guard.records import Scan

_PLAINEST = (
    "spike 1",
    "ghosting 1",
    "motion 1",
    "rician_noise 1",
    "blur 4 mm",
    "clipping 0.2",
    "wrap 0.4",
    "top cut 0.4",
    "text in all slices",
    "head 0.7 as large",
    "upside down",
    "back to front",
    "turned about",
    "x and y swapped",
    "y and z swapped",
    "noise alone",
    "ball",
)


def constant(scan: Scan, rng: np.random.Generator) -> Scan:
    """One value everywhere."""
    return changed(scan, np.full_like(scan.voxels, 700), scan.affine)


def nothing(scan: Scan, rng: np.random.Generator) -> Scan:
    """Zeros."""
    return changed(scan, np.zeros_like(scan.voxels), scan.affine)


def labels(scan: Scan, rng: np.random.Generator) -> Scan:
    """Five values: a segmentation given as an image."""
    return changed(scan, np.floor(4 * scan.voxels / scan.voxels.max()) * 100, scan.affine)


def striped_box(scan: Scan, rng: np.random.Generator) -> Scan:
    """A thing with edges and stripes, as technicians scan it to measure resolution."""
    made = np.zeros_like(scan.voxels)
    x, y, z = (length // 4 for length in made.shape)
    made[x:-x, y:-y, z:-z] = 1000
    made[::8] *= 1.5
    return changed(scan, made + rng.rayleigh(20, made.shape), scan.affine)


def inverted(scan: Scan, rng: np.random.Generator) -> Scan:
    """Bright where it should be dark, inside the head."""
    top = np.percentile(scan.voxels, 99)
    head = scan.voxels > 0.1 * top
    return changed(
        scan, np.where(head, np.maximum(1.1 * top - scan.voxels, 0), scan.voxels), scan.affine
    )


def upper_half(scan: Scan, rng: np.random.Generator) -> Scan:
    """Half a head, and air below."""
    made = scan.voxels.copy()
    made[..., : made.shape[2] // 2] = 0
    return changed(scan, made + rng.rayleigh(5, made.shape), scan.affine)


VOXEL_DEFECTS: tuple[tuple[str, tuple[str, ...], Defect], ...] = (
    ("voxels-constant", ("voxels-constant",), constant),
    ("voxels-nought", ("voxels-constant",), nothing),
    ("voxels-labels", ("dynamic-range",), labels),
    ("object-striped-box", (), striped_box),
    ("contrast-inverted", (), inverted),
    ("head-upper-half", (), upper_half),
    *(
        (name.replace(" ", "-").replace("_", "-"), (), defect)
        for name, defect in defects().items()
        if name in _PLAINEST
    ),
)
"""Name, reasons that name it rightly (any reason where empty), and what is done to the scan."""
