"""A small head under a physical attack, and every kind of distortion of it."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mri_guard.attacks import Direction, Victim
from mri_guard.attacks.physics import (
    Chain,
    ChannelNoise,
    Distortion,
    Ghosts,
    Moves,
    Pose,
    SmoothField,
    Stripes,
    Warping,
)

SIDES = (3, 1, 34, 30)


def head() -> tuple[Tensor, Tensor]:
    """Signal, with folds, 0 around the head, and its mask, (z, 1, x, y)."""
    z, _, x, y = np.meshgrid(*(np.linspace(-1, 1, n) for n in SIDES), indexing="ij")
    inside = (x / 0.7) ** 2 + (y / 0.8) ** 2 < 1
    folds = 0.6 + 0.2 * np.sin(9 * x + 4 * y) + 0.1 * z
    signal = torch.as_tensor(np.where(inside, folds, 0)).float()
    return signal, torch.as_tensor(inside)


def weights() -> Tensor:
    """Of every voxel, (z, 1, x, y), from -1 to 1, in waves of about five pixels."""
    z, _, x, y = torch.meshgrid(*(torch.arange(n) for n in SIDES), indexing="ij")
    return torch.sin(1.3 * x + 0.4 * y + 2.0 * z) * torch.cos(0.9 * y - 0.5 * x)


def victim(direction: Direction = "alarm") -> Victim:
    """One score a slice: a weighted sum, bent so that it is not linear."""
    signal, mask = head()

    def scores(image: Tensor) -> Tensor:
        sums = (weights() * image).sum((1, 2, 3))
        return sums + 0.1 * (weights().roll(2, 2) * (image - signal).square()).sum((1, 2, 3))

    return Victim(signal, mask, scores, direction, 0.0)


KINDS: dict[str, Callable[[Victim, float], Distortion]] = {
    "smooth_field": SmoothField.of,
    "ghosts": lambda v, e: Ghosts(v, e, 0.13, 1),
    "stripes": lambda v, e: Stripes(v, e, torch.tensor([[3, 5], [30, 2], [0, 9]])),
    "moves": lambda v, e: Moves(v, e, ((0.0, 0.2), (0.2, 0.45), (0.6, 1.0)), 0),
    "channel_noise": ChannelNoise,
    "warping": Warping.of,
    "pose": Pose,
    "chain": lambda v, e: Chain(v, e, (Pose(v, e), SmoothField.of(v, e), ChannelNoise(v, e))),
}
"""Each, of a victim at a strength."""


def volume(stack: Tensor) -> NDArray[np.float32]:
    """(z, 1, x, y) as artifacts take it, (x, y, z)."""
    return np.ascontiguousarray(np.moveaxis(stack[:, 0].numpy(), 0, 2))
