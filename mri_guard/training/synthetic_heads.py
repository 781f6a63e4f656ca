"""Axial stacks of heads with contrasts that no scanner has, from label maps of whole heads.

Follows SynthSeg (Billot et al. 2023, Medical Image Analysis 86, 102789) and SynthStrip (Hoopes et
al. 2022): a label map is deformed, every label draws its own intensity, then resolution, bias
field, gamma and noise are drawn too. We add stacks that end early, noisy backgrounds, and lesions,
which stay brain in the target.
"""

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from mri_guard.preprocess.brain_mask import CEILING

GRID = 128
PIXEL_MM = 2.0
MOST_SLICES = 40

# FreeSurfer numbers, and those of the SAMSEG atlas above 500. Left and right share a class.
TISSUES: dict[str, tuple[int, ...]] = {
    "air": (0,),
    "white_matter": (2, 41, 28, 60, 85),
    "cortex": (3, 42),
    "ventricle": (4, 5, 43, 44, 14, 15, 72),
    "cerebellar_white_matter": (7, 46),
    "cerebellar_cortex": (8, 47),
    "thalamus": (10, 49),
    "striatum": (11, 12, 26, 50, 51, 58),
    "pallidum": (13, 52, 136, 137, 163, 164),
    "brain_stem": (16,),
    "hippocampus": (17, 18, 53, 54),
    "vessel_in_brain": (30, 62),
    "lesion": (25, 57),
    "csf": (24,),
    "artery": (502,),
    "eye": (506,),
    "soft_tissue": (507,),
    "eye_muscle": (508,),
    "mucosa": (509,),
    "skin": (511,),
    "spinal_cord": (512,),
    "vein": (514,),
    "cortical_bone": (515,),
    "marrow": (516,),
    "optic_nerve": (530,),
    # Parts of the map's one soft tissue, which is muscle where it is neither; see `_fat`.
    "orbital_fat": (),
    "scalp_fat": (),
}
NAMES = tuple(TISSUES)
BRAIN = tuple(range(1, 13))  # white matter to lesion
CSF = NAMES.index("csf")
VEIN = NAMES.index("vein")
SOFT_TISSUE = NAMES.index("soft_tissue")
ORBIT = ("eye", "eye_muscle", "optic_nerve")

# Means in units of a bright white matter, as (low, high); what is not named draws from (0, 1).
FLAIR = {
    "white_matter": (0.35, 0.6),
    "cortex": (0.45, 0.75),
    "ventricle": (0.0, 0.2),
    "csf": (0.0, 0.2),
    "cerebellar_white_matter": (0.35, 0.6),
    "cerebellar_cortex": (0.4, 0.7),
    "thalamus": (0.4, 0.65),
    "striatum": (0.4, 0.65),
    "pallidum": (0.3, 0.6),
    "brain_stem": (0.35, 0.6),
    "hippocampus": (0.45, 0.8),
    "lesion": (0.5, 1.2),
    "eye": (0.0, 0.3),
    "artery": (0.0, 0.3),
    "vein": (0.0, 0.6),
    "soft_tissue": (0.2, 1.3),
    "orbital_fat": (0.3, 1.6),
    "scalp_fat": (0.3, 1.6),
    "skin": (0.3, 1.4),
    "marrow": (0.1, 1.2),
    "cortical_bone": (0.0, 0.15),
}
T1 = {
    "white_matter": (0.6, 0.9),
    "cortex": (0.35, 0.65),
    "ventricle": (0.05, 0.25),
    "csf": (0.05, 0.25),
    "cerebellar_white_matter": (0.6, 0.9),
    "cerebellar_cortex": (0.4, 0.7),
    "thalamus": (0.5, 0.75),
    "striatum": (0.4, 0.65),
    "pallidum": (0.5, 0.8),
    "brain_stem": (0.5, 0.85),
    "hippocampus": (0.35, 0.65),
    "eye": (0.05, 0.3),
    "artery": (0.0, 1.2),
    "vein": (0.0, 1.2),
    "soft_tissue": (0.2, 1.3),
    "orbital_fat": (0.4, 1.6),
    "scalp_fat": (0.4, 1.6),
    "skin": (0.4, 1.4),
    "marrow": (0.2, 1.3),
    "cortical_bone": (0.0, 0.15),
}


@dataclass(frozen=True, slots=True, eq=False)
class HeadLabels:
    """One label map, 1 mm, RAS+.

    Attributes:
        tissue: uint8, (x, y, z), index into `NAMES`.
        brain: bool, (x, y, z), the target.
        centre: middle of the head's bounding box, voxels, x and y.
        brain_z: lowest and highest slice with brain.
    """

    tissue: Tensor
    brain: Tensor
    centre: tuple[float, float]
    brain_z: tuple[int, int]


