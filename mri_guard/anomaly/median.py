"""The median, with a gradient that says what moves it."""

from typing import Any

import torch
from torch import Tensor

NEAR = 0.05
"""Share of all values on either side of the median that its gradient is shared among."""


class _Median(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.median()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        middle, reach = (len(values) + 1) // 2, int(NEAR * len(values))
        low = values.kthvalue(max(1, middle - reach)).values
        high = values.kthvalue(min(len(values), middle + reach)).values
        near = (values >= low) & (values <= high)
        shared: Tensor = gradients[0] * near / near.sum()
        return shared


def median(values: Tensor) -> Tensor:
    """The lower median, a scalar, exactly.

    Its derivative is 1 at one value and 0 at all others, and promises what no step gains: pushed,
    that value is the median no more. What moves the median is that all values about it move; they
    share the gradient. Without it, whoever climbs a score in units of the image's own median or
    spread is led astray, and the score looks harder to move than it is.

    Args:
        values: (n,), at least one.
    """
    moved: Tensor = _Median.apply(values)  # type: ignore[no-untyped-call]
    return moved
