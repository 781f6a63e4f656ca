"""From parameters to an image: deform, paint, place lesions, and do what a scanner does."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from mri_guard.determinism import generator
from mri_guard.phantom.atlas import (
    EYE_RADIUS_MM,
    EYES_MM,
    Fields,
    surfaces,
    tissue_shares,
    ventricle_wall,
)
from mri_guard.phantom.parameters import Lesion, LesionKind, PhantomParameters

CENTRE_MM = np.array([0.0, -18.0, 6.0])
"""World position of the middle of the stack, near the middle of the brain."""

CONTROL_MM = 32.0
"""Distance of the control points of the deformation, texture of the skull and bias field."""

SUBARACHNOID_MM = 2.0
MASS_PUSH = 0.35
GIVES_WAY_MM = 15.0
"""The brain gives way to a mass the less the nearer it is to the skull."""
RING_CORE = 0.55

Coordinates = NDArray[np.float32]
Field = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A head whose truth is known.

    Attributes:
        voxels: int16, (x, y, z), scanner units 0..4095.
        affine: float64, (4, 4), voxel index to RAS+ mm.
        lesion: bool, (x, y, z), exactly where a lesion was painted; tissue that a mass merely
            pushes away is not marked.
        brain: bool, (x, y, z), brain with its ventricles.
        fluid_ml: volume of fluid inside the brain.
        clean: float32, (x, y, z), the intensities before point spread, bias field and noise.
        parameters: what it was rendered from.
    """

    voxels: NDArray[np.int16]
    affine: NDArray[np.float64]
    lesion: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    fluid_ml: float
    clean: Field
    parameters: PhantomParameters


def render(parameters: PhantomParameters) -> Phantom:
    """The phantom of these parameters; the same parameters give the same phantom."""
    affine = _affine(parameters)
    points = to_atlas(parameters)
    shares = tissue_shares(max(1, round(parameters.spacing_mm)))

    # Lesions are placed where brain is; a mass then pushes the brain, but not the skull.
    white, gray, brain, sulcus = _sample(shares, points)
    placed: list[tuple[Lesion, NDArray[np.bool_], NDArray[np.bool_]]] = []
    for lesion in parameters.lesions:
        centre = _place(lesion, brain > 0.5, parameters)
        placed.append((lesion, *_grow(lesion, centre, brain > 0.5, parameters)))
        if lesion.kind is LesionKind.MASS:
            points = _push(points, centre, lesion)
            white, gray, brain, sulcus = _sample(shares, points)
    inside = brain > 0.5

    gray = gray * (1 - parameters.atrophy * sulcus)
    fluid = np.clip(brain - white - gray, 0, 1)
    grain = _grain(parameters)
    tissue = parameters.tissue
    clean = (tissue["white_matter"] * white + tissue["gray_matter"] * gray) * grain
    clean += tissue["fluid"] * fluid + (1 - brain) * _around(parameters, points, grain)
    for lesion, shape, core in placed:
        clean = _apply(lesion, shape, core, clean, parameters)

    truth = np.zeros(clean.shape, dtype=bool)
    for _, shape, _ in placed:
        truth |= shape
    voxel_ml = parameters.pixel_mm**2 * parameters.spacing_mm / 1000
    return Phantom(
        voxels=_scan(clean, parameters),
        affine=affine,
        lesion=truth,
        brain=inside,
        fluid_ml=float(fluid[inside].sum() * voxel_ml),
        clean=clean,
        parameters=parameters,
    )


def smooth_noise(
    shape: tuple[int, ...],
    spacing_mm: tuple[float, ...],
    control_mm: float,
    rng: np.random.Generator,
) -> Field:
    """Smooth random field of zero mean and unit spread, float32.

    Args:
        shape: of the field.
        spacing_mm: of its voxels.
        control_mm: distance of the random control points that a cubic spline joins.
        rng: draws them.
    """
    extent = [float(n * size) for n, size in zip(shape, spacing_mm, strict=True)]
    control = rng.normal(size=[int(np.ceil(length / control_mm)) + 3 for length in extent])
    splines = []
    for n, size, knots in zip(shape, spacing_mm, control.shape, strict=True):
        distance = abs(1 + np.arange(n)[:, None] * size / control_mm - np.arange(knots))
        inner, outer = 4 - 6 * distance**2 + 3 * distance**3, (2 - distance) ** 3
        splines.append(np.where(distance < 1, inner, np.where(distance < 2, outer, 0)) / 6)
    field = np.einsum("abc,xa,yb,zc->xyz", control, *splines, optimize=True)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def _grid(parameters: PhantomParameters) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    n, pixel = parameters.in_plane, parameters.pixel_mm
    return (n, n, parameters.slices), (pixel, pixel, parameters.spacing_mm)


