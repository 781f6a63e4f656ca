"""Adversarial bias field: brightness as uneven as coils make it, where it does most harm (Tian et
al. 2021, arXiv:2009.09247, section 3).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import Access, Found, Threat, Victim
from mri_guard.attacks.physics import SmoothField, worst_in


@dataclass(frozen=True, slots=True)
class BiasField:
    """Climbs to the worst of the smooth fields; see `SmoothField` for which they are.

    Attributes:
        draws: random fields that are tried first.
        starts: the best so many of them are climbed from.
        steps: gradient steps from each.
    """

    name: ClassVar[str] = "bias_field"
    threat: ClassVar[Threat] = Threat.PHYSICAL
    access: ClassVar[Access] = Access.GRADIENT
    realistic: ClassVar[float] = 0.1
    """Fields of a tenth are left after usual correction."""
    draws: int = 8
    starts: int = 2
    steps: int = 15

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that any field came.

        Args:
            victim: see `Victim`.
            epsilon: largest relative deviation of the field from 1: inside the mask it lies between
                1 / (1 + epsilon) and 1 + epsilon.
            rng: draws the starts.
        """
        fields = SmoothField.of(victim, epsilon)
        return worst_in(victim, fields, rng, draws=self.draws, starts=self.starts, steps=self.steps)
