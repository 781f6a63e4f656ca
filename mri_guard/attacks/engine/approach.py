"""The shortest way over the threshold, the engine of attacks that ask how little is enough."""

import math

import torch
from torch import Tensor

from mri_guard.attacks.engine.search import Objective, Search
from mri_guard.attacks.engine.space import Space

BARELY = 1e-5
"""Margin that is past the threshold for certain."""

MOST = 0.98
"""Of a change that stays on the way back, and half of it at least."""

LOST = 1.5
"""Times the least that goals lacked so far: a step that leads there is taken back."""


def boundary(search: Search) -> Tensor:
    """Margin that each goal should reach, (k,): just past the threshold; or, if the clean image is
    past it with all goals, one scale further than that.
    """
    if bool((search.clean > 0).all()):
        return search.clean + 1
    return torch.full_like(search.clean, BARELY)


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
    again, and every step may be drawn to the
    point of that hyperplane that is nearest to no change (FAB, Croce and Hein 2020,
    arXiv:1907.02044). Beyond either paper, a step doubles after one that
    did not bring half of what it promised, as scores that go through medians and top shares bend
    soon; and goes back to the best and is shortened after one that led astray.

    Args:
        search: looks.
        space: of the parameters; its budget cuts off.
        start: parameters, within the space.
        steps: gradients that are taken; one look more is taken at the end.
        targets: margin of each goal, (k,).
        overshoot: share by which a step is longer, so that it comes to lie past the hyperplane.
        pull: share of the way from there to the point nearest to no change, 0..1.
    """
    parameters, rest = start, space.rest()
    objective = shortfall(targets)
    stretch, expected, best = 1.0, math.inf, (math.inf, start, start)
    for _ in range(steps):
        margins, gradient = search.climb(parameters, space.image, objective)
        short = float((targets - margins).clamp_min(0).sum())
        if short <= 0:
            way = torch.where(search.clean < targets, targets - search.clean, 0)
            share = float((way / (margins - search.clean).clamp_min(1e-20)).max())
            parameters = rest + min(max(share, 0.5), MOST) * (parameters - rest)
            expected, best = math.inf, (math.inf, start, start)
            continue
        if short < best[0]:
            best = (short, parameters, gradient)
        if short > LOST * best[0]:
            stretch /= 8
            short, parameters, gradient = best
        else:
            stretch = 2 * stretch if short > expected else math.sqrt(stretch)
        expected = short * (1 - min(1, stretch) / 2)
        direction = space.steepest(gradient)
        slope = float((gradient * direction).sum())
        if not slope > 0:
            break  # flat: no hyperplane is near
        gone = float((gradient * (parameters - rest)).sum())
        wanted = stretch * (1 + overshoot) * short
        step = wanted / slope * direction
        afresh = max(0.0, wanted + gone) / slope * direction
        parameters = space.project((1 - pull) * (parameters + step) + pull * (rest + afresh))
    search.look(space.image(parameters))
    return parameters
