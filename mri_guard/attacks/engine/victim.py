"""What is attacked: an image, where it may change, and the scores that somebody wants moved."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Direction = Literal["evade", "alarm"]
"""evade: a lesion missed, scores go down. alarm: the queue flooded, scores go up."""


@dataclass(frozen=True, slots=True, eq=False)
class Victim:
    """One image under attack, and its goals: a score each, to be pushed past its threshold.

    The scores of several slices are several goals of one image: what is best against each of them
    is kept apart. What is random or has no gradient is wrapped before it comes here (`through.py`).

    Attributes:
        image: float32, (z, 1, x, y), normalised intensity.
        mask: bool, like image; only here may it change.
        scores: from an image to its scores, float32, (k,), all finite; differentiable, for attacks
            that ask for the gradient.
        direction: which way they are pushed.
        threshold: a score beyond it, in that direction, is a success.
        scale: of the scores, positive: the standard deviation of healthy ones. Too small a scale
            makes losses saturate and masks the gradient.
        hidden: from an image to how far each detector is from noticing, (m,), positive while it
            does not; what is noticed counts for nothing. None where nobody looks.
        no_signal: what an image shows where there is no signal, normalised intensity, 0 or less;
            what scanners do, they do to the signal.
        others: scores of other models that the attacker owns, like `scores` and differentiable.
        latents: from an image to its posterior, (2, n): means and log variances of all latents of
            all levels; differentiable. None where the model has none, or does not show them.
    """

    image: Tensor
    mask: Tensor
    scores: Callable[[Tensor], Tensor]
    direction: Direction
    threshold: float
    scale: float = 1.0
    hidden: Callable[[Tensor], Tensor] | None = None
    no_signal: float = 0.0
    others: tuple[Callable[[Tensor], Tensor], ...] = ()
    latents: Callable[[Tensor], Tensor] | None = None

    @property
    def signal(self) -> Tensor:
        """What a scanner received, like image, 0 or more; 0 outside the mask."""
        return self.wide(self.image - self.no_signal).clamp_min(0)

    def margins(self, image: Tensor) -> Tensor:
        """How far each score is past the threshold, (k,), in units of `scale`; above 0: success."""
        sign = -1.0 if self.direction == "evade" else 1.0
        return sign * (self.scores(image) - self.threshold) / self.scale

    def scores_of(self, margins: Tensor) -> Tensor:
        """The scores that have these margins, (k,)."""
        sign = -1.0 if self.direction == "evade" else 1.0
        return self.threshold + sign * self.scale * margins

    def wide(self, values: Tensor) -> Tensor:
        """Values where the image may change, 0 elsewhere, like values."""
        return torch.where(self.mask, values, torch.zeros_like(values))
