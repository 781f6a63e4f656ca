"""What training pays: an error of restoration, and a rate."""

import torch
from torch import Tensor
from torch.nn import functional


def masked_l1(restored: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute error, a scalar; 0 where all weights are.

    Args:
        restored: (b, 1, x, y).
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


def dissimilarity(restored: Tensor, target: Tensor, weight: Tensor, window: int = 7) -> Tensor:
    """1 - SSIM over square windows, weighted mean, a scalar in [0, 2] (Wang et al. 2004,
    doi:10.1109/TIP.2003.819861, equation 13, with a data range of 1).
    """

    def local(image: Tensor) -> Tensor:
        return functional.avg_pool2d(image, window, 1, window // 2)

    mean_r, mean_t = local(restored), local(target)
    var_r = local(restored.square()) - mean_r.square()
    var_t = local(target.square()) - mean_t.square()
    covariance = local(restored * target) - mean_r * mean_t
    ssim = ((2 * mean_r * mean_t + 1e-4) * (2 * covariance + 9e-4)) / (
        (mean_r.square() + mean_t.square() + 1e-4) * (var_r + var_t + 9e-4)
    )
    return masked_l1(ssim, torch.ones_like(ssim), weight)


def rate(level_rates: list[Tensor], pixels: Tensor, free_nats: float) -> Tensor:
    """Rate that is paid for, nats a brain pixel, a scalar: the sum over levels.

    Args:
        level_rates: of each level with a latent, finest first, (b, latents, x', y'), nats.
        pixels: brain pixels of the batch, a scalar.
        free_nats: of each channel of the coarsest level, a place; below it nothing is saved, so
            that the top of the hierarchy stays awake (Kingma et al. 2016, arXiv:1606.04934).
    """
    *finer, coarsest = level_rates
    paid = coarsest.mean((0, 2, 3)).clamp_min(free_nats).sum()
    places = coarsest.numel() / coarsest.shape[1]
    total = paid * places + sum((level.sum() for level in finer), torch.zeros_like(paid))
    return total / pixels.clamp_min(1)
