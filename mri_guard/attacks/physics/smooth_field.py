"""A smooth multiplicative field, as receive coils make it."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize
from torch import Tensor

from mri_guard.artifacts.bias_field import TERMS
from mri_guard.attacks.engine import Victim
from mri_guard.attacks.physics.distortion import Distortion

POWERS = ((0, 0, 0), *TERMS)
"""Of x, y and z: the terms of `artifacts.BiasField`, and a gain."""
FIRST_CUTS = 100
"""So many of the mask's voxels bound the first field that is sought."""
ROUNDS, OVER = 10, 1.01
"""Voxels at which a field found is too strong are added so often, until it is that little over."""
SMALLEST = 1e-3
"""Combinations of terms that are fainter, as a share of the strongest, are left out."""


@dataclass(frozen=True, slots=True, eq=False)
class SmoothField(Distortion):
    """Multiplies with a field whose logarithm is a polynomial of order 3 in x, y and z.

    In the mask the field lies within 1 / (1 + epsilon) and 1 + epsilon, voxel by voxel. The
    polynomials that do so are a convex body whose steepest corner a linear programme finds:
    projected steps with it are steps of Frank and Wolfe (1956, Naval Research Logistics Quarterly
    3, 95-110).

    Attributes:
        mixing: (p, 4, 4, 4), coefficients of the polynomial that each parameter stands for; so
            chosen that over the mask each has a root mean square of 1 and none is made of others.
        values: float64, (n, p), those polynomials at the voxels of the mask.
        cuts: the voxels that bound the fields sought so far; grows with the search.
    """

    mixing: Tensor
    values: NDArray[np.float64]
    cuts: set[int]

    @classmethod
    def of(cls, victim: Victim, epsilon: float) -> Self:
        """The fields over a victim's mask."""
        image, inside = victim.image[:, 0], victim.mask[:, 0]
        places = torch.nonzero(inside).cpu().numpy()
        z, x, y = (_axis(n)[places[:, i]] for i, n in enumerate(image.shape))
        terms = np.stack([x**i * y**j * z**k for i, j, k in POWERS], axis=1)
        values, sizes, mixes = np.linalg.svd(terms, full_matrices=False)
        kept = sizes > SMALLEST * sizes.max()
        scale = math.sqrt(len(places))
        mixing = np.zeros((int(kept.sum()), 4, 4, 4))
        mixing[(slice(None), *np.transpose(POWERS))] = mixes[kept] / sizes[kept, None] * scale
        cuts = set(range(0, len(places), math.ceil(len(places) / FIRST_CUTS)))
        return cls(
            victim, epsilon, torch.as_tensor(mixing).to(image), values[:, kept] * scale, cuts
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """One for each polynomial."""
        return (len(self.mixing),)

    @property
    def largest(self) -> float:
        """Of the field's logarithm."""
        return math.log1p(self.epsilon)

    def logarithm(self, parameters: Tensor) -> Tensor:
        """Of the field, (z, 1, x, y)."""
        shape = self.victim.image[:, 0].shape
        z, x, y = (
            torch.as_tensor(np.stack([_axis(n) ** i for i in range(4)])).to(parameters)
            for n in shape
        )
        coefficients = torch.einsum("p,pijk->ijk", parameters, self.mixing)
        return torch.einsum("ijk,ix,jy,kz->zxy", coefficients, x, y, z)[:, None]

    def apply(self, image: Tensor, parameters: Tensor) -> Tensor:
        """The image times the field."""
        return image * self.logarithm(parameters).exp()

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Some direction and curvature, at full strength."""
        drawn = self._tensor(rng.normal(size=self.shape))
        return drawn * (self.largest / self._size(drawn))

    def project(self, parameters: Tensor) -> Tensor:
        """Shrunk until every voxel of the mask is within the bounds."""
        return parameters * min(1.0, self.largest / self._size(parameters))

    def steepest(self, gradient: Tensor) -> Tensor:
        """The corner of the body of fields that the gradient likes best."""
        wanted = gradient.double().cpu().numpy()
        size = np.abs(wanted).max()
        if size == 0 or self.largest == 0:
            return torch.zeros_like(gradient)
        for _ in range(ROUNDS):
            bounds = self.values[sorted(self.cuts)]
            corner = optimize.linprog(
                -wanted / size,
                A_ub=np.concatenate([bounds, -bounds]),
                b_ub=np.ones(2 * len(bounds)),
                bounds=(None, None),
                method="highs-ds",
            ).x
            over = np.abs(self.values @ corner)
            if over.max() <= OVER:
                break
            worst = [part[over[part].argmax()] for part in self._parts() if len(part)]
            self.cuts.update(int(one) for one in worst if over[one] > 1)
        found = self._tensor(corner)
        return found * (self.largest / self._size(found))

    def _parts(self) -> list[NDArray[np.int64]]:
        """Numbers of the voxels of each slice."""
        last = self.victim.mask.flatten(1).sum(1).cumsum(0).cpu().numpy()
        return np.split(np.arange(len(self.values)), last[:-1])

    def _size(self, parameters: Tensor) -> float:
        """Largest magnitude of the logarithm in the mask."""
        return max(float(self.logarithm(parameters)[self.victim.mask].abs().max()), 1e-20)


def _axis(count: int) -> NDArray[np.float64]:
    """Places along an axis as `artifacts.BiasField` has them."""
    return np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
