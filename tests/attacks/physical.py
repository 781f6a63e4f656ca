"""What a physical attack can have done to an image at most, told from the image alone."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Limit = Callable[[Tensor, Tensor, Tensor, float], float]
"""From clean image, mask, changed image and epsilon to the share of the bound that is spent. Images
are signals, 0 and more.
"""


def field(clean: Tensor, mask: Tensor, changed: Tensor, epsilon: float) -> float:
    """Of the field at its strongest voxel."""
    ratio = changed[mask] / clean[mask]
    return float((torch.maximum(ratio, 1 / ratio) - 1).max()) / epsilon


def stripes(clean: Tensor, mask: Tensor, changed: Tensor, epsilon: float) -> float:
    """Of the stripes' height in any slice."""
    highest = 0.5 * epsilon * (clean * mask).mean((2, 3), keepdim=True)
    return float(((changed - clean).abs() / highest)[mask].max())


def channel_noise(clean: Tensor, mask: Tensor, changed: Tensor, epsilon: float) -> float:
    """Of the noise's root mean square over both channels, or at any voxel."""
    change, sigma = (changed - clean)[mask], 0.15 * epsilon
    rms, largest = change.square().mean().sqrt(), change.abs().max()
    return float(torch.maximum(rms / (2**0.5 * sigma), largest / (3 * 2**0.5 * sigma)))


def energy(factor: Callable[[float], float]) -> Limit:
    """Of a slice's energy (Parseval): no more than so many times as much may come out."""

    def limit(clean: Tensor, mask: Tensor, changed: Tensor, epsilon: float) -> float:
        before, after = ((one * mask).square().sum((2, 3)) for one in (clean, changed))
        return float((after / (factor(epsilon) * before)).max())

    return limit


def displacement(clean: Tensor, mask: Tensor, changed: Tensor, epsilon: float) -> float:
    """Of how far values have come: 1 where all of them, and 2 where not all, lie between the
    smallest and the largest signal that is near enough.
    """
    reach = int(4.0 * epsilon / 2.0) + 1  # whole pixels, and one for the interpolation
    signal = clean * mask
    largest = functional.max_pool2d(signal, 2 * reach + 1, 1, reach)
    smallest = -functional.max_pool2d(-signal, 2 * reach + 1, 1, reach)
    near = (changed >= smallest - 1e-5) & (changed <= largest + 1e-5)
    return 1.0 if bool(near[mask].all()) else 2.0


def chain(clean: Tensor, mask: Tensor, changed: Tensor, epsilon: float) -> float:
    """Of the largest signal anywhere, with the strongest field and noise on it."""
    highest = clean[mask].max() * (1 + epsilon) + 3 * 2**0.5 * 0.15 * epsilon
    return float(changed[mask].max() / highest)


LIMITS: dict[str, Limit] = {
    "bias_field": field,
    "composed": chain,
    "deformation": displacement,
    "ghosting": energy(lambda epsilon: (1 + 0.5 * epsilon) ** 2),
    "gibbs": energy(lambda epsilon: 1.0),
    "motion": energy(lambda epsilon: 4.0),  # a line is of rest or of one of three other poses
    "rician_noise": channel_noise,
    "spike": stripes,
}
"""Of each physical attack."""
