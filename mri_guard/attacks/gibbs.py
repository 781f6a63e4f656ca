"""Adversarial Gibbs ringing: as many outer lines of k-space left off as does most harm."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from mri_guard.attacks.engine import Access, Found, Search, Threat, Victim
from mri_guard.attacks.physics import cut

LARGEST = 0.6
"""Share of the lines that is left off at strength 1, as `artifacts.Gibbs` draws it."""


@dataclass(frozen=True, slots=True)
class Gibbs:
    """Tries numbers of lines and both axes in turn: there is no gradient, and nothing random.

    Attributes:
        cuts: numbers of lines along each axis, evenly spaced, the most that may be left off first.
    """

    name: ClassVar[str] = "gibbs"
    threat: ClassVar[Threat] = Threat.PHYSICAL
    access: ClassVar[Access] = Access.SCORE
    realistic: ClassVar[float] = 0.3
    """82 % of the lines acquired."""
    cuts: int = 8

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that any cut came.

        Args:
            victim: see `Victim`.
            epsilon: 1 allows 60 % of the lines to be left off.
            rng: not asked.
        """
        search = Search(victim)
        for left_off in np.linspace(LARGEST * epsilon, 0, self.cuts, endpoint=False):
            for axis in (0, 1):
                ringing = cut(victim.signal, float(1 - left_off), axis) + victim.no_signal
                search.look(torch.where(victim.mask, ringing, victim.image))
        return search.found()
