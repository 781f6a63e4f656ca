"""The smooth field over a brain: what a coil, or an attacker, multiplies its tissue with.

The restoration keeps such a field, so that its residual does not show it; against an atlas it is a
lesion as large as the brain. It is found as a polynomial of the place in the logarithm of what is
seen over what is usual (Van Leemput et al. 1999, doi:10.1109/42.811268), by iteratively reweighted
least squares (Holland and Welsch 1977, doi:10.1080/03610927708827533). A lesion must not be taken
for the field, and then out of the image: where the restoration differs from what is seen, little
counts.
"""

import torch
from torch import Tensor

ROUNDS = 4
"""Of reweighting."""

WIDTH = 1.0
"""Healthy spreads from the field at which a voxel counts half: Cauchy's weights."""

SUSPECT = 0.5
"""Healthy spreads of the smoothed residual at which it counts half again."""

RIDGE = 1e-3
"""Price of a coefficient's square, in squared logarithms: nothing where much is known."""

EVERY = 7
"""Every so many-th voxel is looked at: a field has few numbers, a brain a million."""

SMALLEST, LARGEST = 0.2, 3.0
"""Intensities outside are cut off before the logarithm is taken; 0.7 is the brain's median."""


def bias_field(  # noqa: PLR0917 - all that a field depends on
    seen: Tensor,
    inside: Tensor,
    positions: Tensor,
    usual: tuple[Tensor, Tensor],
    suspicion: Tensor,
    order: int,
) -> Tensor:
    """What healthy tissue is multiplied with, (z, x, y), positive; differentiable.

    Args:
        seen: (z, x, y), as `View` gives it.
        inside: bool, like seen, with at least one voxel.
        positions: (z, 3, x, y), as `Frame.positions` gives them.
        usual: mean and spread of healthy brains there, each like seen.
        suspicion: smoothed residual of the restoration, healthy spreads, like seen.
        order: of the polynomial in all three directions together; 0 is a gain.
    """
    mean, spread = (part[inside][::EVERY] for part in usual)
    mean = mean.clamp_min(SMALLEST)
    ratio = seen[inside][::EVERY].clamp(SMALLEST, LARGEST).log() - mean.log()
    spread = spread / mean
    trust = 1 / (1 + (suspicion[inside][::EVERY] / SUSPECT) ** 2) / spread**2

    axes = positions[0, 0, :, 0], positions[0, 1, 0], positions[:, 2, 0, 0]  # x, y, z
    powers = [torch.vander(axis, order + 1, increasing=True) for axis in axes]
    exponents = [
        (i, j, k)
        for i in range(order + 1)
        for j in range(order + 1 - i)
        for k in range(order + 1 - i - j)
    ]
    z, x, y = inside.nonzero()[::EVERY].unbind(1)
    at = [power[index] for power, index in zip(powers, (x, y, z), strict=True)]
    terms = torch.stack([at[0][:, i] * at[1][:, j] * at[2][:, k] for i, j, k in exponents], 1)

    ridge = RIDGE * torch.eye(len(exponents), device=seen.device, dtype=seen.dtype)
    weight = trust / (1 + (ratio / spread).abs())
    for _ in range(ROUNDS):
        weighted = terms * (weight / weight.sum())[:, None]
        found = torch.linalg.solve(terms.T @ weighted + ridge, weighted.T @ ratio)
        weight = trust / (1 + ((ratio - terms @ found) / spread / WIDTH) ** 2)

    coefficients = seen.new_zeros((order + 1,) * 3)
    coefficients[tuple(torch.tensor(exponents, device=seen.device).T)] = found
    return torch.einsum("xi,yj,zk,ijk->zxy", *powers, coefficients).exp()
