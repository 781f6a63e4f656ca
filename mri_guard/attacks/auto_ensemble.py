"""Several attacks that fail for different reasons, and the worst of them (AutoAttack, Croce and
Hein 2020, arXiv:2003.01690, section 5).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

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
    search_blocks,
    shortfall,
)

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
        search_blocks(search, ball, rng, looks=self.looks)
        return search.found()
