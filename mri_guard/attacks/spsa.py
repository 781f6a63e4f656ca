"""Adam on gradients estimated from random signs (Uesato et al. 2018, arXiv:1802.05666)."""

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

ADAM = (0.9, 0.999)
"""Shares of what gradients, and their squares, were so far (Kingma & Ba 2015, arXiv:1412.6980)."""


@dataclass(frozen=True, slots=True)
class Spsa:
    """Simultaneous perturbation: both ways along random signs, then a step of Adam, projected.

    Departs from the source in that signs are alike within tiles, and that each part of the stack
    has an estimate of its own (`Parts`).

    Attributes:
        queries: looks at most.
        pairs: of looks for one step.
        reach: of the looks around an image, as a share of epsilon.
        step_size: Adam's learning rate, as a share of epsilon.
        tile: pixels along the squares in which signs are alike.
    """

    name: ClassVar[str] = "spsa"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.SCORE
    queries: int = 500
    pairs: int = 10
    reach: float = 0.5
    step_size: float = 0.25
    tile: int = 4

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The best of all images that were looked at within the ball.

        Args:
            victim: see `Victim`.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws the signs.
        """
        search, ball = Search(bounded(victim, epsilon)), Linf(victim, epsilon)
        if epsilon == 0:
            return search.found()

        def signs(shape: tuple[int, ...]) -> object:
            return rng.choice([-1.0, 1.0], shape)

        parts = Parts.found(search, epsilon * tiled(victim, self.tile, signs), self.queries // 5)
        now, mean, square, turn = ball.rest(), ball.rest(), ball.rest(), 0
        while (pairs := min(self.pairs, (self.queries - search.queries - 1) // 2)) > 0:
            gradient = slope(
                lambda at: parts.spread(parts.values(search.look(ball.image(at)))),
                now,
                (tiled(victim, self.tile, signs) for _ in range(pairs)),
                self.reach * epsilon,
            )
            turn += 1
            mean = ADAM[0] * mean + (1 - ADAM[0]) * gradient
            square = ADAM[1] * square + (1 - ADAM[1]) * gradient.square()
            step = mean / (1 - ADAM[0] ** turn)
            step /= (square / (1 - ADAM[1] ** turn)).sqrt().clamp_min(1e-20)
            now = ball.project(now + self.step_size * epsilon * step)
            search.look(ball.image(now))
        return search.found()
