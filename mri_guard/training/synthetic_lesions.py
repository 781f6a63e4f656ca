"""Synthetic lesions that the model learns to undo: shape, place and change drawn apart.

A lesion is a soft blob (a distance disturbed by smooth noise) in which one family of change takes
place. The families in `HELD_OUT` are never trained on: they alone choose checkpoints, so that no
real lesion ever does. Foreign patches after Tan et al. 2020 (arXiv:2011.04197), coarse noise after
Kascenas et al. 2022 (MIDL, PMLR 172:653); that shape and change are drawn apart, after Zavrtanik
et al. 2021 (DRAEM, arXiv:2108.07610).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Window = NDArray[np.float32]
"""float32, (s, x, y): a slice with its neighbours, normalised intensity, 0 outside the brain."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """One synthetic lesion, drawn.

    Attributes:
        family: the change's name.
        soft: float32, (s, x, y), 0..1: how much of the change a voxel gets.
        mask: bool, (s, x, y), where the lesion counts as present: at least half of the change.
    """

    family: str
    soft: Window
    mask: NDArray[np.bool_]


@lru_cache(maxsize=256)
def _interpolation(cells: int, size: int) -> NDArray[np.float32]:
    """Cubic B-spline weights, (size, cells), that spread knots over pixels."""
    at = np.linspace(0.5, cells - 1.5, size) if cells > 2 else np.zeros(size)
    distance = np.abs(at[:, None] - np.arange(cells))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    weights = np.where(distance < 1, near, far)
    return np.asarray(weights / weights.sum(1, keepdims=True), dtype=np.float32)


def smooth_noise(
    shape: tuple[int, int, int], cell_px: float, depth_px: float, rng: np.random.Generator
) -> Window:
    """Smooth random field of unit spread, float32, (s, x, y).

    Args:
        shape: of the window.
        cell_px: distance between knots in the plane.
        depth_px: distance between the window's slices, pixels.
        rng: draws the knots.
    """
    cells = [max(3, round(side / cell_px) + 3) for side in shape[1:]]
    depth = max(3, round(shape[0] * depth_px / cell_px) + 3)
    knots = rng.standard_normal((depth, *cells), dtype=np.float32)
    across = _interpolation(depth, shape[0])
    along_x, along_y = (_interpolation(n, m) for n, m in zip(cells, shape[1:], strict=True))
    field = along_x @ np.tensordot(across, knots, 1) @ along_y.T
    return np.asarray(field / max(float(field.std()), 1e-6), dtype=np.float32)


def blob(brain: NDArray[np.bool_], depth_px: float, rng: np.random.Generator) -> Window | None:
    """A soft blob inside the brain, float32, (s, x, y), 0..1; None where there is no brain."""
    places = np.argwhere(brain[len(brain) // 2])
    if len(places) == 0:
        return None
    centre = places[rng.integers(len(places))]
    radius = float(np.exp(rng.uniform(np.log(1.5), np.log(20))))
    x, y = np.ogrid[: brain.shape[1], : brain.shape[2]]
    angle, stretch = rng.uniform(0, np.pi), rng.uniform(1, 2)
    dx, dy = x - centre[0], y - centre[1]
    u = (np.cos(angle) * dx + np.sin(angle) * dy) * stretch**0.5
    v = (-np.sin(angle) * dx + np.cos(angle) * dy) / stretch**0.5
    # Where its own middle lies across slices is free: neighbours may show more of it, or less.
    z = (np.arange(len(brain)) - len(brain) // 2) * depth_px + rng.normal(0, 0.4 * radius)
    distance = np.sqrt(u**2 + v**2 + (z**2)[:, None, None]) / radius
    wobble = smooth_noise(brain.shape, max(2.0, radius * rng.uniform(0.4, 1.0)), depth_px, rng)
    sharpness = rng.uniform(1, 4) * max(1.0, radius / 3)
    inside = (1 - distance + rng.uniform(0, 0.6) * wobble) * sharpness
    soft = 1 / (1 + np.exp(-np.clip(inside, -30, 30)))
    return np.asarray(soft * brain, dtype=np.float32)


def shift(window: Window, soft: Window, _donor: Window, rng: np.random.Generator) -> Window:
    """Brighter or darker, with some texture of its own."""
    amount = rng.uniform(0.12, 0.8) * rng.choice((-1.0, 1.0))
    texture = 1 + rng.uniform(0, 0.4) * smooth_noise(window.shape, rng.uniform(2, 8), 3, rng)
    return window + soft * np.float32(amount) * texture


def level(window: Window, soft: Window, _donor: Window, rng: np.random.Generator) -> Window:
    """Drawn towards one grey level: anatomy fades, as in oedema or a cyst."""
    grey = rng.uniform(-0.1, 1.6) + rng.uniform(0, 0.15) * smooth_noise(
        window.shape, rng.uniform(2, 8), 3, rng
    )
    return window + soft * np.float32(rng.uniform(0.4, 1)) * (grey - window)


def foreign(window: Window, soft: Window, donor: Window, rng: np.random.Generator) -> Window:
    """Blended with another brain's pixels, moved and re-scaled."""
    moved = np.roll(donor, tuple(rng.integers(-12, 13, 2)), (1, 2)) * rng.uniform(0.7, 1.4)
    other = moved.astype(np.float32)
    return np.asarray(window + soft * np.float32(rng.uniform(0.5, 1)) * (other - window))


