"""The basic iterative method (Kurakin et al. 2017, arXiv:1607.02533, section 2.2)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import Access, Found, Linf, Search, Threat, Victim, ascend


@dataclass(frozen=True, slots=True)
class Bim:
    """Small signed steps from the clean image, that together just reach the ball's corner.

    Attributes:
        steps: gradient steps, each of so small a share of epsilon.
    """

    name: ClassVar[str] = "bim"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.GRADIENT
    steps: int = 10

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that it came.

        Args:
            victim: see `Victim`.
            epsilon: largest change of a voxel, normalised intensity.
            rng: unused: nothing is drawn.
        """
        search, ball = Search(victim), Linf(victim, epsilon)
        ascend(search, ball, ball.rest(), steps=self.steps, step_size=1 / self.steps)
        return search.found()
