"""Small victims whose best answer is known."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mri_guard.attacks import Direction, Victim

IMAGE = torch.linspace(0.2, 0.9, 2 * 16 * 16).reshape(2, 1, 16, 16)
MASK = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
MASK[..., 3:13, 2:14] = True


def victim(
    scores: Callable[[Tensor], Tensor], direction: Direction = "alarm", threshold: float = 0.0
) -> Victim:
    """`IMAGE` under attack within `MASK`, by somebody who owns a model like it."""
    return Victim(IMAGE, MASK, scores, direction, threshold, others=(scores,), latents=latents)


def latents(x: Tensor) -> Tensor:
    """A posterior that knows the mean of every four pixels."""
    means = functional.avg_pool2d(x, 2).flatten()
    return torch.stack([means, torch.zeros_like(means)])


def linear(direction: Direction = "alarm") -> tuple[Victim, Tensor]:
    """One score, a weighted sum, and its weights: the best change in a ball is known."""
    weights = torch.sin(torch.arange(IMAGE.numel()) * 1.7).reshape(IMAGE.shape)
    return victim(lambda x: (x * weights).sum()[None], direction), weights


def two_halves(direction: Direction = "alarm") -> Victim:
    """Two scores, one of each slice, curved: smooth bumps that overlap nowhere."""

    def scores(x: Tensor) -> Tensor:
        return torch.stack([(part - 0.5).abs().mean() for part in x])

    return victim(scores, direction)
