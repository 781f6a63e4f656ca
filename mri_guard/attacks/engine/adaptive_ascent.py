"""Projected steps uphill that find their own size."""

import math
from itertools import pairwise

import torch
from torch import Tensor

from mri_guard.attacks.engine.ascent import quiet
from mri_guard.attacks.engine.search import Objective, Search
from mri_guard.attacks.engine.space import Space

FIRST_SIZE = 2.0
"""Of a step, as a share of the budget."""

RISING = 0.75
"""Share of the steps between two checkpoints that should rise, else the step is too large."""

MOMENTUM = 0.25
"""Share of the last step in the next."""


def ascend_adaptively(
    search: Search, space: Space, start: Tensor, *, steps: int, objective: Objective = torch.sum
) -> Tensor:
    """The best parameters (APGD, Croce and Hein 2020, arXiv:2003.01690, algorithm 1).

    The step halves at a checkpoint where too few steps rose since the last, or where neither step
    nor best value changed, and goes on from the best. The first move after that has no momentum:
    in the paper it has that of the leap back.

    Args:
        search: looks.
        space: of the parameters.
        start: parameters, within the space; see `quiet`.
        steps: gradients that are taken.
        objective: that is climbed.
    """

    def climb(parameters: Tensor) -> tuple[float, Tensor]:
        margins, gradient = search.climb(parameters, space.image, objective)
        return float(objective(margins)), gradient

    if steps < 1:
        return start
    value, gradient = climb(start)
    now = before = quiet(space, start, gradient)
    best = (value, now, gradient)
    ends = checkpoints(steps)
    begun, best_then, size, halved, rises = 0, value, FIRST_SIZE, False, 0
    for step in range(1, steps):
        target = space.project(now + size * space.steepest(gradient))
        share = 1.0 if step == 1 else 1 - MOMENTUM
        ahead = now + share * (target - now) + (1 - share) * (now - before)
        before, now = now, space.project(ahead)
        last, (value, gradient) = value, climb(now)
        rises += value > last
        if value > best[0]:
            best = (value, now, gradient)
        if step in ends:
            too_few = rises < RISING * (step - begun)
            stuck = not halved and best[0] <= best_then
            halved = too_few or stuck
            if halved:
                size /= 2
                value, now, gradient = best
                before = now
            begun, best_then, rises = step, best[0], 0
    return best[1]


def checkpoints(steps: int) -> set[int]:
    """Steps at which the size may halve: ever closer together (the paper's section 3.3)."""
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        earlier, later = shares[-2:]
        shares.append(later + max(later - earlier - 0.03, 0.06))
    at = [math.ceil(round(share * steps, 6)) for share in shares]
    return {end for begin, end in pairwise(at) if end > begin}
