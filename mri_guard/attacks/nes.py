"""Signed steps along gradients estimated from scores (Ilyas et al. 2018, arXiv:1804.08598)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import (
    Access,
    Found,
    Linf,
    Parts,
    Search,
    Threat,
    Victim,
    bounded,
    slope,
    tiled,
)


@dataclass(frozen=True, slots=True)
class Nes:
    """Natural evolution strategies: antithetic Gaussian directions, then a signed step.

    Departs from the source in that directions are alike within tiles, that each part of the stack
    has an estimate of its own (`Parts`), and that steps shrink linearly to a tenth.

    Attributes:
        queries: looks at most.
        pairs: of antithetic looks for one step.
        reach: standard deviation of the looks around an image, as a share of epsilon.
        step_size: of the first step, as a share of epsilon.
        momentum: share of the gradients so far that is added to each, all of like size.
        tile: pixels along the squares in which directions are alike.
    """

    name: ClassVar[str] = "nes"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.SCORE
    queries: int = 500
    pairs: int = 10
    reach: float = 0.5
    step_size: float = 0.5
    momentum: float = 1.0
    tile: int = 4

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The best of all images that were looked at within the ball.

        Args:
            victim: see `Victim`.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws the directions.
        """
        search, ball = Search(bounded(victim, epsilon)), Linf(victim, epsilon)
        if epsilon == 0:
            return search.found()
        first = ball.steepest(tiled(victim, self.tile, rng.standard_normal))
        parts = Parts.found(search, first, self.queries // 5)
        now, gathered = ball.rest(), ball.rest()
        while (pairs := min(self.pairs, (self.queries - search.queries - 1) // 2)) > 0:
            gradient = slope(
                lambda at: parts.spread(parts.values(search.look(ball.image(at)))),
                now,
                (tiled(victim, self.tile, rng.standard_normal) for _ in range(pairs)),
                self.reach * epsilon,
            )
            gathered = self.momentum * gathered + gradient / gradient.abs().mean().clamp_min(1e-20)
            size = self.step_size * max(0.1, 1 - search.queries / self.queries)
            now = ball.project(now + size * ball.steepest(gathered))
            search.look(ball.image(now))
        return search.found()
