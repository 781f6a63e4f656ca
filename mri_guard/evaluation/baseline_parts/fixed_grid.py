"""Slices of all brains on one small grid, for what takes images of one size alone."""

import torch
from torch import Tensor
from torch.nn import functional

from mri_guard.training.data import Subject

GRID = (64, 80)
"""Pixels along x and y that each brain's bounding box is resampled to."""


def to_grid(subject: Subject) -> Tensor:
    """Slices, (z, 1, *GRID), the brain's box filling the grid."""
    width, height = _extent(subject)
    box = torch.from_numpy(subject.image)[:, None, :width, :height]
    return functional.interpolate(box, GRID, mode="bilinear", antialias=True)


def residual(subject: Subject, restored: Tensor) -> Tensor:
    """The image less what was restored of it, (z, x, y) of the subject's box.

    Args:
        subject: what was restored.
        restored: (z, 1, *GRID).
    """
    extent = _extent(subject)
    back = functional.interpolate(restored, extent, mode="bilinear", antialias=True)[:, 0]
    image = torch.from_numpy(subject.image)
    padding = (0, image.shape[2] - extent[1], 0, image.shape[1] - extent[0])
    return (image - functional.pad(back, padding)) * torch.from_numpy(subject.brain)


def _extent(subject: Subject) -> tuple[int, int]:
    """Pixels of the brain's box along x and y, without its padding, where positions exceed 1."""
    along_x, along_y, _ = subject.positions[0]
    return int((along_x[:, 0] < 1).sum()), int((along_y[0] < 1).sum())
