"""The smallest change that passes the threshold, by a penalty (Carlini and Wagner 2017,
arXiv:1608.04644, section VI-A).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mri_guard.attacks.engine import (
    L2,
    Access,
    Found,
    Search,
    Threat,
    Victim,
    approach,
    boundary,
)


@dataclass(frozen=True, slots=True)
class CarliniWagner:
    """Adam on the change's square plus what each goal lacks times a constant of its own.

    The constant falls where the goal was reached and rises where it was not. Search and steps begin
    where linear steps over the threshold led, so that neither has a unit to guess; images have no
    box to be squeezed into. A goal that the clean image has reached already is taken one scale
    further.

    Attributes:
        searches: values tried of the constants.
        steps: gradients for each.
        steps_before: gradients of the linear steps.
        rate: of Adam's first step, as a share of the root mean square of what they changed.
        confidence: margin wanted beyond the threshold, in units of the victim's scale.
    """

    name: ClassVar[str] = "carlini_wagner"
    threat: ClassVar[Threat] = Threat.L2
    access: ClassVar[Access] = Access.GRADIENT
    searches: int = 5
    steps: int = 30
    steps_before: int = 10
    rate: float = 0.1
    confidence: float = 0.0

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that it came within epsilon, and of each goal the smallest change.

        Args:
            victim: see `Victim`.
            epsilon: largest root mean square of the change over the mask, normalised intensity.
            rng: unused: nothing is drawn.
        """
        ball = L2(victim, epsilon)
        search = Search(victim, ball.size)
        targets = boundary(search) + self.confidence
        short = float((targets - search.clean).clamp_min(0).sum())
        start = approach(search, ball, ball.rest(), steps=self.steps_before, targets=targets)
        # If goals are linear they lie so far, and this constant balances both gradients there.
        constants = torch.full_like(targets, 2 * float(start.square().sum()) / short)
        low, high = torch.zeros_like(targets), torch.full_like(targets, torch.inf)
        for _ in range(self.searches):
            reached = self._descend(search, ball, start, targets, constants)
            high = torch.where(reached, constants.minimum(high), high)
            low = torch.where(reached, low, constants.maximum(low))
            constants = torch.where(torch.isfinite(high), (low + high) / 2, 10 * constants)
        return search.found()

    def _descend(
        self, search: Search, ball: L2, start: Tensor, targets: Tensor, constants: Tensor
    ) -> Tensor:
        """Whether each goal was reached on the way, bool, (k,)."""
        change = start.clone()
        rate = self.rate * ball.size(start)
        # The gradient of the change's square is twice the change: Adam's weight decay.
        adam = torch.optim.Adam([change], lr=rate, weight_decay=2.0)
        reached = torch.zeros_like(targets, dtype=torch.bool)

        def objective(margins: Tensor) -> Tensor:
            return (constants * (margins - targets).clamp_max(0)).sum()

        for step in range(self.steps):
            adam.param_groups[0]["lr"] = rate * (1 - step / self.steps)
            margins, gradient = search.climb(change, ball.image, objective)
            reached |= margins >= targets
            change.grad = -gradient
            adam.step()
            change.copy_(ball.project(change))
        return reached
