"""Several attacks that fail for different reasons, and the worst of them (AutoAttack, Croce and
Hein 2020, arXiv:2003.01690, section 5).
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mri_guard.attacks.engine import (
    Access,
    Found,
    Linf,
    Search,
    Threat,
    Victim,
    approach,
    ascend,
    ascend_adaptively,
    boundary,
    shortfall,
)

SHARES = (0.5, 0.005)
"""Of slices and plane that the first block covers, and the last; between them they shrink by the
same factor, as in the Square Attack (Andriushchenko et al. 2020, arXiv:1912.00049) but without its
schedule, which is made for thousands of looks."""

GATHERED = 0.75
"""Share of the gradients so far that is added to each."""

PULL = 0.1
"""Of the way to the smallest change: see `approach`."""


@dataclass(frozen=True, slots=True)
class AutoEnsemble:
    """From random starts, adaptive ascent of the summed margins, and ascent along gathered
    gradients; from the clean image, the smallest change over the thresholds; from where that ended,
    adaptive ascent of what goals still lack; and from the best of all, blocks at random, without a
    gradient.

    Scores that go through medians and top shares have a gradient that jumps, and gathered it leads
    further than adaptive steps do. What begins with the clean image is there because noise raises
    most scores, and so hides that they can be lowered; what needs no gradient, should the model
    hide it.

    Attributes:
        steps: gradients of each of the first four.
        looks: of the last.
        starts: random ones of the first two.
    """

    name: ClassVar[str] = "auto_ensemble"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.GRADIENT
    steps: int = 20
    looks: int = 40
    starts: int = 1

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that any of them came, and of each goal the furthest apart.

        Args:
            victim: see `Victim`.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws starts and blocks.
        """
        search, ball = Search(victim), Linf(victim, epsilon)
        targets = boundary(search)
        for _ in range(self.starts):
            ascend_adaptively(search, ball, ball.draw(rng), steps=self.steps)
            ascend(
                search,
                ball,
                ball.draw(rng),
                steps=self.steps,
                step_size=0.5,
                last_step_size=0.05,
                momentum=GATHERED,
            )
        over = approach(search, ball, ball.rest(), steps=self.steps, targets=targets, pull=PULL)
        lacking = shortfall(targets)
        ascend_adaptively(search, ball, over, steps=self.steps, objective=lacking)
        self._blocks(search, ball, rng)
        return search.found()

    def _blocks(self, search: Search, ball: Linf, rng: np.random.Generator) -> None:
        """Sets blocks of voxels to an end of their range; keeps what raises the sum."""
        stripes = _stripes(ball, rng)
        search.look(ball.image(stripes))
        change = search.image - ball.victim.image
        best = max(search.history)
        for look in range(self.looks):
            share = SHARES[0] * (SHARES[1] / SHARES[0]) ** (look / self.looks)
            tried = change.clone()
            sign = ball.epsilon * float(rng.choice([-1.0, 1.0]))
            tried[_block(change, share, rng)] = sign
            search.look(ball.image(ball.project(tried)))
            if search.history[-1] > best:
                best, change = search.history[-1], tried


def _stripes(ball: Linf, rng: np.random.Generator) -> Tensor:
    """Stripes along x, each at an end of its range."""
    image = ball.victim.image
    signs = rng.choice([-1.0, 1.0], (len(image), 1, 1, image.shape[3]))
    return ball.project(ball.epsilon * torch.as_tensor(signs).to(image).expand_as(image))


def _block(
    change: Tensor, share: float, rng: np.random.Generator
) -> tuple[slice, slice, slice, slice]:
    """A block of so large a share of plane and of slices, somewhere."""
    sides = [max(1, math.ceil(size * share)) for size in change.shape[:1]]
    sides += [max(1, round(size * math.sqrt(share))) for size in change.shape[2:]]
    sizes = (change.shape[0], *change.shape[2:])
    at = [int(rng.integers(size - side + 1)) for size, side in zip(sizes, sides, strict=True)]
    z, x, y = (slice(low, low + side) for low, side in zip(at, sides, strict=True))
    return z, slice(None), x, y
