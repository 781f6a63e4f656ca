"""Synthetic lesions that the model learns to undo: shape, place and change drawn apart.

A lesion is a soft shape (a ball disturbed by smooth noise, or the mask of a real lesion) in which
one family of change takes place. The families in `HELD_OUT` are never trained on: they alone choose
checkpoints, so that no real lesion ever does. Foreign patches after Tan et al. 2020
(arXiv:2011.04197), coarse noise after Kascenas et al. 2022 (MIDL, PMLR 172:653); that shape and
change are drawn apart, after Zavrtanik et al. 2021 (DRAEM, arXiv:2108.07610).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Window = NDArray[np.float32]
"""float32, (s, x, y): a slice with its neighbours, normalised intensity, 0 outside the brain."""


RADII_PX = ((1.5, 3.5), (3.5, 8.5), (8.5, 20.0))
"""Classes of size: radius in the plane, pixels."""

STRENGTHS = ((0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1.0))
"""Classes of strength, from the faintest change of a family (0) to its plainest (1)."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The few parameters of a lesion that decide how hard it is to undo.

    Attributes:
        change: the family's function.
        radius_px: lowest and highest radius.
        strength: lowest and highest strength, within 0..1.
    """

    change: "Change"
    radius_px: tuple[float, float]
    strength: tuple[float, float]


def kinds(families: Sequence["Change"]) -> tuple[Kind, ...]:
    """Every size and strength of the families."""
    return tuple(Kind(*parts) for parts in product(families, RADII_PX, STRENGTHS))


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


def ball(
    brain: NDArray[np.bool_],
    depth_px: float,
    radius_px: float,
    rng: np.random.Generator,
    *,
    middle: slice | None = None,
) -> Window | None:
    """A soft, uneven ball inside the brain, float32, (s, x, y), 0..1; None without brain.

    Args:
        brain: bool, (s, x, y).
        depth_px: distance between the window's slices, pixels.
        radius_px: mean radius in the plane.
        rng: draws place, form and edge.
        middle: slices in which its middle lies, more or less; by default the window's middle one.
    """
    place = _place(brain, depth_px, radius_px, rng, middle)
    if place is None:
        return None
    u, v, z = place
    stretch = rng.uniform(1, 2) ** 0.5
    distance = np.sqrt((u * stretch) ** 2 + (v / stretch) ** 2 + z**2) / radius_px
    wobble = smooth_noise(brain.shape, max(2.0, radius_px * rng.uniform(0.4, 1.0)), depth_px, rng)
    sharpness = rng.uniform(1, 4) * max(1.0, radius_px / 3)
    inside = (1 - distance + rng.uniform(0, 0.6) * wobble) * sharpness
    soft = 1 / (1 + np.exp(-np.clip(inside, -30, 30)))
    return np.asarray(soft * brain, dtype=np.float32)


def real_shape(
    shape: Window,
    brain: NDArray[np.bool_],
    depth_px: float,
    radius_px: float,
    rng: np.random.Generator,
    *,
    middle: slice | None = None,
) -> Window | None:
    """A real lesion's form at any size, turned any way, somewhere in the brain, as `ball`.

    Args:
        shape: float32, (a, b, c), 0..1, equal sides, of `lesion_shapes`; others as `ball`.
    """
    place = _place(brain, depth_px, radius_px, rng, middle)
    if place is None:
        return None
    u, v, z = np.broadcast_arrays(*place)
    filled = float((shape > 0.5).sum())
    scale = (3 * filled / (4 * np.pi)) ** (1 / 3) / radius_px
    centres = (np.array(shape.shape) - 1) / 2
    at = [axis * scale + centre for axis, centre in zip((u, v, z), centres, strict=True)]
    soft = ndimage.map_coordinates(shape, at, order=1)
    return np.asarray(soft * brain, dtype=np.float32)


def _place(
    brain: NDArray[np.bool_],
    depth_px: float,
    radius_px: float,
    rng: np.random.Generator,
    middle: slice | None,
) -> tuple[NDArray[np.float64], ...] | None:
    """Coordinates around a place in the brain, turned in the plane, pixels: u, v (1, x, y) and
    z (s, 1, 1); None where the middle slices show no brain.
    """
    first, last, _ = (middle or slice(len(brain) // 2, len(brain) // 2 + 1)).indices(len(brain))
    places = np.argwhere(brain[first:last])
    if len(places) == 0:
        return None
    centre = places[rng.integers(len(places))]
    x, y = np.ogrid[: brain.shape[1], : brain.shape[2]]
    angle = rng.uniform(0, 2 * np.pi)
    dx, dy = x - centre[1], y - centre[2]
    # Where its own middle lies across slices is free: neighbours may show more of it, or less.
    z = (np.arange(len(brain)) - first - centre[0]) * depth_px + rng.normal(0, 0.4 * radius_px)
    u = np.cos(angle) * dx + np.sin(angle) * dy
    v = -np.sin(angle) * dx + np.cos(angle) * dy
    return u[None], v[None], np.asarray(z[:, None, None], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Materials:
    """What a change works with.

    Attributes:
        window: float32, (s, x, y), before it.
        soft: float32, (s, x, y), 0..1: how much of the change a voxel gets.
        donor: float32, (s, x, y), another brain.
        strength: 0..1, from the faintest change of the family to its plainest.
    """

    window: Window
    soft: Window
    donor: Window
    strength: float


def shift(of: Materials, rng: np.random.Generator) -> Window:
    """Brighter or darker, with some texture of its own."""
    return _shifted(of, rng.choice((-1.0, 1.0)), rng)


def dark(of: Materials, rng: np.random.Generator) -> Window:
    """Darker, with some texture of its own; `shift` has it too."""
    return _shifted(of, -1.0, rng)


def _shifted(of: Materials, sign: float, rng: np.random.Generator) -> Window:
    window, soft = of.window, of.soft
    amount = sign * _between(0.12, 0.8, of.strength)
    texture = 1 + rng.uniform(0, 0.4) * smooth_noise(window.shape, rng.uniform(2, 8), 3, rng)
    return window + soft * np.float32(amount) * texture


def level(of: Materials, rng: np.random.Generator) -> Window:
    """Drawn towards one grey level: anatomy fades, as in oedema or a cyst."""
    window = of.window
    grey = rng.uniform(-0.1, 1.6) + rng.uniform(0, 0.15) * smooth_noise(
        window.shape, rng.uniform(2, 8), 3, rng
    )
    return window + of.soft * np.float32(_between(0.4, 1, of.strength)) * (grey - window)


def foreign(of: Materials, rng: np.random.Generator) -> Window:
    """Blended with another brain's pixels, moved and re-scaled."""
    moved = np.roll(of.donor, tuple(rng.integers(-12, 13, 2)), (1, 2)) * rng.uniform(0.7, 1.4)
    other = moved.astype(np.float32)
    share = np.float32(_between(0.5, 1, of.strength))
    return np.asarray(of.window + of.soft * share * (other - of.window))


