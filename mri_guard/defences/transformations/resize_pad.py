"""Random resizing and padding (Xie et al. 2018, arXiv:1711.01991, section 3.1).

There the network sees the resized image. Here masks, healthy statistics and the map lie voxel by
voxel on the model's grid, so the same shrinking is undone: what is left of it is two linear
interpolations at a phase that an attacker does not know.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.determinism import generator


@dataclass(frozen=True, slots=True)
class ResizePad:
    """Shrinks every slice alike, puts it somewhere on the grid, and takes it back.

    Attributes:
        seed: of size and place; another one for each scan.
        smallest: share of the sides that the smallest image keeps, in (0, 1].
    """

    seed: int = 0
    smallest: float = 0.9
    name: str = "resize_pad"

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, (x, y, z); the same for the same seed and grid."""
        rng = generator(self.seed, self.name)
        scale = rng.uniform(self.smallest, 1.0)
        room = (1 - scale) * (np.array(image.shape[:2]) - 1)
        place = np.append(rng.uniform(0.0, room), 0.0)
        scales = np.array([scale, scale, 1.0])
        # Padded with its own edge; affine_transform takes where each new voxel comes from.
        small = _sampled(image, 1 / scales, -place / scales)
        return np.asarray(_sampled(small, scales, place), dtype=np.float32)


def _sampled(
    image: NDArray[np.float32], scales: NDArray[np.float64], offset: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The image at `scales * index + offset`, linear in the plane, like image."""
    sampled = ndimage.affine_transform(image, scales, offset, order=1, mode="nearest")
    return np.asarray(sampled, dtype=np.float32)
