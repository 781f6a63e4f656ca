"""Gradients from scores alone, by differences along random directions."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor

from mri_guard.attacks.engine.victim import Victim


def slope(
    values: Callable[[Tensor], Tensor], at: Tensor, directions: Iterable[Tensor], reach: float
) -> Tensor:
    """Mean of central differences times their direction, like `at`: the gradient in expectation
    where the directions have unit covariance (Ilyas et al. 2018, arXiv:1804.08598, algorithm 1;
    for random signs Spall 1992, DOI 10.1109/9.119632).

    Args:
        values: of a place, a scalar or what spreads over it; asked twice a direction.
        at: the place.
        directions: like `at`, at least one.
        reach: how far along each, both ways; positive.
    """
    terms = [
        (values(at + reach * direction) - values(at - reach * direction)) / (2 * reach) * direction
        for direction in directions
    ]
    return torch.stack(terms).mean(0)


def tiled(victim: Victim, tile: int, draw: Callable[[tuple[int, ...]], object]) -> Tensor:
    """A drawing that is the same within squares of each slice, like the image, 0 outside the mask.

    A gradient of smooth scores is much alike in neighbours, and of fewer numbers the same looks
    tell more (Ilyas et al. 2019, arXiv:1807.07978, data-dependent prior).

    Args:
        victim: names the shape.
        tile: pixels along a square's side.
        draw: from a shape to an array of it.
    """
    slices, channels, rows, columns = victim.image.shape
    drawn = torch.as_tensor(draw((slices, channels, -(-rows // tile), -(-columns // tile))))
    wide = drawn.repeat_interleave(tile, 2).repeat_interleave(tile, 3)[..., :rows, :columns]
    return victim.wide(wide.to(victim.image))


def bounded(victim: Victim, epsilon: float) -> Victim:
    """The same victim, before whom an image outside the Linf ball counts for nothing.

    Who asks for scores may ask for those of any image; only what lies in the ball is a find.

    Args:
        victim: whose image is the centre.
        epsilon: of the ball, normalised intensity.
    """

    def hidden(image: Tensor) -> Tensor:
        # Adding the change to an image and taking it off again rounds.
        room = epsilon * (1 + 1e-5) + 1e-6 - (image - victim.image).abs().max()
        seen = () if victim.hidden is None else (victim.hidden(image),)
        return torch.cat([*seen, room[None]])

    return replace(victim, hidden=hidden)