def texture(of: Materials, rng: np.random.Generator) -> Window:
    """Blurred or grainy at the same mean."""
    window, soft = of.window, of.soft
    if rng.random() < 0.5:
        sigma = _between(1, 3, of.strength)
        other = ndimage.gaussian_filter(window, (0, sigma, sigma))
    else:
        grain = smooth_noise(window.shape, rng.uniform(1, 3), 3, rng)
        other = window + np.float32(_between(0.08, 0.25, of.strength)) * grain
    return np.asarray(window + soft * (other - window), dtype=np.float32)


def ring(of: Materials, rng: np.random.Generator) -> Window:
    """A rim of one sign around a core of the other."""
    window, soft = of.window, of.soft
    rim = 4 * soft * (1 - soft)
    sign = rng.choice((-1.0, 1.0))
    edge = np.float32(sign * _between(0.3, 0.8, of.strength))
    core = np.float32(-sign * rng.uniform(0.2, 0.6))
    return np.asarray(window + edge * rim + core * soft**4, dtype=np.float32)


def mass_effect(of: Materials, rng: np.random.Generator) -> Window:
    """Tissue pushed aside by something iso-intense, with a faint halo."""
    window, soft = of.window, of.soft
    slope_x, slope_y = np.gradient(ndimage.gaussian_filter(soft, (0, 2, 2)), axis=(1, 2))
    reach = _between(15, 40, of.strength)
    x, y = np.mgrid[: window.shape[1], : window.shape[2]]
    pushed = np.stack(
        [
            ndimage.map_coordinates(image, (x + reach * gx, y + reach * gy), order=1)
            for image, gx, gy in zip(window, slope_x, slope_y, strict=True)
        ]
    )
    halo = np.float32(rng.uniform(0.1, 0.3) * rng.choice((-1.0, 1.0)))
    return np.asarray(pushed + halo * soft, dtype=np.float32)


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


Change = Callable[[Materials, np.random.Generator], Window]

TRAINED: tuple[Change, ...] = (shift, level, foreign, texture)
"""Families that the model learns to undo."""

HELD_OUT: tuple[Change, ...] = (ring, mass_effect)
"""Families that it never sees in training: they choose its checkpoints."""


def corrupt(
    window: Window,
    brain: NDArray[np.bool_],
    donor: Window,
    kind: Kind,
    *,
    depth_px: float,
    rng: np.random.Generator,
    shapes: Sequence[Window] = (),
    middle: slice | None = None,
) -> tuple[Window, Window | None]:
    """The window with one synthetic lesion, and how much of it each voxel got, (s, x, y), 0..1.

    Unchanged, and None, where there is no brain.

    Args:
        window: float32, (s, x, y); not edited.
        brain: bool, (s, x, y).
        donor: another window, for `foreign`.
        kind: of the lesion.
        depth_px: distance between the window's slices, pixels.
        rng: draws everything else.
        shapes: real ones, drawn as often as balls; see `real_shape`.
        middle: see `ball`.
    """
    radius_px = float(np.exp(rng.uniform(*np.log(kind.radius_px))))
    if shapes and rng.random() < 0.5:
        shape = shapes[int(rng.integers(len(shapes)))]
        soft = real_shape(shape, brain, depth_px, radius_px, rng, middle=middle)
    else:
        soft = ball(brain, depth_px, radius_px, rng, middle=middle)
    if soft is None:
        return window, None
    changed = kind.change(Materials(window, soft, donor, rng.uniform(*kind.strength)), rng)
    return np.where(brain, changed, window).astype(np.float32), soft


def coarse_noise(window: Window, brain: NDArray[np.bool_], rng: np.random.Generator) -> Window:
    """The window with smooth noise everywhere inside the brain."""
    noise = smooth_noise(window.shape, rng.uniform(3, 12), 3, rng)
    return np.asarray(window + np.float32(rng.uniform(0, 0.25)) * noise * brain, dtype=np.float32)
