"""Random search by squares (Andriushchenko et al. 2020, arXiv:1912.00049, algorithms 1 and 2)."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mri_guard.attacks.engine import Access, Found, Linf, Parts, Search, Threat, Victim

HALVED = (0.001, 0.005, 0.02, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of the budget at which the squares' area is halved."""
REFRESHED = 10
"""So often the image that was put together is looked at as a whole."""


@dataclass(frozen=True, slots=True)
class Square:
    """Squares at full strength within slices, kept where they helped.

    The scores of several slices are searched at the same time, a square in each part of the stack
    (`Parts`), and each is kept by what its own goals say. As a square may also move its neighbours'
    scores, what was put together from several looks is looked at anew now and then.

    Attributes:
        queries: looks at most.
        share: of a part's voxels that the first squares change.
    """

    name: ClassVar[str] = "square"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.SCORE
    queries: int = 500
    share: float = 0.3

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The best of the search.

        Args:
            victim: see `Victim`.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws stripes and squares.
        """
        search, ball = Search(victim), Linf(victim, epsilon)
        if self.queries < 2:
            return search.found()
        now = _stripes(victim, epsilon, rng)
        striped = search.look(ball.image(now))
        parts = Parts.found(search, now, self.queries // 5)
        best, at_rest = parts.values(striped), parts.values(search.clean)
        now = torch.where(parts.spread((best >= at_rest).to(now)) > 0, now, 0)
        best, mixed = torch.maximum(best, at_rest), parts.count > 1
        groups = [torch.nonzero(parts.of_slice == part)[:, 0] for part in range(parts.count)]
        groups = [slices for slices in groups if len(slices)]
        while search.queries < self.queries:
            left = self.queries - search.queries
            if mixed and (search.queries % REFRESHED == 0 or left == 1):
                best, mixed = parts.values(search.look(ball.image(now))), False
                continue
            passed = search.queries / self.queries
            share = self.share / 2 ** sum(passed > at for at in HALVED)
            tried = now.clone()
            for slices in groups:
                place = _square(victim.mask, slices, share, rng)
                fresh = torch.where(victim.mask[place], rng.choice([-epsilon, epsilon]), 0.0)
                tried[place] = -fresh if torch.equal(fresh, now[place]) else fresh
            values = parts.values(search.look(ball.image(tried)))
            better = values > best
            now = torch.where(parts.spread(better.to(now)) > 0, tried, now)
            best = torch.where(better, values, best)
            mixed = mixed or (bool(better.any()) and not bool(better.all()))
        return search.found()


def _square(
    mask: Tensor, slices: Tensor, share: float, rng: np.random.Generator
) -> tuple[Any, ...]:
    """Where a square of this share of the slices' voxels lies, its middle within the mask."""
    free = torch.nonzero(mask[slices, 0])
    number, row, column = free[rng.integers(len(free))].tolist()
    side = max(1, round(math.sqrt(share * len(free))))
    rows, columns = (
        slice(low, low + side) for low in (max(0, row - side // 2), max(0, column - side // 2))
    )
    return int(slices[number]), 0, rows, columns


def _stripes(victim: Victim, epsilon: float, rng: np.random.Generator) -> Tensor:
    """Stripes one voxel wide at full strength, the source's beginning."""
    slices, channels, rows, _ = victim.image.shape
    signs = torch.as_tensor(rng.choice([-epsilon, epsilon], (slices, channels, rows, 1)))
    return victim.wide(signs.to(victim.image).expand_as(victim.image))
