"""Lines of k-space that were not acquired."""

from typing import Literal

import torch
from torch import Tensor


def cut(image: Tensor, kept: float, axis: Literal[0, 1]) -> Tensor:
    """The image without its outer lines, magnitude, like image: `artifacts.Gibbs` in torch.

    Args:
        image: float32, (z, 1, x, y).
        kept: share of the lines that were acquired.
        axis: of phase encoding, x or y.
    """
    side = 2 + axis
    inner = torch.fft.fftfreq(image.shape[side], device=image.device).abs() <= kept / 2
    lines = inner[:, None] if axis == 0 else inner
    ringing: Tensor = torch.fft.ifft(torch.fft.fft(image, dim=side) * lines, dim=side).abs()
    return ringing