def texture(window: Window, soft: Window, _donor: Window, rng: np.random.Generator) -> Window:
    """Blurred or grainy at the same mean."""
    if rng.random() < 0.5:
        sigma = rng.uniform(1, 3)
        other = ndimage.gaussian_filter(window, (0, sigma, sigma))
    else:
        grain = smooth_noise(window.shape, rng.uniform(1, 3), 3, rng)
        other = window + np.float32(rng.uniform(0.08, 0.25)) * grain
    return np.asarray(window + soft * (other - window), dtype=np.float32)


def ring(window: Window, soft: Window, _donor: Window, rng: np.random.Generator) -> Window:
    """A rim of one sign around a core of the other."""
    rim = 4 * soft * (1 - soft)
    sign = rng.choice((-1.0, 1.0))
    edge = np.float32(sign * rng.uniform(0.3, 0.8))
    core = np.float32(-sign * rng.uniform(0.2, 0.6))
    return np.asarray(window + edge * rim + core * soft**4, dtype=np.float32)


def mass_effect(window: Window, soft: Window, _donor: Window, rng: np.random.Generator) -> Window:
    """Tissue pushed aside by something iso-intense, with a faint halo."""
    slope_x, slope_y = np.gradient(ndimage.gaussian_filter(soft, (0, 2, 2)), axis=(1, 2))
    reach = rng.uniform(15, 40)
    x, y = np.mgrid[: window.shape[1], : window.shape[2]]
    pushed = np.stack(
        [
            ndimage.map_coordinates(image, (x + reach * gx, y + reach * gy), order=1)
            for image, gx, gy in zip(window, slope_x, slope_y, strict=True)
        ]
    )
    halo = np.float32(rng.uniform(0.1, 0.3) * rng.choice((-1.0, 1.0)))
    return np.asarray(pushed + halo * soft, dtype=np.float32)


Change = Callable[[Window, Window, Window, np.random.Generator], Window]

TRAINED: tuple[Change, ...] = (shift, level, foreign, texture)
"""Families that the model learns to undo."""

HELD_OUT: tuple[Change, ...] = (ring, mass_effect)
"""Families that it never sees in training: they choose its checkpoints."""


def corrupt(
    window: Window,
    brain: NDArray[np.bool_],
    donor: Window,
    families: tuple[Change, ...],
    *,
    depth_px: float,
    rng: np.random.Generator,
) -> tuple[Window, Lesion | None]:
    """The window with one synthetic lesion; unchanged, and None, where there is no brain.

    Args:
        window: float32, (s, x, y); not edited.
        brain: bool, (s, x, y).
        donor: another window, for `foreign`.
        families: to draw the change from.
        depth_px: distance between the window's slices, pixels.
        rng: draws everything.
    """
    soft = blob(brain, depth_px, rng)
    if soft is None:
        return window, None
    change = families[rng.integers(len(families))]
    changed = np.where(brain, change(window, soft, donor, rng), window)
    lesion = Lesion(change.__name__, soft, soft >= 0.5)
    return np.asarray(changed, dtype=np.float32), lesion


def coarse_noise(window: Window, brain: NDArray[np.bool_], rng: np.random.Generator) -> Window:
    """The window with smooth noise everywhere inside the brain."""
    noise = smooth_noise(window.shape, rng.uniform(3, 12), 3, rng)
    return np.asarray(window + np.float32(rng.uniform(0, 0.25)) * noise * brain, dtype=np.float32)
