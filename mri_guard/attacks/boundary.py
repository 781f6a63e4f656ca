"""Along the decision boundary (HopSkipJump, Chen et al. 2020, arXiv:1904.02144, algorithm 2)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from mri_guard.attacks.engine import Access, Found, Linf, Search, Threat, Victim, bounded, tiled

LAST = 2
"""Looks that are kept for the end: the nearest cut off at the ball, the ball's corner along the
normal."""

NOISES = 20
"""Starts of noise, where no other reached every goal."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """From far beyond the threshold back towards the clean image, told of decisions alone.

    Begins where most thresholds are passed: blurred towards the local mean to evade, with spots,
    shade or noise to alarm. Then, in turn: bisects towards the clean image, estimates the
    boundary's normal from which of many probes pass, and steps along its signs. Only what lies
    within epsilon of the clean image is a find.

    Departs from the source in that a probe's reach is a share of the distance, since a change of
    distance over dimension drowns in float32 at a million voxels, that probes are alike within
    tiles, and that normals are gathered: a boundary is flat over some turns.

    Attributes:
        queries: looks at most.
        probes: for the first normal; the t-th takes the root of t times as many.
        reach: of the probes around the boundary, as a share of the distance to the clean image.
        momentum: share of the normals so far that is added to each.
        tile: pixels along the squares in which probes are alike.
    """

    name: ClassVar[str] = "boundary"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.DECISION
    queries: int = 500
    probes: int = 30
    reach: float = 0.1
    momentum: float = 0.75
    tile: int = 4

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """What was found within the ball.

        Args:
            victim: see `Victim`; only whether margins are above 0 leads the search.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws starts and probes.
        """
        return self.nearest(victim, epsilon, rng)[0]

    def nearest(
        self, victim: Victim, epsilon: float, rng: np.random.Generator
    ) -> tuple[Found, float]:
        """The same, and how near to the clean image the goals were reached: the largest change of
        a voxel, 0 where the clean image reaches them, infinite where nothing did.

        The goals are those that the start reached; arguments as for the call.
        """
        search, ball = Search(bounded(victim, epsilon)), Linf(victim, epsilon)
        clean = wanted = search.clean > 0
        change = ball.rest()
        for start in _starts(victim, rng):
            done = bool(wanted.all()) and not torch.equal(wanted, clean)
            if done or search.queries + 2 > self.queries:
                break
            search.look(ball.image(ball.project(start)))
            reached = clean | (search.look(ball.image(start)) > 0)
            if reached.sum() > wanted.sum():
                wanted, change = reached, start
        if torch.equal(wanted, clean):
            return search.found(), 0.0 if bool(clean.all()) else math.inf

        def passes(change: Tensor) -> bool:
            return bool(((search.look(ball.image(change)) > 0) | ~wanted).all())

        def left() -> int:
            return self.queries - LAST - search.queries

        def back(change: Tensor) -> Tensor:
            """As near to the clean image as the change may be cut off, and still pass."""
            low, high = 0.0, _size(change)
            while left() > 0 and high - low > tolerance * high:
                middle = (low + high) / 2
                if passes(change.clamp(-middle, middle)):
                    high = middle
                else:
                    low = middle
            return change.clamp(-high, high)

        # The probes must see the boundary: it is as near as their mean goes along its normal.
        tolerance = self.reach * self.tile / math.sqrt(16 * max(1, int(victim.mask.sum())))
        change, turn = back(change), 0
        nearest, normal = change, ball.rest()
        while left() > 0:
            turn += 1
            probes = [
                tiled(victim, self.tile, lambda shape: rng.uniform(-1, 1, shape))
                for _ in range(min(left(), round(self.probes * math.sqrt(turn))))
            ]
            reach = self.reach * _size(change)
            passed = [passes(change + reach * probe) for probe in probes]
            normal = self.momentum * normal + len(probes) * _normal(probes, passed)
            step = _size(change) / math.sqrt(turn)
            while left() > 0 and step > tolerance * _size(change):
                tried = change + step * normal.sign()
                if passes(tried):
                    change = back(tried)
                    break
                step /= 2
            nearest = min(nearest, change, key=_size)
        for last in (ball.project(nearest), ball.steepest(normal))[: self.queries - search.queries]:
            search.look(ball.image(last))
        return search.found(), _size(nearest)


def _size(change: Tensor) -> float:
    return float(change.abs().max())


def _normal(probes: list[Tensor], passed: list[bool]) -> Tensor:
    """Mean of the probes, those that failed reversed; the share that passed is taken off, which
    lessens the variance (the source's baseline).
    """
    signs = torch.tensor([1.0 if one else -1.0 for one in passed])
    if len(set(passed)) == 2:
        signs = signs - signs.mean()
    weighed = [float(sign) * probe for sign, probe in zip(signs, probes, strict=True)]
    return torch.stack(weighed).mean(0)


def _starts(victim: Victim, rng: np.random.Generator) -> Iterator[Tensor]:
    """Changes of any size that may reach the goals."""
    image = victim.image

    def smooth(values: Tensor, sigma: float) -> Tensor:
        """Blurred within the mask, which alone counts."""
        stack, weights = (part.cpu().numpy()[:, 0] for part in (victim.wide(values), victim.mask))
        blurred, weight = (
            ndimage.gaussian_filter(part.astype(np.float32), (0, sigma, sigma))
            for part in (stack, weights)
        )
        return torch.as_tensor(blurred / np.maximum(weight, 1e-6))[:, None].to(image)

    if victim.direction == "evade":
        for sigma in (1.0, 2.0, 4.0, 8.0, 16.0):
            yield victim.wide(smooth(image, sigma) - image)
    else:
        for amount in (0.3, 1.0):
            yield victim.wide(torch.full_like(image, amount))
            yield victim.wide(torch.full_like(image, -amount))
            spots = smooth(tiled(victim, 8, lambda shape: rng.choice([-1.0, 1.0], shape)), 2.0)
            yield victim.wide(amount * spots)
    for _ in range(NOISES):
        yield tiled(victim, 1, lambda shape: rng.uniform(-1, 1, shape))
