"""What was found, measured in healthy units and smoothed.

Healthy brains leave residuals too, more of them along the cortex and the ventricles. Each value is
compared with what held-out healthy brains show at that place in the brain, and averaged over its
neighbourhood, since a lesion is larger than a voxel and noise is not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mri_guard.anomaly.median import median
from mri_guard.errors import BundleError

GRID = (16, 24, 24)
"""Cells of the healthy statistics along z, x and y of the brain's bounding box."""

KERNEL_CELLS = 1.0
"""Gaussian kernel over cells: brains are not aligned better than this."""

PRIOR_SHARE = 0.02
"""Weight of the whole brain's statistics, as a share of the fullest cell's."""

SMALLEST_SPREAD = 1e-3
"""No cell is trusted to be quieter."""


@dataclass(frozen=True, slots=True, eq=False)
class HealthyStatistics:
    """Mean and spread of one signed value in healthy brains, by place in the brain.

    Attributes:
        mean: float32, `GRID`.
        spread: float32, `GRID`, positive.
    """

    mean: Tensor
    spread: Tensor

    @classmethod
    def fit(cls, healthy: Iterable[tuple[Tensor, Tensor, Tensor]]) -> "HealthyStatistics":
        """Statistics of held-out healthy brains, mirrored left to right.

        Args:
            healthy: of each brain the signed value, (z, x, y); where it counts, bool, like the
                value; and the place in the brain, (z, 3, x, y), as `Frame.positions` gives it.

        Raises:
            ValueError: there is no healthy voxel.
        """
        sums = torch.zeros(3, GRID[0] * GRID[1] * GRID[2], dtype=torch.float64)
        for residual, counts, positions in healthy:
            values = residual[counts].double().cpu()
            cells = _cells(positions)[counts].cpu()
            for index, power in enumerate((values**0, values, values**2)):
                sums[index] += torch.bincount(cells, power, minlength=sums.shape[1])
        if not sums[0].any():
            raise ValueError("no healthy voxel to fit statistics on")
        grid = sums.reshape(3, *GRID)
        grid = grid + grid.flip(2)
        whole = grid.sum((1, 2, 3), keepdim=True)
        near = _blur_cells(grid)
        near = near + PRIOR_SHARE * near[:1].max() * whole / whole[:1]
        mean = near[1] / near[0]
        spread = (near[2] / near[0] - mean**2).clamp_min(SMALLEST_SPREAD**2).sqrt()
        return cls(mean.float(), spread.float())

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], part: str) -> "HealthyStatistics":
        """Statistics from the bundle's `healthy.PART.*` tensors.

        Raises:
            BundleError: a key, a shape or a value does not fit.
        """
        check_tensors(tensors, {"mean": GRID, "spread": GRID}, f"healthy.{part}")
        if not bool((tensors["spread"] > 0).all()):
            raise BundleError(f"healthy.{part}.spread is not positive everywhere")
        return cls(tensors["mean"].float(), tensors["spread"].float())

    def tensors(self) -> dict[str, Tensor]:
        """Both tensors by name, for the bundle."""
        return {"mean": self.mean, "spread": self.spread}

    def standardise(self, value: Tensor, positions: Tensor) -> Tensor:
        """Value less the healthy mean, over the healthy spread, (z, x, y).

        Args:
            value: signed, (z, x, y).
            positions: (z, 3, x, y).
        """
        mean, spread = self.at(positions.to(value))
        standardised: Tensor = (value - mean) / spread
        return standardised

    def at(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and spread at each place, (z, x, y) each.

        Args:
            positions: float, (z, 3, x, y).
        """
        both = torch.stack([self.mean, self.spread])[None].to(positions)
        # grid_sample wants the fastest axis first: y, x, z of a (z, x, y) grid.
        at = positions[:, [1, 0, 2]].permute(0, 2, 3, 1)[None]
        mean, spread = functional.grid_sample(
            both, at, mode="bilinear", padding_mode="border", align_corners=False
        )[0]
        return mean, spread


def smooth(values: Tensor, inside: Tensor, sigma_px: float, sigma_slices: float) -> Tensor:
    """Gaussian mean over the inside alone, (z, x, y); 0 outside.

    Args:
        values: (z, x, y).
        inside: bool, (z, x, y).
        sigma_px: in the plane, pixels.
        sigma_slices: across slices.
    """
    weight = inside.to(values)
    both = torch.stack([values * weight, weight])[:, None]
    both = _blur(both, (sigma_slices, sigma_px, sigma_px))[:, 0]
    averaged: Tensor = both[0] / both[1].clamp_min(1e-3) * weight
    return averaged


def in_own_spreads(
    signed: Tensor, inside: Tensor, dark: float, smallest: float, share: float = 1.0
) -> Tensor:
    """Values over the scan's own spread, what is below nought at a share of it; differentiable.

    The spread is the median absolute deviation, which a lesion does not set, times 1.4826: the
    standard deviation of what is normally distributed (Rousseeuw and Croux 1993,
    doi:10.1080/01621459.1993.10476408).

    Args:
        signed: (z, x, y).
        inside: bool, (z, x, y), with at least one voxel.
        dark: share at which negative values count.
        smallest: spread, in units of the values.
        share: of the own spread's square in the square of the unit; the rest is 1, for values whose
            usual spread that is.
    """
    held = signed[inside]
    deviation = median((held - median(held)).abs())
    own = 1.4826 * deviation.clamp_min(smallest / 1.4826)
    unit = own if share == 1 else (share * own.square() + 1 - share).sqrt()
    return dark_at(signed / unit, dark)


def dark_at(signed: Tensor, share: float) -> Tensor:
    """Values of which those below nought count at a share, like signed; differentiable."""
    return torch.where(signed < 0, share * signed, signed)


def check_tensors(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]], part: str
) -> None:
    """Holds tensors to the keys, shapes and finite floating point values of a bundle's part.

    Raises:
        BundleError: they do not fit.
    """
    if tensors.keys() != wanted.keys():
        missing, extra = sorted(wanted.keys() - tensors.keys()), sorted(tensors.keys() - wanted)
        raise BundleError(f"{part} tensors: {missing[:3]} missing, {extra[:3]} unexpected")
    for key, tensor in tensors.items():
        if tuple(tensor.shape) != tuple(wanted[key]):
            raise BundleError(
                f"{part}.{key} has shape {tuple(tensor.shape)}, wanted {tuple(wanted[key])}"
            )
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise BundleError(f"{part}.{key} holds values that are not finite numbers")


def _cells(positions: Tensor) -> Tensor:
    """Flat index of the cell at each place, int64, (z, x, y)."""
    z, x, y = (
        ((positions[:, channel] + 1) / 2 * size).long().clamp(0, size - 1)
        for channel, size in zip((2, 0, 1), GRID, strict=True)
    )
    return (z * GRID[1] + x) * GRID[2] + y


def _blur_cells(grid: Tensor) -> Tensor:
    """Gaussian sums over neighbouring cells, (c, z, x, y)."""
    return _blur(grid[:, None], (KERNEL_CELLS,) * 3)[:, 0]


def _blur(volumes: Tensor, sigmas: tuple[float, float, float]) -> Tensor:
    """Gaussian blur of (b, 1, z, x, y) with zeros beyond the edges."""
    for axis, sigma in enumerate(sigmas):
        if sigma <= 0:
            continue
        reach = max(1, round(3 * sigma))
        taps = torch.arange(-reach, reach + 1, device=volumes.device, dtype=volumes.dtype)
        kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
        shape = [1, 1, 1, 1, 1]
        shape[axis + 2] = len(taps)
        padding = [0, 0, 0]
        padding[axis] = reach
        kernel = (kernel / kernel.sum()).reshape(shape)
        volumes = functional.conv3d(volumes, kernel, padding=tuple(padding))
    return volumes
