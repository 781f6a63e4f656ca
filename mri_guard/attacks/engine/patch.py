"""Patches: a few voxels that may take any value that a scanner writes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from mri_guard.attacks.engine.ascent import ascend
from mri_guard.attacks.engine.search import Found, Search
from mri_guard.attacks.engine.victim import Victim

BRIGHTEST = 1.5
"""Normalised intensity: fat and vessels are about as bright."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Voxels that may take any value from 0 to `BRIGHTEST`.

    Parameters are their values, like the image; those elsewhere count for nothing.

    Attributes:
        victim: whose image changes.
        where: bool, like the image.
    """

    victim: Victim
    where: Tensor

    def rest(self) -> Tensor:
        """The image's own values."""
        return self.victim.image.detach()

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Uniform values."""
        drawn = rng.uniform(0, BRIGHTEST, tuple(self.victim.image.shape))
        return torch.as_tensor(drawn).to(self.victim.image)

    def image(self, parameters: Tensor) -> Tensor:
        """The image with the patch."""
        return torch.where(self.where, parameters, self.victim.image)

    def project(self, parameters: Tensor) -> Tensor:
        """Cut off at both ends."""
        return parameters.clamp(0, BRIGHTEST)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Signs, as large as the range."""
        return BRIGHTEST * gradient.sign()


Middles = Callable[[NDArray[np.bool_]], NDArray[np.bool_]]
"""From a slice's mask, (x, y), to the places where a patch may have its middle."""


def best_patch(
    victim: Victim,
    share: float,
    rng: np.random.Generator,
    middles: Middles,
    *,
    places: int,
    steps: int,
) -> Found:
    """The furthest that a patch in each slice came, of a few tried places.

    The first place tried is where the gradient is largest, the others are drawn.

    Args:
        victim: see `Victim`.
        share: of each slice's mask that the patch covers, at most.
        rng: draws places.
        middles: where a patch may have its middle.
        places: tried.
        steps: gradients at each.
    """
    search = Search(victim)
    _, gradient = search.climb(victim.image, lambda image: image)
    slope = victim.wide(gradient).abs().cpu().numpy()[:, 0]
    masks = victim.mask.cpu().numpy()[:, 0]
    candidates = [np.argwhere(middles(mask)) for mask in masks]
    for place in range(places):
        where = np.zeros_like(masks)
        for number, (mask, found) in enumerate(zip(masks, candidates, strict=True)):
            count = int(share * mask.sum() + 1e-9)
            if not count or not len(found):
                continue
            at = rng.integers(len(found)) if place else _steepest(slope[number], found, count)
            where[number] = _nearest(mask, found[at], count)
        space = Patch(victim, torch.as_tensor(where)[:, None].to(victim.mask))
        start = space.project(space.rest())
        if where.any():
            ascend(search, space, start, steps=steps, step_size=0.5, last_step_size=0.1)
    return search.found()


def _steepest(slope: NDArray[np.float32], found: NDArray[np.int64], count: int) -> int:
    """Which of the places has the largest slope in a disc of `count` voxels around it."""
    radius = math.sqrt(count / math.pi)
    reach = np.arange(-int(radius), int(radius) + 1)
    disc = (reach[:, None] ** 2 + reach**2 <= radius**2).astype(np.float32)
    around = ndimage.convolve(slope, disc, mode="constant")
    return int(np.argmax(around[tuple(found.T)]))


def _nearest(mask: NDArray[np.bool_], middle: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """The `count` voxels of a mask that are nearest to a place, bool, (x, y): a disc that keeps
    within the mask.
    """
    inside = np.argwhere(mask)
    far = ((inside - middle) ** 2).sum(1)
    near = inside[np.argsort(far, kind="stable")[:count]]
    where = np.zeros_like(mask)
    where[tuple(near.T)] = True
    return where
