"""Scans that nothing but the size of their pixels is known of, and brains of noise."""

import numpy as np

from mri_guard.preprocess.grid import resample
from mri_guard.records import Contrast, Preprocessed, Scan, ScanHeader


def scan_of(pixel_mm: float, voxels: np.ndarray | None = None) -> Scan:
    """A scan with square pixels and slices 5 mm apart."""
    spacing = (pixel_mm, pixel_mm, 5.0)
    header = ScanHeader(contrast=Contrast.FLAIR, slice_count=4, spacing_mm=spacing)
    affine = np.diag([*spacing, 1.0])
    return Scan(np.zeros((64, 64, 4), np.float32) if voxels is None else voxels, affine, header)


def noisy(
    rng: np.random.Generator, pixel_mm: float = 1.0, sigma: float | None = None
) -> tuple[Scan, Preprocessed]:
    """A round brain in white noise of the scanner's own pixels, on the model's grid."""
    count = round(128 / pixel_mm)
    at = (np.arange(count) - (count - 1) / 2) * pixel_mm
    inside = np.hypot(at[:, None], 1.2 * at[None]) < 48
    tissue = 0.6 + 0.2 * np.sin(at / 9)[:, None] * np.cos(at / 7)[None]
    sigma = rng.uniform(0.01, 0.05) if sigma is None else sigma
    noise = sigma * rng.standard_normal((count, count, 6))
    voxels = ((tissue * inside)[..., None] + noise).astype(np.float32)
    scan = scan_of(pixel_mm, voxels)
    image, affine = resample(voxels, scan.affine)
    x, y = (affine[axis, axis] * (np.arange(image.shape[axis]) - 31.5) for axis in (0, 1))
    brain = (np.hypot(x[:, None], 1.2 * y[None]) < 46)[..., None].repeat(6, axis=2)
    return scan, Preprocessed(image, brain, brain.copy(), affine, 0.0, 1.0)
