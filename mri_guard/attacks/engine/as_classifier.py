"""A victim as the classifier of two classes that attack libraries know, to check ours by theirs."""

import torch
from torch import Tensor, nn

from mri_guard.attacks.engine.victim import Victim


class AsClassifier(nn.Module):
    """Logits [threshold - score, score - threshold] / scale of images that come as (b, 1, z*x, y).

    The libraries' box, 0..1, is the image's range with room to spare, so that it cuts off nothing
    that our attacks may do. What they change outside the mask is put back. The scale makes their
    losses saturate, and their gradients vanish, if it is much smaller than the healthy scores'
    standard deviation.

    Args:
        victim: with one score.
        room: by which an image may leave the victim's range, normalised intensity; at least the
            epsilon of the attack.

    Raises:
        ValueError: the victim has several scores: a classifier of two classes has one.
    """

    def __init__(self, victim: Victim, room: float) -> None:
        super().__init__()
        with torch.no_grad():
            goals = victim.scores(victim.image).numel()
        if goals != 1:
            raise ValueError(f"the victim has {goals} scores; wanted one")
        self.victim = victim
        self.low = float(victim.image.min()) - room
        self.span = float(victim.image.max()) + room - self.low

    def forward(self, boxed: Tensor) -> Tensor:
        """Logits, (b, 2), of images in the box, (b, 1, z*x, y)."""
        logits = []
        for one in boxed:
            score = self.victim.scores(self.image(one)).reshape(())
            past = (score - self.victim.threshold) / self.victim.scale
            logits.append(torch.stack([-past, past]))
        return torch.stack(logits)

    @property
    def label(self) -> Tensor:
        """What the clean image is taken for, int64, (1,): 0 below the threshold, 1 above it."""
        return torch.tensor([1 if self.victim.direction == "evade" else 0])

    def boxed(self, image: Tensor) -> Tensor:
        """An image in the box, (1, 1, z*x, y)."""
        return ((image - self.low) / self.span).reshape(1, 1, -1, image.shape[-1])

    def image(self, boxed: Tensor) -> Tensor:
        """The image of one in the box, (z, 1, x, y), as the mask lets it change."""
        found = boxed.reshape(self.victim.image.shape) * self.span + self.low
        return torch.where(self.victim.mask, found, self.victim.image)

    def epsilon(self, epsilon: float) -> float:
        """An epsilon in the box, from one in normalised intensity."""
        return epsilon / self.span
