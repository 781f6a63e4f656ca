"""A network trained to make the change (Poursaeed et al. 2018, arXiv:1712.02328)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mri_guard.attacks.engine import Access, Found, Linf, Search, Threat, Victim


@dataclass(frozen=True, slots=True)
class GeneratorNetwork:
    """A small convolutional network from an image to its change, trained on the margins.

    Trained on several scans it attacks others without a gradient of theirs. Trained on one it is a
    space of changes that convolutions find natural: smooth, and alike where the image is (Ulyanov
    et al. 2018, arXiv:1711.10925).

    Attributes:
        steps: gradients of each victim.
        rate: of Adam.
        width: channels of its hidden layers.
    """

    name: ClassVar[str] = "generator_network"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.GRADIENT
    steps: int = 40
    rate: float = 0.01
    width: int = 16

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that the network came while it was trained on this one.

        Args:
            victim: see `Victim`.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws its first weights.
        """
        search = Search(victim)
        self._fit([search], epsilon, rng)
        return search.found()

    def fit(self, victims: Sequence[Victim], epsilon: float, rng: np.random.Generator) -> nn.Module:
        """The trained network, for `generated`.

        Args:
            victims: of any shapes, at least one.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws its first weights.
        """
        return self._fit([Search(victim) for victim in victims], epsilon, rng)

    def _fit(
        self, searches: Sequence[Search], epsilon: float, rng: np.random.Generator
    ) -> nn.Module:
        network = _network(self.width, rng).to(searches[0].victim.image)
        adam = torch.optim.Adam(network.parameters(), lr=self.rate)
        for _ in range(self.steps):
            adam.zero_grad()
            for search in searches:
                change = _change(network, search.victim, epsilon)
                ball = Linf(search.victim, epsilon)
                _, gradient = search.climb(change, ball.image)
                down = -gradient / gradient.abs().mean().clamp_min(1e-20)
                torch.autograd.backward(change, down)
            adam.step()
        for search in searches:
            search.look(generated(search.victim, network, epsilon))
        return network.requires_grad_(False)


def generated(victim: Victim, network: nn.Module, epsilon: float) -> Tensor:
    """The victim's image with the change that a network makes of it.

    Args:
        victim: of any shape.
        network: as `GeneratorNetwork.fit` gives it.
        epsilon: largest change of a voxel, normalised intensity.
    """
    with torch.no_grad():
        return victim.image + _change(network, victim, epsilon)


def _change(network: nn.Module, victim: Victim, epsilon: float) -> Tensor:
    """What the network makes of the image and of the place in it, within the bounds.

    All that it sees is about -2..2: normalised intensity is 0..1.
    """
    image = victim.image
    depth, _, width, height = image.shape
    axes = [torch.linspace(-1, 1, size).to(image) for size in (depth, width, height)]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"), 1)
    return victim.wide(epsilon * torch.tanh(network(torch.cat([4 * image - 2, places], 1))))


def _network(width: int, rng: np.random.Generator) -> nn.Module:
    """Image and place, (b, 4, x, y), to (b, 1, x, y)."""
    network = nn.Sequential(
        nn.Conv2d(4, width, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, padding=2, dilation=2),
        nn.SiLU(),
        nn.Conv2d(width, 1, 1),
    )
    for weight in network.parameters():
        spread = (2 / max(1, weight[0].numel())) ** 0.5 if weight.ndim > 1 else 0.1
        weight.data = torch.as_tensor(rng.normal(0, spread, tuple(weight.shape))).float()
    return network
