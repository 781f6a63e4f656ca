"""A visible patch at the edge of the head (Brown et al. 2017, arXiv:1712.09665), as a coil, a
marker or something on the skin might leave it.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.attacks.engine import Access, Found, Threat, Victim, best_patch


@dataclass(frozen=True, slots=True)
class PatchEdge:
    """In each slice the voxels nearest to a place on the mask's rim, with any values that a scanner
    writes.

    Attributes:
        places: tried in each slice.
        steps: gradients at each.
    """

    name: ClassVar[str] = "patch_edge"
    threat: ClassVar[Threat] = Threat.PATCH
    access: ClassVar[Access] = Access.GRADIENT
    places: int = 3
    steps: int = 10

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that a patch at any place came.

        Args:
            victim: see `Victim`.
            epsilon: share of each slice's mask that the patch covers.
            rng: draws places.
        """
        return best_patch(victim, epsilon, rng, rim, places=self.places, steps=self.steps)


def rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels of a slice's mask that touch what is outside, bool, (x, y)."""
    return np.asarray(mask & ~ndimage.binary_erosion(mask))
