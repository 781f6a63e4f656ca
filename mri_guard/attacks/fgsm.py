"""One signed step to the ball's corner (Goodfellow et al. 2015, arXiv:1412.6572, section 4)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import Access, Found, Linf, Search, Threat, Victim, ascend


@dataclass(frozen=True, slots=True)
class Fgsm:
    """The fast gradient sign method."""

    name: ClassVar[str] = "fgsm"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.GRADIENT

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """Where the step led.

        Args:
            victim: see `Victim`.
            epsilon: largest change of a voxel, normalised intensity.
            rng: unused: nothing is drawn.
        """
        search, ball = Search(victim), Linf(victim, epsilon)
        ascend(search, ball, ball.rest(), steps=1, step_size=1.0)
        return search.found()