def _affine(parameters: PhantomParameters) -> NDArray[np.float64]:
    """Axes along RAS+, the middle of the grid at `CENTRE_MM`."""
    shape, spacing = _grid(parameters)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = CENTRE_MM - np.array(spacing) * (np.array(shape) - 1) / 2
    return affine


def to_atlas(parameters: PhantomParameters) -> Coordinates:
    """Where in the atlas each voxel of a healthy head lies, float32, mm, (3, x, y, z)."""
    shape, spacing = _grid(parameters)
    affine = _affine(parameters)
    axes = [affine[i, 3] + affine[i, i] * np.arange(n) for i, n in enumerate(shape)]
    world = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
    turn = Rotation.from_euler("xyz", parameters.tilt_deg, degrees=True).as_matrix()
    linear = (turn / np.array(parameters.scale)).astype(np.float32)
    middle = CENTRE_MM.astype(np.float32)[:, None, None, None]
    points = np.einsum("ij,jxyz->ixyz", linear, world - middle) + middle
    rng = generator(parameters.seed, "deformation")
    fields = [smooth_noise(shape, spacing, CONTROL_MM, rng) for _ in range(3)]
    points += parameters.deformation_mm * np.stack(fields)
    points -= parameters.ventricle_mm * _sample(ventricle_wall(), points)
    return np.asarray(points, dtype=np.float32)


def _sample(fields: Fields, points: Coordinates) -> Field:
    """Linear interpolation at points in mm, (fields, x, y, z); the edge value beyond the edge."""
    last = np.array(fields.values.shape[1:], dtype=np.float32) - 1
    index = (np.moveaxis(points, 0, -1) - fields.origin_mm.astype(np.float32)) / fields.size_mm
    normalised = np.ascontiguousarray((2 * index / last - 1)[..., ::-1], dtype=np.float32)
    sampled = torch.nn.functional.grid_sample(
        torch.from_numpy(fields.values)[None],
        torch.from_numpy(normalised)[None],
        padding_mode="border",
        align_corners=True,
    )
    return np.asarray(sampled[0].numpy())


def _place(
    lesion: Lesion, brain: NDArray[np.bool_], parameters: PhantomParameters
) -> NDArray[np.float64]:
    """A voxel deep enough inside the brain that the lesion's core fits, as an index."""
    _, spacing = _grid(parameters)
    depth = ndimage.distance_transform_edt(
        brain[::4, ::4], sampling=(4 * spacing[0],) * 2 + spacing[2:]
    )
    wanted = min(0.7 * lesion.radius_mm, 0.9 * float(depth.max()))
    candidates = np.argwhere(depth >= wanted)
    pick = candidates[generator(lesion.seed, "place").integers(len(candidates))]
    return np.asarray(pick * [4, 4, 1], dtype=np.float64)


