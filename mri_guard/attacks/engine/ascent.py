"""Projected steps uphill, the engine of every white-box attack."""

from collections.abc import Callable

import torch
from torch import Tensor

from mri_guard.attacks.engine.search import Objective, Search
from mri_guard.attacks.engine.space import Space


def ascend(
    search: Search,
    space: Space,
    start: Tensor,
    *,
    steps: int,
    step_size: float,
    last_step_size: float | None = None,
    momentum: float = 0.0,
    objective: Objective = torch.sum,
    aim: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Parameters after the last step; what was seen on the way is in the search.

    Args:
        search: looks.
        space: of the parameters.
        start: parameters, within the space; see `quiet`.
        steps: gradients that are taken; one look more is taken at the end.
        step_size: of the first step, as a share of the budget.
        last_step_size: of the last; between them it falls linearly. None: all alike.
        momentum: share of the gradients so far, each divided by its mean magnitude, that is added
            to each (Dong et al. 2018, arXiv:1710.06081, equation 6).
        objective: that is climbed.
        aim: climbed in its place, see `Search.climb`.
    """
    last = step_size if last_step_size is None else last_step_size
    parameters, gathered = start, torch.zeros_like(start)
    for step in range(steps):
        _, gradient = search.climb(parameters, space.image, objective, aim)
        if step == 0:
            parameters = quiet(space, start, gradient)
        gathered = momentum * gathered + gradient / gradient.abs().mean().clamp_min(1e-20)
        size = step_size + (last - step_size) * step / max(1, steps - 1)
        parameters = space.project(parameters + size * space.steepest(gathered))
    search.look(space.image(parameters))
    return parameters


def quiet(space: Space, start: Tensor, gradient: Tensor) -> Tensor:
    """The start, at rest where it has no gradient: noise that no score feels is only seen, and of
    an L2 budget it would take its share.

    Args:
        space: of the parameters.
        start: parameters, within the space.
        gradient: at the start, like it.
    """
    return torch.where(gradient == 0, space.rest(), start)
