"""How much of the finest structure an image has, beside how much noise of its scanner would have.

What an attack adds on the model's grid is tuned voxel by voxel: nearly white. A clean image came to
that grid by interpolation, which takes the corners of its k-space away. So the corners are compared
with the edges, where the same noise is taken away along one axis only: noise level, brightness and
contrast cancel. How much is taken away depends on the scanner's pixels alone and is known.

Filters are products of binomial differences and sums along x and y; their response is pooled by the
median, which a lesion or an edge of the brain does not move (Immerkaer 1996, Computer Vision and
Image Understanding 64(2), 300-302, estimates noise in this way with second differences).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize, special
from torch import Tensor
from torch.nn import functional

from mri_guard.preprocess.grid import PIXEL_MM, resample
from mri_guard.preprocess.orientation import spacing_mm, to_ras
from mri_guard.records import Preprocessed, Scan

ORDER = 4
EDGES = ((4, 0), (0, 4))
KINDS = (((4, 4),), ((3, 3),), ((2, 2),), ((4, 2), (2, 4)))
"""Differences along x and y of what is compared with the edges; the corner first."""

RIM_PX = 2
"""So much of the brain's rim is not looked at: outside is nothing."""

FLOOR = 1e-4
"""Normalised intensity: less than any scanner's noise or rounding."""

Pool = Callable[[Tensor], Tensor]


def binomial(differences: int) -> NDArray[np.float64]:
    """A filter of so many differences and `ORDER` less as many sums, (5,), of norm 1."""
    made = np.ones(1)
    for step in range(ORDER):
        made = np.convolve(made, (1.0, -1.0) if step < differences else (1.0, 1.0))
    return made / np.linalg.norm(made)


def excess(scan: Scan, preprocessed: Preprocessed) -> NDArray[np.float64]:
    """How far each of `KINDS` is above white noise of this scanner, logarithms, float64, (4,).

    Args:
        scan: as decoded; its pixels' size alone is looked at.
        preprocessed: the same scan.
    """
    image, brain = (
        torch.from_numpy(np.moveaxis(array, 2, 0).copy())[:, None]
        for array in (preprocessed.image, preprocessed.brain)
    )
    return log_ratios(image, brain).double().numpy() - noise_log_ratios(scan)


def log_ratios(image: Tensor, brain: Tensor, pool: Pool = torch.median) -> Tensor:
    """Logarithm of each of `KINDS` against the edges, (4,).

    Args:
        image: float32, (z, 1, x, y), normalised intensity.
        brain: bool, like image, with at least one voxel.
        pool: of the magnitudes of a filter's responses.
    """
    size = 2 * RIM_PX + 1
    inner = functional.max_pool2d((~brain).to(image), size, 1, RIM_PX) == 0
    where = inner if bool(inner.any()) else brain

    def level(kinds: tuple[tuple[int, int], ...]) -> Tensor:
        each = []
        for along_x, along_y in kinds:
            kernel = torch.from_numpy(np.outer(binomial(along_x), binomial(along_y))).to(image)
            response = functional.conv2d(image, kernel[None, None], padding=ORDER // 2)
            each.append((pool(response[where].abs()) + FLOOR).log())
        return torch.stack(each).mean()

    edges = level(EDGES)
    return torch.stack([level(kinds) - edges for kinds in KINDS])


def noise_log_ratios(scan: Scan) -> NDArray[np.float64]:
    """The same of white noise in the scan's own voxels, brought to the model's grid, (4,)."""
    turned, affine = to_ras(np.empty(scan.voxels.shape, np.bool_), scan.affine)
    x, y = (
        (count, round(mm, 3))
        for count, mm in zip(turned.shape[:2], spacing_mm(affine)[:2], strict=True)
    )

    def level(kinds: tuple[tuple[int, int], ...]) -> float:
        return float(np.mean([_log_noise(x, y, i, j) for i, j in kinds]))

    return np.array([level(kinds) for kinds in KINDS]) - level(EDGES)


@lru_cache(maxsize=256)
def _log_noise(x: tuple[int, float], y: tuple[int, float], along_x: int, along_y: int) -> float:
    """Logarithm of the median magnitude of a filter's response to white noise of unit spread.

    Where new voxels fall between old ones changes along the grid, and the noise with it: the median
    is that of all of them together, as `log_ratios` takes it.

    Args:
        x: voxels along x, and their size, mm.
        y: the same along y.
        along_x: differences.
        along_y: the same along y.
    """
    spreads = np.outer(_noise_spreads(*x, along_x), _noise_spreads(*y, along_y))
    each, counts = np.unique(spreads.round(6), return_counts=True)

    def share_below(log_magnitude: float) -> float:
        return float(np.average(special.erf(np.exp(log_magnitude) / each / 2**0.5), weights=counts))

    low, high = float(np.log(each[0])) - 1, float(np.log(each[-1]))
    return float(optimize.brentq(lambda at: share_below(at) - 0.5, low, high, xtol=1e-6))


@lru_cache(maxsize=256)
def _noise_spreads(count: int, pixel_mm: float, differences: int) -> NDArray[np.float64]:
    """Spread of a filter's response along an axis, of white noise in the scan's voxels, (n,)."""
    impulses = np.eye(count, dtype=np.float32)[..., None]
    weights = resample(impulses, np.diag([pixel_mm, PIXEL_MM, PIXEL_MM, 1.0]))[0][..., 0]
    filtered = np.apply_along_axis(
        np.convolve, 0, weights.astype(np.float64), binomial(differences), "valid"
    )
    return np.asarray(np.sqrt((filtered**2).sum(axis=1)))