def load_head(path: Path) -> HeadLabels:
    """A label map with its target: brain and the CSF between its folds, up to the inner skull."""
    volume = np.asarray(nibabel.load(path).dataobj)
    lookup = np.zeros(int(volume.max()) + 1, np.uint8)
    for index, numbers in enumerate(TISSUES.values()):
        lookup[[n for n in numbers if n < len(lookup)]] = index
    tissue = lookup[volume]
    brain = brain_target(tissue)
    _name_fat(tissue)
    head_x, head_y = (np.flatnonzero((tissue > 0).any(axis=other)) for other in ((1, 2), (0, 2)))
    z = np.flatnonzero(brain.any(axis=(0, 1)))
    return HeadLabels(
        tissue=torch.from_numpy(tissue),
        brain=torch.from_numpy(brain),
        centre=(float(head_x[[0, -1]].mean()), float(head_y[[0, -1]].mean())),
        brain_z=(int(z[0]), int(z[-1])),
    )


def _name_fat(tissue: NDArray[np.uint8]) -> None:
    """Soft tissue behind and around the eyes, or under the skin, named so in place."""
    soft = tissue == SOFT_TISSUE
    for name, beside, reach_mm in (("scalp_fat", ("air", "skin"), 8), ("orbital_fat", ORBIT, 8)):
        seeds = np.isin(tissue, [NAMES.index(part) for part in beside])
        near = ndimage.distance_transform_edt(~seeds) <= reach_mm
        tissue[soft & near] = NAMES.index(name)


def brain_target(tissue: NDArray[np.uint8], reach: int = 12) -> NDArray[np.bool_]:
    """Brain tissue, closed over `reach` voxels where that meets CSF or veins, bool, (x, y, z).

    The closed outline runs over the sulci along the inner skull, as readers and the reference masks
    of elderly people draw it; cisterns below the brain stay outside.
    """
    tissues = np.isin(tissue, BRAIN)
    padded = np.pad(tissues, reach + 1)
    ball = ndimage.generate_binary_structure(3, 2)
    closed = ndimage.binary_closing(padded, ball, iterations=reach)
    inner = closed[(slice(reach + 1, -reach - 1),) * 3] & np.isin(tissue, (CSF, VEIN))
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(tissues | inner)
    return filled