def _grow(
    lesion: Lesion,
    centre: NDArray[np.float64],
    brain: NDArray[np.bool_],
    parameters: PhantomParameters,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The lesion and its core, a ball whose surface a smooth field displaces, inside the brain."""
    shape, spacing = _grid(parameters)
    offsets = [
        (np.arange(n) - at) * size for n, at, size in zip(shape, centre, spacing, strict=True)
    ]
    x, y, z = np.meshgrid(*offsets, indexing="ij", sparse=True)
    distance = np.sqrt(x**2 + y**2 + z**2) / lesion.radius_mm
    field = smooth_noise(shape, spacing, 0.8 * lesion.radius_mm, generator(lesion.seed, "shape"))
    level = distance + lesion.irregularity * field
    grown = (level < 1) & (distance < 2) & brain
    if not grown.any():  # a ball between two slices: the voxel it is centred on
        grown[tuple(centre.astype(int))] = True
    return grown, (level < RING_CORE) & grown


def _push(points: Coordinates, centre: NDArray[np.float64], lesion: Lesion) -> Coordinates:
    """Tissue moves away from a mass: what is sampled at p comes from nearer to its centre."""
    middle = points[(slice(None), *centre.astype(int))][:, None, None, None]
    offset = points - middle
    distance2 = np.square(offset).sum(0) / (1.8 * lesion.radius_mm) ** 2
    fields = surfaces()
    depth_mm = -(_sample(fields, points)[0] + _beyond(fields, points))
    gives_way = np.clip(depth_mm / GIVES_WAY_MM, 0, 1)
    shrink = MASS_PUSH * gives_way * np.exp(-distance2)
    return np.asarray(middle + offset * (1 - shrink), dtype=np.float32)


def _grain(parameters: PhantomParameters) -> Field:
    """Tissue texture, fine and coarse, around 1."""
    shape, spacing = _grid(parameters)
    rng = generator(parameters.seed, "texture")
    texture = smooth_noise(shape, spacing, 4.0, rng) + smooth_noise(shape, spacing, 20.0, rng)
    return np.asarray(1 + parameters.texture * texture / np.sqrt(2), dtype=np.float32)


def _around(parameters: PhantomParameters, points: Coordinates, grain: Field) -> Field:
    """Fluid, skull, scalp, face, neck and eyes by their distance from the brain."""
    tissue = parameters.tissue
    shape, spacing = _grid(parameters)
    rng = generator(parameters.seed, "skull")
    thickness = 1 + 0.2 * smooth_noise(shape, spacing, CONTROL_MM, rng)
    fields = surfaces()
    to_brain, face = _sample(fields, points) + _beyond(fields, points)
    depth = to_brain - SUBARACHNOID_MM

    skull = parameters.skull_mm * thickness
    scalp = skull + parameters.scalp_mm
    within = (depth > skull) & (face < 0)
    cavity = smooth_noise(shape, spacing, 14.0, rng)

    head = np.zeros(shape, dtype=np.float32)
    head[within] = (tissue["muscle"] * grain * (1 + 0.25 * cavity))[within]
    head[within & (cavity < -1.1) & (depth > scalp)] = 0.05  # airways and bone
    head[within & (face > -4.0)] = tissue["scalp"]
    head[(depth > skull) & (depth <= scalp)] = tissue["scalp"]
    head[depth <= skull] = tissue["skull"]
    head[(depth > 0.35 * skull) & (depth < 0.7 * skull)] = tissue["marrow"]
    head[depth <= 0] = tissue["fluid"]
    for eye in EYES_MM:
        centre = np.array(eye, dtype=np.float32)[:, None, None, None]
        ball = np.square(points - centre).sum(0) < EYE_RADIUS_MM**2
        head[ball & (depth > skull)] = tissue["eye"]
    return head


def _beyond(fields: Fields, points: Coordinates) -> Field:
    """Way in mm from the fields' box to each point, since a distance stops growing at its edge."""
    low = fields.origin_mm.astype(np.float32)[:, None, None, None]
    size = fields.size_mm * (np.array(fields.values.shape[1:], dtype=np.float32) - 1)
    outside = points - np.clip(points, low, low + size[:, None, None, None])
    return np.asarray(np.sqrt(np.square(outside).sum(0)), dtype=np.float32)


def _apply(
    lesion: Lesion,
    shape: NDArray[np.bool_],
    core: NDArray[np.bool_],
    clean: Field,
    parameters: PhantomParameters,
) -> Field:
    """The image with the lesion painted over what was there."""
    grid, spacing = _grid(parameters)
    texture = smooth_noise(grid, spacing, 5.0, generator(lesion.seed, "texture"))
    level = 1 + lesion.strength * (1 + 0.15 * texture)
    gray = parameters.tissue["gray_matter"]
    # over fluid too, so that a bright lesion stays bright beside a ventricle
    tissue = np.clip(clean, 0.9 * parameters.tissue["white_matter"], 1.1 * gray)
    painted = np.where(shape, np.maximum(tissue * level, 0.05), clean)
    if lesion.strength < 0:  # a dark lesion leaves the fluid in it dark
        painted = np.minimum(painted, clean)
    if lesion.kind is LesionKind.RING:
        painted = np.where(core, 0.5 * parameters.tissue["white_matter"], painted)
    return np.asarray(painted, dtype=np.float32)


def _scan(clean: Field, parameters: PhantomParameters) -> NDArray[np.int16]:
    """Point spread, bias field, Rician noise (Gudbjartsson and Patz 1995) and 12 bits."""
    shape, spacing = _grid(parameters)
    rng = generator(parameters.seed, "scanner")
    image = ndimage.gaussian_filter(clean, (parameters.blur_px, parameters.blur_px, 0))
    image = image * np.exp(parameters.bias * smooth_noise(shape, spacing, 90.0, rng))
    real = image + parameters.noise * rng.standard_normal(shape, dtype=np.float32)
    imaginary = parameters.noise * rng.standard_normal(shape, dtype=np.float32)
    scanner = np.hypot(real, imaginary) * parameters.gain
    return np.asarray(np.clip(np.round(scanner), 0, 4095), dtype=np.int16)
