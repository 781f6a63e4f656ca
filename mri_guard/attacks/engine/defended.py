"""Ways through a defence that transforms the input: three gradients of one value.

Whoever attacks through the transformation alone measures its gradient, not the defence: through
rounding it is nought, and an attack that ignores the rounding succeeds all the same (Athalye et al.
2018, arXiv:1802.00420). So every way is tried, each look is at the defended score, and the best of
all counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mri_guard.attacks.engine.kinds import Attack
from mri_guard.attacks.engine.search import Found
from mri_guard.attacks.engine.through import straight_through
from mri_guard.attacks.engine.victim import Victim


class Way(StrEnum):
    """Where the gradient comes from; the score is the defended one in all of them."""

    NAIVE = "naive"
    """Through the transformation as it stands, which lets none pass: nought."""
    STRAIGHT_THROUGH = "straight-through"
    """At the transformed image; on the way back the transformation is the identity (BPDA)."""
    IGNORING = "ignoring"
    """At the image itself, as if there were no defence."""


def defended(victim: Victim, transform: Callable[[Tensor], Tensor], way: Way) -> Victim:
    """The victim behind a defence, attacked one way.

    Args:
        victim: without it.
        transform: from an image to one like it; no gradient is asked of it. `on_stack` makes one
            of a transformation of volumes.
        way: see `Way`.
    """
    scores = victim.scores

    def naive(image: Tensor) -> Tensor:
        return scores(straight_through(transform, lambda x: 0 * x)(image))

    def through(image: Tensor) -> Tensor:
        return scores(straight_through(transform)(image))

    def ignoring(image: Tensor) -> Tensor:
        plain = scores(image)
        return plain + (scores(transform(image.detach())) - plain).detach()

    ways = {Way.NAIVE: naive, Way.STRAIGHT_THROUGH: through, Way.IGNORING: ignoring}
    return replace(victim, scores=ways[way])


def attack_defended(
    attack: Attack,
    victim: Victim,
    transform: Callable[[Tensor], Tensor],
    epsilon: float,
    rng: np.random.Generator,
) -> dict[Way, Found]:
    """What an attack found each way; `strongest` of them is what the defence is worth.

    Args:
        attack: to run, once each way.
        victim: without the defence.
        transform: see `defended`.
        epsilon: see the attack.
        rng: of the attack.
    """
    return {way: attack(defended(victim, transform, way), epsilon, rng) for way in Way}


def strongest(found: Sequence[Found]) -> Found:
    """Several searches of one victim as one: of each goal the largest margin that any came to.

    Args:
        found: one or more, in the order that they ran in.
    """
    best = max(found, key=lambda one: max(one.history))
    first, queries = torch.zeros_like(found[0].first), 0
    for one in found:
        first = torch.where((first == 0) & (one.first > 0), one.first + queries, first)
        queries += one.queries
    return Found(
        image=best.image,
        margins=torch.stack([one.margins for one in found]).amax(0),
        history=tuple(value for one in found for value in one.history),
        queries=queries,
        first=first,
        least=torch.stack([one.least for one in found]).amin(0),
    )


def on_stack(
    transform: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> Callable[[Tensor], Tensor]:
    """A transformation of volumes, float32, (x, y, z), as one of images, (z, 1, x, y)."""

    def transformed(image: Tensor) -> Tensor:
        volume = np.moveaxis(image[:, 0].detach().cpu().numpy(), 0, 2)
        back = np.moveaxis(transform(volume), 2, 0)[:, None]
        return torch.from_numpy(np.ascontiguousarray(back)).to(image)

    return transformed
