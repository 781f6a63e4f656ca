"""What can be wrong with the voxels of a scan, made from a good one: each by name and strength."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.artifacts import ARTIFACTS, Motion
from mri_guard.ports import Artifact
from mri_guard.preprocess.orientation import spacing_mm, to_ras
from mri_guard.records import Scan
from mri_guard.sanitize.look import look

Defect = Callable[[Scan, np.random.Generator], Scan]

STRENGTHS = (0.25, 0.5, 1.0)
HEAD_MEDIAN = 0.6
"""Of the head, in units in which the brain's 99th percentile is 1: artifacts are drawn in those."""

GLYPHS = ("01110100011000110001100011000101110", "00100011000010000100001000010001110")
"""0 and 1, five pixels wide and seven high."""


def changed(scan: Scan, voxels: NDArray[np.floating], affine: NDArray[np.float64]) -> Scan:
    """Another scan with the same header, but for what follows from shape and affine."""
    header = scan.header.model_copy(
        update={"spacing_mm": spacing_mm(affine), "slice_count": voxels.shape[2]}
    )
    return Scan(np.asfortranarray(voxels, dtype=np.float32), affine.copy(), header)


def defects() -> dict[str, Defect]:
    """Every defect, named `what` or `what strength`."""
    made: dict[str, Defect] = {}
    for kind in ARTIFACTS:
        for strength in STRENGTHS:
            made[f"{_name(kind)} {strength:g}"] = partial(_artifact, kind=kind, strength=strength)
    for sigma in (1.0, 2.0, 4.0):
        made[f"blur {sigma:g} mm"] = partial(_blurred, sigma_mm=sigma)
    for share in (0.01, 0.05, 0.2):
        made[f"clipping {share:g}"] = partial(_clipped, share=share)
    for share in (0.1, 0.2, 0.4):
        made[f"wrap {share:g}"] = partial(_wrapped, share=share)
        made[f"top cut {share:g}"] = partial(_top_cut, share=share)
    made["text in all slices"] = partial(_text, every=True)
    made["text in one slice"] = partial(_text, every=False)
    for size in (0.9, 0.8, 0.7):
        made[f"head {size:g} as large"] = partial(_smaller, size=size)
    made["upside down"] = partial(_turned, axes=(0, 1, 2), flips=(2,))
    made["back to front"] = partial(_turned, axes=(0, 1, 2), flips=(1,))
    made["turned about"] = partial(_turned, axes=(0, 1, 2), flips=(1, 2))
    made["x and y swapped"] = partial(_turned, axes=(1, 0, 2), flips=())
    made["y and z swapped"] = partial(_turned, axes=(0, 2, 1), flips=())
    made["x and z swapped"] = partial(_turned, axes=(2, 1, 0), flips=())
    made["left and right swapped"] = partial(_turned, axes=(0, 1, 2), flips=(0,))
    made["noise alone"] = _noise
    made["ball"] = _ball
    return made


def _name(kind: type[Artifact]) -> str:
    return kind.__module__.rsplit(".", 1)[-1]


def _artifact(scan: Scan, rng: np.random.Generator, kind: type[Artifact], strength: float) -> Scan:
    """Of `mri_guard.artifacts`, in the plane."""
    voxels, affine = to_ras(scan.voxels, scan.affine)
    unit = look(scan).signal / HEAD_MEDIAN
    drawn: Artifact = kind.draw(rng, strength)
    if isinstance(drawn, Motion):
        drawn = Motion(drawn.moves, drawn.axis, spacing_mm(affine)[0])
    image = np.ascontiguousarray(np.maximum(voxels, 0) / unit, dtype=np.float32)
    return changed(scan, drawn(image) * np.float32(unit), affine)


def _blurred(scan: Scan, _: np.random.Generator, sigma_mm: float) -> Scan:
    voxels, affine = to_ras(scan.voxels, scan.affine)
    x, y = spacing_mm(affine)[:2]
    return changed(scan, ndimage.gaussian_filter(voxels, (sigma_mm / x, sigma_mm / y, 0)), affine)


