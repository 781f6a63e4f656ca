"""A visible patch inside the head (Brown et al. 2017, arXiv:1712.09665), as an implant or a bleed
might look.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.attacks.engine import Access, Found, Threat, Victim, best_patch


@dataclass(frozen=True, slots=True)
class PatchInside:
    """In each slice a disc away from the mask's rim, with any values that a scanner writes.

    Attributes:
        places: tried in each slice.
        steps: gradients at each.
    """

    name: ClassVar[str] = "patch_inside"
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
        return best_patch(victim, epsilon, rng, core, places=self.places, steps=self.steps)


def core(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The quarter of a slice's mask that is deepest, bool, (x, y)."""
    depth = ndimage.distance_transform_cdt(np.pad(mask, 1), metric="taxicab")[1:-1, 1:-1]
    return np.asarray(mask & (depth >= np.quantile(depth[mask], 0.75))) if mask.any() else mask
