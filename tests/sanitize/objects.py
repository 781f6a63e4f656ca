"""Plain objects in air, whose measures are known, and phantoms of seeds that nothing has learnt."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from mri_guard.determinism import generator
from mri_guard.phantom import draw_parameters, render
from mri_guard.preprocess.orientation import spacing_mm
from mri_guard.records import Contrast, Scan, ScanHeader

SIGNAL = 1000.0


def scan(voxels: NDArray[np.generic], affine: NDArray[np.float64]) -> Scan:
    header = ScanHeader(
        contrast=Contrast.FLAIR, slice_count=voxels.shape[2], spacing_mm=spacing_mm(affine)
    )
    return Scan(np.asfortranarray(voxels, dtype=np.float32), affine.copy(), header)


def disc(
    mm: tuple[float, float, float] = (2.0, 2.0, 5.0),
    shape: tuple[int, int, int] = (128, 128, 28),
    sides_mm: tuple[float, float] = (150.0, 190.0),
    slices: tuple[int, int] = (2, 26),
) -> NDArray[np.float32]:
    """An elliptic cylinder of 1000 in air of 0."""
    x, y = ((np.arange(n) - (n - 1) / 2) * size for n, size in zip(shape[:2], mm[:2], strict=True))
    inside = (x[:, None] / sides_mm[0] * 2) ** 2 + (y[None] / sides_mm[1] * 2) ** 2 < 1
    made = np.zeros(shape, np.float32)
    made[..., slices[0] : slices[1]] = SIGNAL * inside[..., None]
    return made


def rician(image: NDArray[np.float32], sigma: float, seed: int = 0) -> NDArray[np.float32]:
    real, imaginary = np.random.default_rng(seed).normal(0, sigma, (2, *image.shape))
    return np.asarray(np.hypot(image + real, imaginary), dtype=np.float32)


def noisy(sigma: float = 20.0, mm: tuple[float, float, float] = (2.0, 2.0, 5.0)) -> Scan:
    shape = (128, 128, 28) if mm[0] == 2.0 else (224, 224, 28)
    return scan(rician(disc(mm, shape), sigma), np.diag([*mm, 1.0]))


@cache
def phantom(seed: int, contrast: Contrast = Contrast.FLAIR) -> Scan:
    rng = generator(seed, "test of voxel checks")
    made = render(draw_parameters(rng, contrast, (), slices=24, spacing_mm=145 / 24))
    return scan(made.voxels, made.affine)
