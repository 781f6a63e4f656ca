"""The memory of an attack: what it has asked, and the best that it has seen."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mri_guard.attacks.engine.victim import Victim

Objective = Callable[[Tensor], Tensor]
"""From margins, (k,), to the scalar that is climbed."""


def largest(change: Tensor) -> float:
    """Largest change of a voxel."""
    return float(change.abs().max())


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What an attack found.

    Attributes:
        image: of all that it looked at, the clean one among them, the one whose margins have the
            largest sum; detached, like the victim's.
        margins: of each goal the largest over all images it looked at, (k,).
        history: sum of the margins at each look, the clean image first.
        queries: looks, with or without gradient, the one at the clean image among them.
        first: int64, (k,), of each goal the number of the look that first reached it, from 1; 0
            where none did.
        least: of each goal the size of the smallest change that reached it, (k,), in the measure
            that the attack's epsilon bounds; infinite where none did.
    """

    image: Tensor
    margins: Tensor
    history: tuple[float, ...]
    queries: int
    first: Tensor
    least: Tensor


class Search:
    """Counts looks and keeps the best; begins with a look at the clean image.

    Args:
        victim: that is attacked.
        size: of a change, like the image; the largest of a voxel if nothing is said.
    """

    def __init__(self, victim: Victim, size: Callable[[Tensor], float] = largest) -> None:
        self.victim = victim
        self.size = size
        self.queries = 0
        self.history: list[float] = []
        self.image = victim.image.detach()
        self.clean = self.look(victim.image)

    def look(self, image: Tensor) -> Tensor:
        """Margins of an image, (k,), without gradient."""
        with torch.no_grad():
            margins = self.victim.margins(image)
            self._keep(image, margins)
        return margins

    def climb(
        self,
        parameters: Tensor,
        image_of: Callable[[Tensor], Tensor],
        objective: Objective = torch.sum,
        aim: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Margins, (k,), and the gradient of the objective, like parameters.

        Args:
            parameters: of the image; any shape.
            image_of: from parameters to the image; differentiable.
            objective: of the margins.
            aim: from the image to a scalar that is climbed in the objective's place, for attacks on
                something other than the margins; these are then only looked at.
        """
        parameters = parameters.detach().requires_grad_()
        image = image_of(parameters)
        with torch.set_grad_enabled(aim is None):
            margins = self.victim.margins(image)
        climbed = objective(margins) if aim is None else aim(image)
        (gradient,) = torch.autograd.grad(climbed, parameters)
        with torch.no_grad():
            self._keep(image.detach(), margins.detach())
        return margins.detach(), gradient

    def found(self) -> Found:
        """What has been found so far."""
        history = tuple(self.history)
        return Found(self.image, self.margins, history, self.queries, self.first, self.least)

    def _keep(self, image: Tensor, margins: Tensor) -> None:
        self.queries += 1
        total = float(margins.sum())
        if self.queries == 1:  # the clean image counts, noticed or not
            self.margins = margins.clone()
            self.first = (margins > 0).long()
            self.least = torch.where(margins > 0, 0.0, torch.inf)
        elif self._noticed(image):
            total = float("-inf")
        else:
            if total > max(self.history):
                self.image = image.detach().clone()
            reached = margins > 0
            self.first = torch.where(reached & (self.first == 0), self.queries, self.first)
            size = self.size(image - self.victim.image)
            self.least = torch.where(reached, self.least.clamp_max(size), self.least)
            self.margins = torch.maximum(self.margins, margins)
        self.history.append(total)

    def _noticed(self, image: Tensor) -> bool:
        hidden = self.victim.hidden
        return hidden is not None and not bool((hidden(image) > 0).all())