def _clipped(scan: Scan, _: np.random.Generator, share: float) -> Scan:
    """The brightest share of what is above the head's median at one value."""
    bright = scan.voxels[scan.voxels > look(scan).signal]
    return changed(scan, np.minimum(scan.voxels, np.quantile(bright, 1 - share)), scan.affine)


def _wrapped(scan: Scan, _: np.random.Generator, share: float) -> Scan:
    """The field of view too small along y by a share of the head: one end comes back at the other.

    What is missing of the field of view is lost, so that the matrix is smaller.
    """
    voxels, affine = to_ras(scan.voxels, scan.affine)
    rows = np.flatnonzero((voxels > look(scan).signal / 2).any(axis=(0, 2)))
    low, high = rows[0], rows[-1] + 1
    kept = int((high - low) * (1 - share))
    inside = voxels[:, low:high]
    folded = inside[:, :kept].copy()
    folded[:, : inside.shape[1] - kept] += inside[:, kept:]
    return changed(scan, folded, affine)


def _top_cut(scan: Scan, _: np.random.Generator, share: float) -> Scan:
    """The uppermost share of the slices that show the head is missing."""
    voxels, affine = to_ras(scan.voxels, scan.affine)
    shown = np.flatnonzero((voxels > look(scan).signal / 2).mean(axis=(0, 1)) > 0.01)
    return changed(scan, voxels[..., : shown[-1] + 1 - max(1, round(share * len(shown)))], affine)


def _text(scan: Scan, rng: np.random.Generator, *, every: bool) -> Scan:
    """Twelve digits, two pixels thick, in a corner, as bright as fat."""
    voxels, affine = to_ras(scan.voxels, scan.affine)
    digits = [
        np.array([int(dot) for dot in GLYPHS[number]]).reshape(7, 5)
        for number in rng.integers(2, size=12)
    ]
    line = np.concatenate([np.pad(digit, ((0, 0), (0, 1))) for digit in digits], axis=1)
    thick = max(1, round(2 / max(spacing_mm(affine)[:2])))
    stamp = np.kron(line, np.ones((thick, thick)))[::-1].T[: voxels.shape[0] - 4]
    written = voxels.copy()
    where = slice(None) if every else [voxels.shape[2] // 2]
    corner = written[2 : 2 + stamp.shape[0], 2 : 2 + stamp.shape[1], where]
    written[2 : 2 + stamp.shape[0], 2 : 2 + stamp.shape[1], where] = np.where(
        stamp[..., None] > 0, look(scan).top, corner
    )
    return changed(scan, written, affine)


def _smaller(scan: Scan, _: np.random.Generator, size: float) -> Scan:
    """A child's head, as far as size goes: all spacings shorter."""
    return changed(scan, scan.voxels, scan.affine @ np.diag([size, size, size, 1.0]))


def _turned(
    scan: Scan, _: np.random.Generator, axes: tuple[int, int, int], flips: tuple[int, ...]
) -> Scan:
    """Axes swapped or turned, and the header none the wiser: spacings go with their axes."""
    voxels, affine = to_ras(scan.voxels, scan.affine)
    spacing = np.array(spacing_mm(affine))[list(axes)]
    return changed(scan, np.flip(np.transpose(voxels, axes), flips), np.diag([*spacing, 1.0]))


def _noise(scan: Scan, rng: np.random.Generator) -> Scan:
    shape = scan.voxels.shape
    return changed(scan, np.hypot(*rng.normal(0, 100, (2, *shape))), scan.affine)


def _ball(scan: Scan, rng: np.random.Generator) -> Scan:
    """A phantom as physicists use it, of a head's size, in the scan's own noise level."""
    sides = [np.linspace(-1, 1, n) for n in scan.voxels.shape]
    x, y, z = np.meshgrid(*sides, indexing="ij", sparse=True)
    clean = 500.0 * ((x / 0.7) ** 2 + (y / 0.8) ** 2 + z**2 < 1)
    real, imaginary = rng.normal(0, 15, (2, *scan.voxels.shape))
    return changed(scan, np.hypot(clean + real, imaginary), scan.affine)
