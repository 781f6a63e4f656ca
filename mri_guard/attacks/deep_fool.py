"""The smallest change that passes the threshold, by linear steps (Moosavi-Dezfooli et al. 2016,
arXiv:1511.04599, algorithm 1).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import L2, Access, Found, Search, Threat, Victim, approach, boundary


@dataclass(frozen=True, slots=True)
class DeepFool:
    """From the clean image over the nearest linear boundary, and again from there.

    Once over, it goes part of the way back and comes again, so that `Found.least` is nearer to the
    smallest change than the paper's first crossing. A goal that the clean image has reached already
    is taken one scale further.

    Attributes:
        steps: gradients.
        overshoot: share by which a step is longer than the linear distance.
    """

    name: ClassVar[str] = "deep_fool"
    threat: ClassVar[Threat] = Threat.L2
    access: ClassVar[Access] = Access.GRADIENT
    steps: int = 20
    overshoot: float = 0.02

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that it came within epsilon, and of each goal the smallest change.

        Args:
            victim: see `Victim`.
            epsilon: largest root mean square of the change over the mask, normalised intensity.
            rng: unused: nothing is drawn.
        """
        ball = L2(victim, epsilon)
        search = Search(victim, ball.size)
        approach(
            search,
            ball,
            ball.rest(),
            steps=self.steps,
            targets=boundary(search),
            overshoot=self.overshoot,
        )
        return search.found()
