"""Where a climb begins: what the gradient at the clean image promises, and random draws."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mri_guard.attacks.engine import Found, Search, Space, Victim, ascend


def promise(space: Space, image_gradient: Tensor) -> tuple[float, Tensor]:
    """What the whole budget would gain if all were as linear as it is at rest, and the parameters
    that would gain it.

    It asks the victim nothing, so that many settings of what has no gradient can be compared.

    Args:
        space: a setting.
        image_gradient: of the objective at the clean image, like it.
    """
    rest = space.rest().requires_grad_()
    (gradient,) = torch.autograd.grad(space.image(rest), rest, image_gradient)
    best = space.steepest(gradient)
    return float((gradient * best).sum()), best


def image_gradient(search: Search) -> Tensor:
    """Of the sum of margins at the clean image, like it; one look."""
    return search.climb(search.victim.image, lambda image: image)[1]


def seek(
    search: Search,
    candidates: Sequence[tuple[Space, Tensor]],
    *,
    starts: int,
    steps: int,
    step_size: float = 0.3,
) -> None:
    """Looks at every candidate and goes uphill from the best, in turn with momentum (`ascend`),
    which gets over kinks of the score, and step by step (`climb`), which never overshoots.

    So an attack never comes less far than its random draws do. What is seen is in the search.

    Args:
        search: looks.
        candidates: a space and parameters in it.
        starts: so many of the candidates are climbed from.
        steps: see `climb`.
        step_size: see there.
    """
    totals = []
    for space, start in candidates:
        search.look(space.image(start))
        totals.append(search.history[-1])  # what was noticed counts for nothing
    best = sorted(range(len(totals)), key=lambda one: -totals[one])[:starts]
    for turn, number in enumerate(best):
        space, start = candidates[number]
        if turn % 2:
            climb(search, space, start, steps=steps, step_size=step_size)
        else:
            ascend(
                search,
                space,
                start,
                steps=steps,
                step_size=step_size,
                last_step_size=step_size / 10,
                momentum=0.5,
            )


def worst_in(
    victim: Victim, space: Space, rng: np.random.Generator, *, draws: int, starts: int, steps: int
) -> Found:
    """The furthest that any parameters of one space came, from what the clean gradient promises
    most and from random draws.

    Args:
        victim: that is attacked.
        space: of the parameters.
        rng: makes the draws.
        draws: random parameters that are tried first.
        starts: see `seek`.
        steps: see `climb`.
    """
    search = Search(victim)
    first = promise(space, image_gradient(search))[1]
    drawn = [space.draw(rng) for _ in range(draws)]
    candidates = [(space, one) for one in (first, *drawn)]
    seek(search, candidates, starts=starts, steps=steps)
    return search.found()


def climb(
    search: Search, space: Space, start: Tensor, *, steps: int, step_size: float = 0.3
) -> Tensor:
    """The best parameters on the way up; every step is taken from the best so far.

    Few parameters move the whole image, and a step too long overshoots: one that gains nothing is
    taken back and halved, one that gains is followed by a longer one.

    Args:
        search: looks.
        space: of the parameters.
        start: parameters, within the space.
        steps: gradients that are taken; one look more is taken at the end.
        step_size: of the first step, as a share of the budget.
    """
    best, size = start, step_size
    _, uphill = search.climb(start, space.image)
    highest = search.history[-1]
    for step in range(1, steps + 1):
        tried = space.project(best + size * space.steepest(uphill))
        if step == steps:
            search.look(space.image(tried))
            gradient = uphill
        else:
            _, gradient = search.climb(tried, space.image)
        if search.history[-1] > highest:
            best, uphill, highest = tried, gradient, search.history[-1]
            size = min(1.0, 1.3 * size)
        else:
            size /= 2
    return best
