"""Toy brains, small and quick: an ellipsoid with ventricles and texture, no skull."""

import numpy as np
import torch
from numpy.typing import NDArray

from mri_guard.anomaly import Fusion, FusionConfig, HealthyStatistics, ModelConfig, VaeConfig
from mri_guard.anomaly.evidence import KINDS
from mri_guard.anomaly.residual import GRID
from mri_guard.records import Preprocessed
from mri_guard.sanitize.learnt_heads import CONTRAST, LearntHeads
from mri_guard.sanitize.learnt_heads import GRID as HEAD_GRID
from mri_guard.sanitize.limits import Limits, Normal
from mri_guard.sanitize.measures import measures

SIDE = 48

TINY = VaeConfig(
    model=ModelConfig(channels=(8, 16), latents=(2, 4), groups=4), smallest_slice_px=20
)
"""A model that trains in seconds."""

TINY_VOLUME = TINY.model_copy(update={"model": TINY.model.model_copy(update={"dimensions": 3})})
"""The same in three dimensions."""


def toy_brain(
    rng: np.random.Generator, slices: int = 10, side: int = SIDE, noise: float = 0.03
) -> Preprocessed:
    """A healthy toy on a grid of `side` pixels and 5 mm slices."""
    x, y, z = np.mgrid[:side, :side, :slices].astype(np.float32)
    centre = (side - 1) / 2 + rng.uniform(-1, 1, 2)
    u, v = (x - centre[0]) / (0.32 * side), (y - centre[1]) / (0.4 * side)
    w = (z - (slices - 1) / 2) / (0.6 * slices)
    size = rng.uniform(0.9, 1.05)
    radius = np.sqrt(u**2 + v**2 + w**2) / size
    brain = radius < 1
    ventricle = np.sqrt((u / 0.2) ** 2 + (v / 0.4) ** 2 + (w / 0.5) ** 2) < rng.uniform(0.8, 1.2)
    # Folds of its own, so that no atlas of other toys knows this one.
    angle = rng.uniform(0, 2 * np.pi)
    folds = np.sin(5 * (u * np.cos(angle) + v * np.sin(angle)) + rng.uniform(0, 2 * np.pi))
    image = 0.6 + 0.25 * folds - 0.4 * ventricle
    image = image + noise * rng.standard_normal(image.shape)
    return Preprocessed(
        image=np.where(brain, image, 0).astype(np.float32),
        brain=brain,
        head=brain.copy(),
        affine=np.diag([2.0, 2.0, 5.0, 1.0]),
        intensity_low=0.0,
        intensity_high=1.0,
    )


def plain_fusion(spread: float = 1.0) -> Fusion:
    """Healthy statistics of nothing: each evidence over one spread, the sum as it is."""

    def statistics(spread: float) -> HealthyStatistics:
        return HealthyStatistics(torch.zeros(GRID), torch.full(GRID, spread))

    return Fusion({kind: statistics(spread) for kind in KINDS}, statistics(1.0), FusionConfig())


def any_heads() -> LearntHeads:
    """Heads of which nothing was learnt: every volume is as near as its turned self."""
    size = int(np.prod(HEAD_GRID))
    return LearntHeads(
        np.zeros(size, np.float32), np.zeros((1, size), np.float32), np.zeros(CONTRAST, np.float32)
    )


def wide_limits() -> Limits:
    """Limits that nothing exceeds."""
    normals = {one.name: Normal(centre=0.0, spread=1e6) for one in measures(any_heads())}
    return Limits(normals=normals, worst={"toys": (1.0,) * 100})


def with_lesion(
    healthy: Preprocessed, amount: float = 0.6, radius: float = 4.0, shift: int = 0
) -> tuple[Preprocessed, NDArray[np.bool_]]:
    """The toy with a ball of another intensity off its middle, and the ball, bool.

    `shift` moves it up by that many slices.
    """
    side, _, slices = healthy.image.shape
    x, y, z = np.mgrid[:side, :side, :slices]
    far = (x - 0.65 * side) ** 2 + (y - 0.5 * side) ** 2 + (2.5 * (z - slices // 2 - shift)) ** 2
    lesion = (far < radius**2) & healthy.brain
    changed = Preprocessed(
        image=(healthy.image + np.float32(amount) * lesion).astype(np.float32),
        brain=healthy.brain,
        head=healthy.head,
        affine=healthy.affine,
        intensity_low=0.0,
        intensity_high=1.0,
    )
    return changed, lesion