def synthesise(head: HeadLabels, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Image, target and where lesions lie, float32, (1, z, 128, 128), of one head in one contrast.

    Target and lesions are 0 or 1; lesions are part of the target.
    """
    heights, spacing = _stack(head, rng)
    count = len(heights)
    parts = int(rng.integers(1, 4)) if spacing > 4.5 else int(rng.integers(1, 3))
    within = ((np.arange(parts) + 0.5) / parts - 0.5) * rng.uniform(1.0, spacing)

    points = sampled_at(head, (heights[:, None] + within).ravel(), rng)
    tissue, brain = look_up(head, points)
    image = _paint(tissue, brain, rng)
    image, lesion = _lesions(image, brain, spacing / parts, rng)

    def thick(thin: Tensor) -> Tensor:
        return thin.reshape(count, parts, GRID, GRID).float().mean(dim=1)

    image, inside, outside = thick(image), thick(brain) >= 0.5, thick(tissue == 0)
    image = _scanner(image, outside, inside, rng)

    scale = torch.quantile(image[outside < 0.5], 0.99) if (outside < 0.5).any() else image.max()
    image = image / scale.clamp_min(1e-3) * float(np.exp(rng.uniform(-0.3, 0.3)))
    lesions = (thick(lesion) >= 0.5) & inside
    return image.clamp(0, CEILING)[None], inside[None].float(), lesions[None].float()


def _stack(head: HeadLabels, rng: np.random.Generator) -> tuple[NDArray[np.float64], float]:
    """Heights of the slices, voxels of the label map, and their distance in mm.

    Mostly the whole brain with more or less of neck and air; else a part of that, or a thin slab.
    """
    low, high = head.brain_z
    first, last = low - rng.uniform(0, 60), high + rng.uniform(0, 20)
    spacing = rng.uniform(3.3, 8.0)
    kind = rng.choice(("whole", "part", "slab"), p=(0.65, 0.2, 0.15))
    if kind == "part":
        first, last = np.sort(rng.uniform(first, last, 2))
    elif kind == "slab":
        first, spacing = rng.uniform(first, last), rng.uniform(1.5, 8.0)
        last = first + 10 * spacing * rng.random()
    count = int(np.clip((last - first) // spacing, 1, MOST_SLICES))
    if count == 2:  # oneDNN's bfloat16 gradient of a strided 3-D convolution is rubbish for two
        count = 3
    return np.asarray(first + spacing * np.arange(count), np.float64), float(spacing)


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, ...], cells: tuple[int, int, int], n: int = 1
) -> Tensor:
    """Smooth random field with unit spread at its knots, (n, *shape)."""
    knots = torch.from_numpy(rng.standard_normal((1, n, *cells)).astype(np.float32))
    out = functional.interpolate(knots, size=shape, mode="trilinear", align_corners=True)
    return out[0]


def sampled_at(
    head: HeadLabels, z: NDArray[np.float64], rng: np.random.Generator, spread: float = 1.0
) -> Tensor:
    """Voxels of the label map that planes at heights `z` look at, (3, n, 128, 128).

    Args:
        head: one label map.
        z: heights, voxels of it.
        rng: draws pose and deformation.
        spread: of these draws; 1 goes beyond what heads differ by.
    """
    depth, height_mm, middle = len(z), float(z[-1] - z[0]), float(z.mean())
    plane = (torch.arange(GRID) - (GRID - 1) / 2) * PIXEL_MM
    heights = torch.from_numpy(z - middle).float()
    grid = torch.stack(torch.meshgrid(heights, plane, plane, indexing="ij"))[[1, 2, 0]]

    angles = np.deg2rad(rng.normal(0, 8 * spread, 3))
    sides = rng.uniform(1 - 0.15 * spread, 1 + 0.15 * spread, 3)
    sides *= rng.uniform(1 - 0.1 * spread, 1 + 0.1 * spread)
    shear = np.eye(3) + np.triu(rng.normal(0, 0.04 * spread, (3, 3)), 1)
    flip = np.diag([rng.choice([-1.0, 1.0]), 1.0, 1.0])
    matrix = torch.from_numpy(flip @ _rotation(angles) @ shear @ np.diag(1 / sides)).float()
    centre = torch.tensor([*head.centre, middle]) + torch.from_numpy(rng.normal(0, 8, 3)).float()

    cells = max(2, round(height_mm / 25) + 1)
    bend = smooth_field(rng, (depth, GRID, GRID), (cells, 10, 10), 3) * rng.uniform(0, 3.5 * spread)
    warp = smooth_field(rng, (depth, GRID, GRID), (3, 4, 4), 3) * rng.uniform(0, 6 * spread)
    moved = torch.einsum("ij,jdxy->idxy", matrix, grid) + bend + warp
    return moved + centre.float()[:, None, None, None]


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation about x, y and z, (3, 3), by angles in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    turned: NDArray[np.float64] = about_z @ about_y @ about_x
    return turned


def look_up(head: HeadLabels, points: Tensor) -> tuple[Tensor, Tensor]:
    """Tissue (int64) and target (bool) at the nearest voxels; air beyond the label map."""
    size = torch.tensor(head.tissue.shape)[:, None, None, None]
    voxels = points.round().long()
    beyond = ((voxels < 0) | (voxels >= size)).any(dim=0)
    x, y, z = torch.minimum(voxels.clamp_min(0), size - 1)
    flat = (x * size[1, 0, 0, 0] + y) * size[2, 0, 0, 0] + z
    tissue = head.tissue.reshape(-1)[flat].long().masked_fill(beyond, 0)
    brain = head.brain.reshape(-1)[flat].masked_fill(beyond, False)
    return tissue, brain


def _paint(tissue: Tensor, brain: Tensor, rng: np.random.Generator) -> Tensor:
    """An intensity for each voxel from its tissue's own mean and spread."""
    means, spreads = _contrast(rng)
    shape = tuple(tissue.shape)
    image = torch.from_numpy(means)[tissue]
    image = image + torch.from_numpy(spreads)[tissue] * _normal(rng, shape)

    # The map's one label for muscle and neck: three draws in patches.
    patches = smooth_field(rng, shape, (max(3, shape[0] // 6), 16, 16))[0]
    soft = (tissue == SOFT_TISSUE) & ~brain
    for sign in (-1, 1):
        image = torch.where(soft & (sign * patches > 0.3), _uniform(rng, 0.0, 1.3), image)
    # Tissue is not of one value: let it wander slowly inside a label.
    return image * (
        1 + rng.uniform(0, 0.12) * smooth_field(rng, shape, (max(3, shape[0] // 6), 20, 20))[0]
    )


def _contrast(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and spread of each tissue, float32, (27,)."""
    prior = (FLAIR, T1, {})[int(rng.choice(3, p=[0.45, 0.35, 0.2]))]
    ranges = np.array([prior.get(name, (0.0, 1.0)) for name in NAMES])
    means = rng.uniform(ranges[:, 0], ranges[:, 1])
    if not prior:
        # Real contrasts show fewer tissues than the map names: let some share a value.
        for _ in range(int(rng.integers(0, 4))):
            one, other = rng.choice(np.arange(1, 13), 2, replace=False)
            means[one] = means[other]
        if rng.random() < 0.5:
            means[NAMES.index("ventricle")] = means[CSF]
    if rng.random() < 0.85:
        means[0] = 0.0
    return means.astype(np.float32), rng.uniform(0.0, 0.08, len(NAMES)).astype(np.float32)


def _lesions(
    image: Tensor, brain: Tensor, step_mm: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """The image with blobs, cavities and rings inside the target, and where they are, bool."""
    lesion = torch.zeros_like(brain)
    if not brain.any() or rng.random() > 0.75:
        return image, lesion
    where = brain.nonzero()
    if rng.random() < 0.5:  # at the surface, where a lesion is easily taken for fat or bone
        deep = -functional.max_pool2d(-brain[:, None].float(), 13, 1, 6)[:, 0]
        where = (brain & (deep < 0.5)).nonzero()
    scale = torch.tensor([step_mm, PIXEL_MM, PIXEL_MM])
    axes = [torch.arange(n) for n in image.shape]
    for _ in range(int(rng.integers(1, 4))):
        centre = where[int(rng.integers(len(where)))]
        radius = float(np.exp(rng.uniform(np.log(3), np.log(35))))
        stretch = torch.from_numpy(rng.uniform(0.7, 1.4, 3)).float()
        d, x, y = (
            (axis - c) * float(s) * float(k)
            for axis, c, s, k in zip(axes, centre, scale, stretch, strict=True)
        )
        distance = torch.sqrt(d[:, None, None] ** 2 + x[None, :, None] ** 2 + y[None, None] ** 2)
        distance = distance / radius + 0.35 * smooth_field(rng, tuple(image.shape), (4, 14, 14))[0]
        blob = torch.sigmoid((1 - distance) * rng.uniform(4, 20)) * brain
        lesion |= blob > 0.5
        if rng.random() < 0.25:  # a cavity, or what surgery left
            image = image + (_uniform(rng, 0.0, 0.2) - image) * blob
            continue
        image = image + (_uniform(rng, 0.0, 1.5) - image) * blob * float(rng.uniform(0.4, 1.0))
        if rng.random() < 0.3:
            core = torch.sigmoid((0.65 - distance) * 15) * brain
            image = image + (_uniform(rng, 0.0, 1.5) - image) * core
    return image, lesion


def _scanner(image: Tensor, outside: Tensor, inside: Tensor, rng: np.random.Generator) -> Tensor:
    """What lies between tissue and picture: resolution, bias, gamma, field of view, noise."""
    shape = tuple(image.shape)
    if rng.random() < 0.08:  # someone stripped the skull before us, more or less tightly
        width = 2 * int(rng.integers(0, 3)) + 1
        kept = functional.max_pool2d(inside[:, None].float(), width, 1, width // 2)[:, 0]
        image = image * kept
        outside[:] = 1 - kept
    image = _blur(image, rng.uniform(0.2, 1.1), rng.uniform(0.2, 1.1))
    image = image * torch.exp(rng.uniform(0, 0.35) * smooth_field(rng, shape, (3, 4, 4))[0])
    image = image.clamp_min(0) ** float(np.exp(rng.normal(0, 0.25)))
    if rng.random() < 0.1:
        edge = int(rng.integers(5, 35))
        axis = int(rng.integers(1, 3))
        start = 0 if rng.random() < 0.5 else GRID - edge
        image.narrow(axis, start, edge).zero_()
    noise = float(rng.uniform(0, 0.06) if rng.random() < 0.85 else rng.uniform(0.06, 0.15))
    image = torch.hypot(image + noise * _normal(rng, shape), noise * _normal(rng, shape))
    if rng.random() < 0.3:
        # Many stored series have their background set to zero.
        image = image * (outside < 0.5)
    return image


def _blur(image: Tensor, along_x: float, along_y: float) -> Tensor:
    """Gaussian blur in the plane, spreads in pixels."""
    taps = torch.arange(-3, 4).float()
    out = image[:, None]
    for spread, shape in ((along_x, (1, 1, 7, 1)), (along_y, (1, 1, 1, 7))):
        kernel = torch.exp(-0.5 * (taps / spread) ** 2)
        out = functional.conv2d(out, (kernel / kernel.sum()).reshape(shape), padding="same")
    return out[:, 0]


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def _uniform(rng: np.random.Generator, low: float, high: float) -> Tensor:
    return torch.tensor(rng.uniform(low, high), dtype=torch.float32)
