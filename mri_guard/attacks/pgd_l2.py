"""Projected gradient descent in an L2 ball (Madry et al. 2018, arXiv:1706.06083, section 5.1)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import L2, Access, Found, Search, Threat, Victim, ascend

NEAR = 0.4
"""Of a random start that is kept: in so many dimensions all of a ball lies at its surface, and
steps are spent on being rid of the noise; without any, they get past fewer kinks of a score."""


@dataclass(frozen=True, slots=True)
class PgdL2:
    """Steps along the gradient from random starts near the clean image, shrunk to the ball.

    Attributes:
        steps: gradient steps from each start.
        step_size: of each step, as a share of epsilon.
        starts: random ones.
    """

    name: ClassVar[str] = "pgd_l2"
    threat: ClassVar[Threat] = Threat.L2
    access: ClassVar[Access] = Access.GRADIENT
    steps: int = 20
    step_size: float = 0.25
    starts: int = 1

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that any start came.

        Args:
            victim: see `Victim`.
            epsilon: largest root mean square of the change over the mask, normalised intensity.
            rng: draws the starts.
        """
        ball = L2(victim, epsilon)
        search = Search(victim, ball.size)
        for _ in range(self.starts):
            start = NEAR * ball.draw(rng)
            ascend(search, ball, start, steps=self.steps, step_size=self.step_size)
        return search.found()
