"""Signed steps with momentum (Dong et al. 2018, arXiv:1710.06081, algorithm 1)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import Access, Found, Linf, Search, Threat, Victim, ascend


@dataclass(frozen=True, slots=True)
class MiFgsm:
    """The momentum iterative fast gradient sign method: what it finds transfers further.

    Attributes:
        steps: gradient steps, each of so small a share of epsilon.
        momentum: share of the gradients so far that is added to each.
    """

    name: ClassVar[str] = "mi_fgsm"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.GRADIENT
    steps: int = 10
    momentum: float = 1.0

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that it came.

        Args:
            victim: see `Victim`.
            epsilon: largest change of a voxel, normalised intensity.
            rng: unused: nothing is drawn.
        """
        search, ball = Search(victim), Linf(victim, epsilon)
        ascend(
            search,
            ball,
            ball.rest(),
            steps=self.steps,
            step_size=1 / self.steps,
            momentum=self.momentum,
        )
        return search.found()
