"""What training pays: an error of restoration, and a rate."""

import torch
from torch import Tensor
from torch.nn import functional


def masked_l1(restored: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute error, a scalar; 0 where all weights are.

    Args:
        restored: (b, s, x, y).
        target: like restored.
        weight: like restored, not negative; 0 outside the brain.
    """
    return ((restored - target).abs() * weight).sum() / weight.sum().clamp_min(1e-6)


def gradient_l1(restored: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute error of the differences of neighbouring pixels, a scalar."""
    error = restored - target
    along_x = masked_l1(
        error[..., 1:, :], error[..., :-1, :], weight[..., 1:, :] * weight[..., :-1, :]
    )
    along_y = masked_l1(error[..., 1:], error[..., :-1], weight[..., 1:] * weight[..., :-1])
    return along_x + along_y


def dissimilarity(restored: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 - SSIM, weighted mean, a scalar in [0, 2]."""
    ssim = structural_similarity(restored, target)
    return masked_l1(ssim, torch.ones_like(ssim), weight)


def structural_similarity(one: Tensor, other: Tensor, window: int = 7) -> Tensor:
    """SSIM around each pixel, over square windows, (b, s, x, y), -1..1 (Wang et al. 2004,
    doi:10.1109/TIP.2003.819861, equation 13, with a data range of 1).
    """

    def local(image: Tensor) -> Tensor:
        return functional.avg_pool2d(image, window, 1, window // 2)

    mean_one, mean_other = local(one), local(other)
    var_one = local(one.square()) - mean_one.square()
    var_other = local(other.square()) - mean_other.square()
    covariance = local(one * other) - mean_one * mean_other
    ssim: Tensor = ((2 * mean_one * mean_other + 1e-4) * (2 * covariance + 9e-4)) / (
        (mean_one.square() + mean_other.square() + 1e-4) * (var_one + var_other + 9e-4)
    )
    return ssim


def paid_rates(level_rates: list[Tensor], pixels: Tensor, free_nats: float) -> Tensor:
    """Rate of each level that is paid for, nats a brain pixel, (levels,), finest first.

    Args:
        level_rates: of each level with a latent, finest first, (b, latents, ..., x', y'), nats.
        pixels: brain pixels of the batch, a scalar.
        free_nats: of each channel of the coarsest level, a place; below it nothing is saved, so
            that the top of the hierarchy stays awake (Kingma et al. 2016, arXiv:1606.04934).
    """
    *finer, coarsest = level_rates
    places = coarsest.numel() / coarsest.shape[1]
    awake = coarsest.mean((0, *range(2, coarsest.dim()))).clamp_min(free_nats).sum() * places
    return torch.stack([*(level.sum() for level in finer), awake]) / pixels.clamp_min(1)
