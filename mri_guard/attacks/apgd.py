"""Projected gradient descent that finds its own step size (Croce and Hein 2020,
arXiv:2003.01690, section 3).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch

from mri_guard.attacks.engine import (
    Access,
    Found,
    Linf,
    Search,
    Threat,
    Victim,
    ascend_adaptively,
    boundary,
    shortfall,
)


@dataclass(frozen=True, slots=True)
class Apgd:
    """Steps with momentum that halve where they no longer rise, from random starts.

    Attributes:
        steps: gradients from each start.
        starts: random ones.
        objective: sum: of all margins, whether reached or not. hinge: of what goals lack to their
            thresholds, so that a goal that was reached pulls no more.
    """

    name: ClassVar[str] = "apgd"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.GRADIENT
    steps: int = 20
    starts: int = 1
    objective: Literal["sum", "hinge"] = "sum"

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that any start came.

        Args:
            victim: see `Victim`.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws the starts.
        """
        search, ball = Search(victim), Linf(victim, epsilon)
        objective = torch.sum if self.objective == "sum" else shortfall(boundary(search))
        for _ in range(self.starts):
            start = ball.draw(rng)
            ascend_adaptively(search, ball, start, steps=self.steps, objective=objective)
        return search.found()
