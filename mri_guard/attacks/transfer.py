"""Gradients of other models (Papernot et al. 2016, arXiv:1605.07277; of several together Liu et al.
2017, arXiv:1611.02770)."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import Access, Found, Linf, Search, Threat, Victim
from mri_guard.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Transfer:
    """Signed steps along what other models' gradients have in common, each looked at once.

    Every other model has an equal say: its gradient is divided by its mean magnitude, since another
    architecture's scores may be on another scale.

    Attributes:
        queries: looks at the victim at most: the clean image, the start, and one a step.
        step_size: of each step, as a share of epsilon.
        momentum: share of the gradients so far that is added to each (Dong et al. 2018,
            arXiv:1710.06081, equation 6), which transfers better.
    """

    name: ClassVar[str] = "transfer"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.SCORE
    queries: int = 22
    step_size: float = 0.25
    momentum: float = 1.0

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The best of all steps.

        Args:
            victim: see `Victim`; its `others` are asked for gradients, itself for scores alone.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws the start.

        Raises:
            SettingsError: the victim has no others; without them there is nothing to transfer.
        """
        if not victim.others:
            raise SettingsError("transfer needs other models' scores (Victim.others), got none")
        search, ball = Search(victim), Linf(victim, epsilon)
        owned = [Search(replace(victim, scores=other, hidden=None)) for other in victim.others]
        now, gathered = ball.draw(rng), ball.rest()
        while search.queries < self.queries:
            search.look(ball.image(now))
            gathered = self.momentum * gathered
            for model in owned:
                _, gradient = model.climb(now, ball.image)
                gathered += gradient / gradient.abs().mean().clamp_min(1e-20)
            now = ball.project(now + self.step_size * ball.steepest(gathered))
        return search.found()
