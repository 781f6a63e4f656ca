"""An image seen elsewhere: sampled at displaced places."""

import torch
from torch import Tensor
from torch.nn import functional


def warp(image: Tensor, displacement_px: Tensor) -> Tensor:
    """The image with at each pixel what lies at its displaced place; differentiable in both.

    Bilinear; nothing lies beyond the image.

    Args:
        image: float32, (z, 1, x, y).
        displacement_px: (z, 2, x, y), or with 1 for z, along x and y.
    """
    height, width = image.shape[-2:]
    x = torch.arange(height).to(image)[:, None] + displacement_px[:, 0]
    y = torch.arange(width).to(image) + displacement_px[:, 1]
    grid = torch.stack([2 * y / (width - 1) - 1, 2 * x / (height - 1) - 1], dim=-1)
    return functional.grid_sample(
        image, grid.expand(len(image), -1, -1, -1), padding_mode="zeros", align_corners=True
    )


def turn(image: Tensor, angle_rad: Tensor) -> Tensor:
    """The image turned about its middle from x towards y; differentiable in both.

    Args:
        image: float32, (z, 1, x, y).
        angle_rad: a scalar.
    """
    height, width = image.shape[-2:]
    x = torch.arange(height).to(image)[:, None] - (height - 1) / 2
    y = torch.arange(width).to(image) - (width - 1) / 2
    cosine, sine = angle_rad.cos(), angle_rad.sin()
    displacement = torch.stack([(cosine - 1) * x + sine * y, (cosine - 1) * y - sine * x])
    return warp(image, displacement[None])
