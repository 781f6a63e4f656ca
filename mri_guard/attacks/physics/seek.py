"""Where a climb begins: what the gradient at the clean image promises, and random draws."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mri_guard.attacks.engine import Search, Space, ascend


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
    last_step_size: float = 0.03,
) -> None:
    """Looks at every candidate and climbs from the best.

    So an attack never comes less far than its random draws do. What is seen is in the search.

    Args:
        search: looks.
        candidates: a space and parameters in it.
        starts: so many of the candidates are climbed from.
        steps: see `ascend`, and so the others.
        step_size: see there.
        last_step_size: see there.
    """
    totals = []
    for space, start in candidates:
        search.look(space.image(start))
        totals.append(search.history[-1])  # what was noticed counts for nothing
    for number in sorted(range(len(totals)), key=lambda one: -totals[one])[:starts]:
        space, start = candidates[number]
        ascend(
            search,
            space,
            start,
            steps=steps,
            step_size=step_size,
            last_step_size=last_step_size,
            momentum=0.5,
        )
