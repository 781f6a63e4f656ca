"""Uneven brightness: what the receive coils see best is brightest.

The logarithm of the field is a polynomial of place, as Van Leemput et al. 1999 (IEEE TMI 18(10),
885-896, section II) model it.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

TERMS = tuple(
    (i, j, k) for i in range(4) for j in range(4) for k in range(4) if 1 <= i + j + k <= 3
)
"""Powers of x, y and z in the polynomial."""


@dataclass(frozen=True, slots=True)
class BiasField:
    """Multiplies with a smooth field whose geometric mean is 1.

    Attributes:
        coefficients: of the terms of `TERMS`, in that order; only their proportions matter.
        ratio: largest to smallest value of the field over the image; 1 changes nothing.
    """

    coefficients: tuple[float, ...]
    ratio: float
    name: str = "bias_field"

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float) -> Self:
        """Some direction and curvature; ratio 1 at strength 0, 3 at strength 1."""
        return cls(tuple(rng.normal(size=len(TERMS)).tolist()), float(3**strength))

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, like image, (x, y) or (x, y, z); across slices the field is smooth too."""
        stack = image if image.ndim == 3 else image[..., None]
        x, y, z = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in stack.shape)
        polynomial = np.zeros((4, 4, 4))
        polynomial[tuple(np.transpose(TERMS))] = self.coefficients
        values = np.polynomial.polynomial.polygrid3d(x, y, z, polynomial)
        span = np.ptp(values)
        if span == 0:
            return image
        logarithm = np.log(self.ratio) * (values - values.mean()) / span
        return np.asarray(stack * np.exp(logarithm), dtype=np.float32).reshape(image.shape)
