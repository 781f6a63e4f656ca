"""Random search by blocks, the engine of attackers who have few looks and no gradient."""

import math

import numpy as np
import torch
from torch import Tensor

from mri_guard.attacks.engine.search import Search
from mri_guard.attacks.engine.space import Linf

SHARES = (0.5, 0.005)
"""Of slices and plane that the first block covers, and the last; between them they shrink by the
same factor, as in the Square Attack (Andriushchenko et al. 2020, arXiv:1912.00049) but without its
schedule, which is made for thousands of looks."""


def search_blocks(search: Search, ball: Linf, rng: np.random.Generator, *, looks: int) -> None:
    """Looks at stripes, and from the best image seen so far at blocks of voxels set to an end of
    their range; keeps what raises the sum of the margins.

    Args:
        search: looks; what it has seen before counts.
        ball: where the change may go.
        rng: draws stripes and blocks.
        looks: at blocks.
    """
    search.look(ball.image(_stripes(ball, rng)))
    change = search.image - ball.victim.image
    best = max(search.history)
    for look in range(looks):
        share = SHARES[0] * (SHARES[1] / SHARES[0]) ** (look / looks)
        tried = change.clone()
        sign = ball.epsilon * float(rng.choice([-1.0, 1.0]))
        tried[_block(change, share, rng)] = sign
        search.look(ball.image(ball.project(tried)))
        if search.history[-1] > best:
            best, change = search.history[-1], tried


def _stripes(ball: Linf, rng: np.random.Generator) -> Tensor:
    """Stripes along x, each at an end of its range."""
    image = ball.victim.image
    signs = rng.choice([-1.0, 1.0], (len(image), 1, 1, image.shape[3]))
    return ball.project(ball.epsilon * torch.as_tensor(signs).to(image).expand_as(image))


def _block(
    change: Tensor, share: float, rng: np.random.Generator
) -> tuple[slice, slice, slice, slice]:
    """A block of so large a share of plane and of slices, somewhere."""
    sides = [max(1, math.ceil(size * share)) for size in change.shape[:1]]
    sides += [max(1, round(size * math.sqrt(share))) for size in change.shape[2:]]
    sizes = (change.shape[0], *change.shape[2:])
    at = [int(rng.integers(size - side + 1)) for size, side in zip(sizes, sides, strict=True)]
    z, x, y = (slice(low, low + side) for low, side in zip(at, sides, strict=True))
    return z, slice(None), x, y
