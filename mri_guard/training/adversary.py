"""Adversarial augmentation: windows changed on purpose, just before the model learns from them.

One gradient serves two opponents at once: a change of every pixel within a small ball (fast
adversarial training, Wong et al. 2020, arXiv:2001.03994: a random start and one signed step that is
longer than the ball's radius) and a smooth bias field of few parameters (the first link of
AdvChain, Chen et al. 2022, arXiv:2108.03429). The change of pixels is to be undone, the field to be
kept: nothing that a scanner does is to be found unusual.

Besides, the encoder can be asked not to mind: a price for each nat by which a change of pixels
moves the posterior. That is the smooth encoder (Cemgil et al. 2020, "Adversarially Robust
Representations with Smooth Encoders", ICLR) with a KL divergence for its optimal transport.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from mri_guard.anomaly import Vae
from mri_guard.anomaly.residual import dark_at, smooth
from mri_guard.anomaly.scorer import top_mean
from mri_guard.records import Record
from mri_guard.training.batches import Batch

STEP = 1.25
"""Length of the signed step, in radii of the ball."""

SMOOTHING_PX, TOP_SHARE, DARK = 1.5, 0.05, 0.5
"""How a window is scored: as a slice is when the model is deployed, by the residual alone."""

PARTS = ("window", "position", "target", "brain", "lesion")
"""Of a batch, with a row for each window."""

POWERS = tuple((i, j) for i in range(4) for j in range(4) if 1 <= i + j <= 3)
"""Of x and y in the logarithm of a bias field."""


Posterior = tuple[Tensor, Tensor]
"""Mean and log variance, as `Vae` gives them."""


class Goal(StrEnum):
    """What an adversary wants."""

    SCORE = "score"
    """The score of windows with a lesion down, of others up."""
    POSTERIOR = "posterior"
    """The latents' distribution away from the clean window's."""


class Adversary(Record):
    """What windows are attacked with.

    Attributes:
        goal: what for.
        epsilon: largest change of a pixel, in units of `View`, in which 8/255 of normalised
            intensity are 0.03 to 0.08.
        bias: largest logarithm of the bias field.
        share: share of each batch's windows that are attacked; time is paid for these alone.
        ramp: share of all steps over which epsilon and bias rise from 0.
        smooth: price of a nat a brain pixel by which attacked pixels move the posterior, in units
            of mean absolute error; 0 leaves the encoder as it likes, and saves a look.
    """

    goal: Goal = Goal.SCORE
    epsilon: float = Field(default=0.05, ge=0)
    bias: float = Field(default=0.1, ge=0)
    share: float = Field(default=1.0, gt=0, le=1)
    ramp: float = Field(default=0.25, ge=0, le=1)
    smooth: float = Field(default=0.0, ge=0)


def attacked(
    batch: Batch, model: Vae, adversary: Adversary, done: float, rng: np.random.Generator
) -> Batch:
    """The batch with the first of its windows attacked; they lie in no order. Where the encoder is
    to be smooth, its `calm` are the windows with the same smooth field and no change of pixels.

    Args:
        batch: on the model's device.
        model: that learns; left in evaluation mode, in which it restores by the latents' means, as
            it does when deployed. Its own gradients stay as they are.
        adversary: what with.
        done: share of all steps that lie behind.
        rng: draws the starts.
    """
    count = math.ceil(adversary.share * len(batch.window))
    strength = min(1.0, done / adversary.ramp) if adversary.ramp else 1.0
    epsilon, bias = adversary.epsilon * strength, adversary.bias * strength
    first = replace(batch, **{part: getattr(batch, part)[:count] for part in PARTS})
    inside = first.window != 0
    powers = _powers(first.window)

    def change(pixels: Tensor, terms: Tensor) -> tuple[Tensor, Tensor]:
        field = torch.exp(bias * torch.einsum("bt,txy->bxy", terms, powers))[:, None]
        return torch.where(inside, first.window * field + pixels, 0), first.target * field

    pixels = _uniform(first.window.shape, rng, first.window) * epsilon
    terms = _normalised(_uniform((count, len(powers)), rng, first.window), powers)
    pixels, terms = pixels.requires_grad_(), terms.requires_grad_()
    model.eval()
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        objective = _harm(model, first, change(pixels, terms)[0], adversary)
        by_pixels, by_terms = torch.autograd.grad(objective, (pixels, terms))
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
    with torch.no_grad():
        pixels = (pixels + STEP * epsilon * by_pixels.sign()).clamp(-epsilon, epsilon)
        step = by_terms / by_terms.norm(dim=1, keepdim=True).clamp_min(1e-12)
        terms = _normalised(terms / 2 + step, powers)
        window, target = change(pixels, terms)
        calm = change(torch.zeros_like(pixels), terms)[0] if adversary.smooth else None
    return replace(
        batch,
        window=torch.cat([window, batch.window[count:]]),
        target=torch.cat([target, batch.target[count:]]),
        calm=None if calm is None else torch.cat([calm, batch.window[count:]]),
    )


def moved(posteriors: Sequence[Posterior], calm: Sequence[Posterior]) -> Tensor:
    """KL(attacked || calm) over all levels, nats, a scalar: how far the encoder was led.

    Args:
        posteriors: mean and log variance of each level, of attacked windows.
        calm: the same of windows whose pixels nobody changed; no gradient is wanted of it.
    """
    divergences = [
        0.5
        * (
            ((mean - calm_mean).square() + log_variance.exp()) / calm_log_variance.exp()
            - 1
            + calm_log_variance
            - log_variance
        ).sum()
        for (mean, log_variance), (calm_mean, calm_log_variance) in zip(
            posteriors, calm, strict=True
        )
    ]
    return torch.stack(divergences).sum()


def _harm(model: Vae, batch: Batch, window: Tensor, adversary: Adversary) -> Tensor:
    """What the adversary wants to grow, a scalar."""
    restored, posteriors = model(window, batch.position)
    if adversary.goal is Goal.POSTERIOR:
        with torch.no_grad():
            clean = model.posteriors(batch.window, batch.position)
        moved = [
            ((mean - before).square() / log_variance.exp()).mean()
            for (mean, _), (before, log_variance) in zip(posteriors, clean, strict=True)
        ]
        return torch.stack(moved).sum()
    inside = batch.brain.flatten(0, 1) > 0
    residual = (replace(batch, window=window).seen - restored).flatten(0, 1)
    found = dark_at(smooth(residual, inside, SMOOTHING_PX, 0), DARK).abs()
    lesioned = batch.lesion.flatten(0, 1).amax((1, 2)) >= 0.5
    scores = [
        top_mean(values[mask], TOP_SHARE) * (-1 if ill else 1)
        for values, mask, ill in zip(found, inside, lesioned, strict=True)
        if mask.any()
    ]
    return torch.stack(scores).sum()


def _powers(like: Tensor) -> Tensor:
    """Each of `POWERS` over a window, (terms, x, y), without its mean."""
    x, y = (torch.linspace(-1, 1, n, device=like.device) for n in like.shape[-2:])
    grid = torch.stack([x[:, None] ** i * y[None] ** j for i, j in POWERS])
    return grid - grid.mean((1, 2), keepdim=True)


def _normalised(terms: Tensor, powers: Tensor) -> Tensor:
    """Terms whose polynomial is at most 1 anywhere in the window, (b, terms)."""
    largest = torch.einsum("bt,txy->bxy", terms, powers).abs().amax((1, 2))
    bounded: Tensor = terms / largest[:, None].clamp_min(1e-6)
    return bounded


def _uniform(shape: tuple[int, ...], rng: np.random.Generator, like: Tensor) -> Tensor:
    """Between -1 and 1."""
    return torch.as_tensor(rng.uniform(-1, 1, tuple(shape)), dtype=like.dtype, device=like.device)
