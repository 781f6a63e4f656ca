"""Adversarial smooth deformation: the anatomy, bent where it does most harm (Chen et al. 2022,
Medical Image Analysis 82, 102597, arXiv:2108.03429, section 3.1).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mri_guard.attacks.engine import Access, Found, Threat, Victim
from mri_guard.attacks.physics import Warping, worst_in


@dataclass(frozen=True, slots=True)
class Deformation:
    """Climbs to the worst of the deformations without folds; see `Warping` for which they are.

    Attributes:
        draws: random deformations that are tried first.
        starts: the best so many of them are climbed from.
        steps: gradient steps from each.
    """

    name: ClassVar[str] = "deformation"
    threat: ClassVar[Threat] = Threat.PHYSICAL
    access: ClassVar[Access] = Access.GRADIENT
    realistic: ClassVar[float] = 0.3
    """Gradients that are not corrected displace the brain by a millimetre or so."""
    draws: int = 8
    starts: int = 2
    steps: int = 15

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that any deformation came.

        Args:
            victim: see `Victim`.
            epsilon: 1 allows displacements of 4 mm.
            rng: draws the starts.
        """
        bends = Warping.of(victim, epsilon)
        return worst_in(victim, bends, rng, draws=self.draws, starts=self.starts, steps=self.steps)
