"""The shortest way over the threshold, the engine of attacks that ask how little is enough."""

import torch
from torch import Tensor

from mri_guard.attacks.engine.search import Objective, Search
from mri_guard.attacks.engine.space import Space

BARELY = 1e-5
"""Margin that is past the threshold for certain."""

MOST = 0.98
"""Of a change that stays on the way back, and half of it at least."""


def boundary(search: Search) -> Tensor:
    """Margin that each goal should reach, (k,): just past the threshold, or, where the clean image
    is past it already, one scale further than that.
    """
    return torch.where(search.clean > 0, search.clean + 1, BARELY)


def shortfall(targets: Tensor) -> Objective:
    """Minus the sum of what goals lack to their targets: what has been reached pulls no more."""

    def objective(margins: Tensor) -> Tensor:
        return (margins - targets).clamp_max(0).sum()

    return objective


def approach(
    search: Search,
    space: Space,
    start: Tensor,
    *,
    steps: int,
    targets: Tensor,
    overshoot: float = 0.02,
    pull: float = 0.0,
) -> Tensor:
    """Parameters after the last step; the smallest that reached each goal is `Found.least`.

    Each step goes to where the goals that are short would be reached if they were linear (DeepFool,
    Moosavi-Dezfooli et al. 2016, arXiv:1511.04599, algorithm 1, in any space's own norm). Where
    all are reached it goes back to where they would just be reached if they were linear, and comes
    again, and every step may lean to the
    point of that hyperplane that is nearest to no change (FAB, Croce and Hein 2020,
    arXiv:1907.02044, sections 2.2 and 2.4). A step doubles, beyond either paper, after one that
    did not bring half of what it promised.

    Args:
        search: looks.
        space: of the parameters; its budget cuts off.
        start: parameters, within the space.
        steps: gradients that are taken; one look more is taken at the end.
        targets: margin of each goal, (k,).
        overshoot: share by which a step is longer, so that it comes to lie past the hyperplane.
        pull: largest lean to the point nearest to no change, 0..1.
    """
    parameters, rest = start, space.rest()
    objective = shortfall(targets)
    stretch, expected = 1.0, 0.0
    for _ in range(steps):
        margins, gradient = search.climb(parameters, space.image, objective)
        short = float((targets - margins).clamp_min(0).sum())
        # A score that bends soon, as every median and every top share makes it, promises more than
        # it keeps: the linear distance is too short by as much.
        stretch = 2 * stretch if short > expected > 0 else max(1.0, stretch / 2)
        expected = short / 2
        if short <= 0:
            share = float(((targets - search.clean) / (margins - search.clean)).max())
            parameters = rest + min(max(share, 0.5), MOST) * (parameters - rest)
            continue
        direction = space.steepest(gradient)
        slope = float((gradient * direction).sum())
        if not slope > 0:
            break  # flat: no hyperplane is near
        gone = float((gradient * (parameters - rest)).sum())
        step = stretch * (1 + overshoot) * short / slope * direction
        afresh = stretch * (1 + overshoot) * max(0.0, short + gone) / slope * direction
        lean = min(pull, float(step.norm() / (step.norm() + afresh.norm()).clamp_min(1e-20)))
        parameters = space.project((1 - lean) * (parameters + step) + lean * (rest + afresh))
    search.look(space.image(parameters))
    return parameters
