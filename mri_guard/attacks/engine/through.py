"""Ways through what is random or has no gradient, by wrapping a victim's scores.

Both are composition: `Victim(scores=averaged(...))`, or scores that call `straight_through(f)`.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def averaged(scores: Callable[[Tensor], Tensor], draws: int) -> Callable[[Tensor], Tensor]:
    """The mean of so many evaluations of random scores, and so of their gradients (EOT, Athalye et
    al. 2018, arXiv:1707.07397).
    """

    def mean(image: Tensor) -> Tensor:
        return torch.stack([scores(image) for _ in range(draws)]).mean(0)

    return mean


def straight_through(
    transform: Callable[[Tensor], Tensor], like: Callable[[Tensor], Tensor] = lambda x: x
) -> Callable[[Tensor], Tensor]:
    """The transformation, with the gradient of another that is like it (BPDA, Athalye et al. 2018,
    arXiv:1802.00420, section 4.1).

    Args:
        transform: without a useful gradient, e.g. rounding.
        like: differentiable, near it; the identity if nothing is said.
    """

    def passed(image: Tensor) -> Tensor:
        smooth = like(image)
        return smooth + (transform(image.detach()) - smooth).detach()

    return passed
