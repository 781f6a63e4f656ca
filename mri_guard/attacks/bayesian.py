"""Bayesian optimisation of a few coefficients (Ru et al. 2020, BayesOpt Attack, ICLR; the bound
that is climbed: Srinivas et al. 2010, arXiv:0912.3995)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist
from torch import Tensor
from torch.nn import functional

from mri_guard.attacks.engine import Access, Found, Linf, Parts, Search, Threat, Victim

Values = NDArray[np.float64]

LENGTHS = (0.5, 1.0, 2.0)
"""Length scales that are tried, in units of the root of the number of coefficients, which random
points of [-1, 1] are apart."""
NOISE = 1e-3
"""Variance of values that no coefficient explains, of 1 in all."""


@dataclass(frozen=True, slots=True)
class Bayesian:
    """A coarse grid of values, upsampled to the image, where a Gaussian process hopes for most.

    Each part of the stack (`Parts`) has a grid and a process of its own; one look serves all.

    Attributes:
        queries: looks at most.
        side: values of the grid along an edge of the slice.
        depth: values along the stack, where a part has so many slices.
        random: looks at random corners before the first process.
        candidates: places at which a process is asked.
        hope: standard deviations that are added to the process's mean.
    """

    name: ClassVar[str] = "bayesian"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.SCORE
    queries: int = 60
    side: int = 4
    depth: int = 2
    random: int = 10
    candidates: int = 200
    hope: float = 1.0

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The best of all looks.

        Args:
            victim: see `Victim`.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws corners and candidates.
        """
        search, ball = Search(victim), Linf(victim, epsilon)
        parts = Parts.found(search, ball.steepest(ball.draw(rng)), self.queries // 3)
        slices = [torch.nonzero(parts.of_slice == part)[:, 0] for part in range(parts.count)]
        grids = [(min(self.depth, max(1, len(at))), self.side, self.side) for at in slices]
        asked: list[list[Values]] = [[] for _ in grids]
        seen: list[Values] = []
        while search.queries < self.queries:
            change = ball.rest()
            for part, (at, grid) in enumerate(zip(slices, grids, strict=True)):
                values = np.array([each[part] for each in seen])
                place = self._next(np.array(asked[part]), values, int(np.prod(grid)), rng)
                asked[part].append(place)
                if len(at):
                    change[at] = _upsampled(place.reshape(grid), victim, at)
            margins = search.look(ball.image(ball.project(epsilon * change)))
            seen.append(parts.values(margins).double().cpu().numpy())
        return search.found()

    def _next(self, asked: Values, seen: Values, size: int, rng: np.random.Generator) -> Values:
        """Where to look next, (size,), each in [-1, 1]."""
        if len(seen) < self.random or np.ptp(seen) == 0:
            return rng.choice([-1.0, 1.0], size)
        best = asked[seen.argmax()]
        third = (self.candidates // 3, size)
        anywhere = rng.uniform(-1, 1, third)
        near = best + rng.normal(0, 0.3, third)
        turned = np.where(rng.random(third) < 2 / size, rng.choice([-1.0, 1.0], third), best)
        places = np.concatenate([anywhere, near, turned]).clip(-1, 1)
        mean, deviation = posterior(asked, (seen - seen.mean()) / seen.std(), places)
        return np.asarray(places[(mean + self.hope * deviation).argmax()])


def posterior(asked: Values, seen: Values, places: Values) -> tuple[Values, Values]:
    """Mean and standard deviation of a Gaussian process at places, (m,) each; of the length scales
    the likeliest (Rasmussen & Williams 2006, algorithm 2.1, with a Matern 5/2 kernel, equation
    4.17).

    Args:
        asked: (n, d), coefficients in [-1, 1].
        seen: (n,), of mean 0 and variance 1.
        places: (m, d).
    """
    likeliest, found = -np.inf, (seen[:0], seen[:0])
    for share in LENGTHS:
        length = share * np.sqrt(asked.shape[1])
        factor = cho_factor(_matern(asked, asked, length) + NOISE * np.eye(len(asked)))
        weights = cho_solve(factor, seen)
        likelihood = -0.5 * seen @ weights - np.log(np.diag(factor[0])).sum()
        if likelihood > likeliest:
            shared = _matern(places, asked, length)
            explained = (shared * cho_solve(factor, shared.T).T).sum(1)
            likeliest = likelihood
            found = shared @ weights, np.sqrt(np.maximum(1 - explained, 0))
    return found


def _matern(one: Values, other: Values, length: float) -> Values:
    far = np.sqrt(5) * cdist(one, other) / length
    return np.asarray((1 + far + far**2 / 3) * np.exp(-far))


def _upsampled(grid: Values, victim: Victim, slices: Tensor) -> Tensor:
    """The grid's values over the mask's bounding box in these slices, (n, 1, x, y), 0 around."""
    inside = victim.mask[:, 0].any(0)
    rows, columns = (torch.nonzero(inside.any(other))[:, 0] for other in (1, 0))
    low = int(rows[0]), int(columns[0])
    size = len(slices), int(rows[-1]) + 1 - low[0], int(columns[-1]) + 1 - low[1]
    values = torch.as_tensor(grid).to(victim.image)[None, None]
    wide = functional.interpolate(values, size=size, mode="trilinear", align_corners=True)[0, 0]
    out = torch.zeros_like(victim.image[slices])
    out[:, 0, low[0] : low[0] + size[1], low[1] : low[1] + size[2]] = wide
    return out
