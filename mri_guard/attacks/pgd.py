"""Projected gradient descent in an Linf ball (Madry et al. 2018, arXiv:1706.06083, section 2.1)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import Access, Found, Linf, Search, Threat, Victim, ascend


@dataclass(frozen=True, slots=True)
class Pgd:
    """Signed steps from random starts, projected on the ball.

    Attributes:
        steps: gradient steps from each start.
        step_size: of each step, as a share of epsilon.
        starts: random ones.
    """

    name: ClassVar[str] = "pgd"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.GRADIENT
    steps: int = 20
    step_size: float = 0.25
    starts: int = 1

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that any start came.

        Args:
            victim: see `Victim`.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws the starts.
        """
        search, ball = Search(victim), Linf(victim, epsilon)
        for _ in range(self.starts):
            ascend(search, ball, ball.draw(rng), steps=self.steps, step_size=self.step_size)
        return search.found()
