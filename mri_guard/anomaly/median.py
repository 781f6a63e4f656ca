"""The median, with a gradient that attacks can use."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

SHARE = 0.05
"""Of the values, those nearest to the median, which share its gradient."""


class _Median(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor) -> Tensor:
        middle = values.median()
        ctx.save_for_backward(values, middle)
        return middle

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        values, middle = ctx.saved_tensors  # type: ignore[attr-defined]  # set in forward
        count = max(1, round(SHARE * values.numel()))
        nearest = torch.topk((values - middle).abs(), count, largest=False, sorted=False).indices
        shared = torch.zeros_like(values)
        shared[nearest] = gradients[0] / count
        return shared


def median(values: Tensor) -> Tensor:
    """The lower median, a scalar, as `Tensor.median` gives it.

    Its own gradient belongs to one value alone, as if nobody could move the median but by that one;
    an attacker moves the many around it. Here the gradient is shared by all that lie near: a kernel
    estimate of the quantile's derivative, with a box of `SHARE` of the values.

    Args:
        values: float, (n,), at least one.
    """
    result: Tensor = _Median.apply(values)  # type: ignore[no-untyped-call]
    return result
