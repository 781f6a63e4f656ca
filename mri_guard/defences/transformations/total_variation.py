"""Total variation denoising (Rudin, Osher and Fatemi 1992, doi:10.1016/0167-2789(92)90242-F; by the
dual projection of Chambolle 2004, doi:10.1023/B:JMIV.0000011325.36760.1e, equation 9).

It stands for denoising in general. A learnt denoiser (a denoising autoencoder, as in Liao et al.
2018, arXiv:1712.02976) would bring weights of its own, which the bundle would have to carry, and a
gradient of its own, which an attacker follows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEP = 0.25
"""Of the projection; it converges up to 1/4."""


@dataclass(frozen=True, slots=True)
class TotalVariation:
    """Each slice becomes the image u that minimises TV(u) + |u - image|^2 / (2 weight).

    Attributes:
        weight: normalised intensity; larger means smoother.
        steps: of the projection.
    """

    weight: float = 0.05
    steps: int = 30
    name: str = "total_variation"

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, (x, y, z), filtered slice by slice; each slice keeps its mean."""
        wanted = image.astype(np.float64)
        dual = np.zeros((2, *image.shape))
        for _ in range(self.steps):
            slope = _gradient(_divergence(dual) - wanted / self.weight)
            length = np.sqrt((slope**2).sum(0))
            dual = (dual + STEP * slope) / (1 + STEP * length)
        return np.asarray(wanted - self.weight * _divergence(dual), dtype=np.float32)


def _gradient(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Forward differences along x and y, (2, x, y, z); 0 at the far edges."""
    slope = np.zeros((2, *values.shape))
    slope[0, :-1] = np.diff(values, axis=0)
    slope[1, :, :-1] = np.diff(values, axis=1)
    return slope


def _divergence(field: NDArray[np.float64]) -> NDArray[np.float64]:
    """Negative adjoint of `_gradient`, (x, y, z)."""
    along_x, along_y = field[0].copy(), field[1].copy()
    along_x[-1], along_y[:, -1] = 0, 0
    return np.asarray(np.diff(along_x, axis=0, prepend=0) + np.diff(along_y, axis=1, prepend=0))
