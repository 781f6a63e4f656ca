"""Healthy brains that nobody has, from label maps: more anatomy for the anomaly model to learn.

As in SynthSeg (Billot et al. 2023, Medical Image Analysis 86, 102789), a label map is deformed and
every tissue draws its own intensity. We depart from it in the draws, which keep the tissues in the
order that the bundle's contrast has, since a model that had seen every order could find none
unusual.
"""

import logging
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mri_guard.artifacts import BiasField, RicianNoise
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.preprocess.grid import PIXEL_MM
from mri_guard.preprocess.intensity import brain_range, normalise
from mri_guard.records import Contrast, Preprocessed
from mri_guard.training.synthetic_heads import (
    BRAIN,
    CSF,
    NAMES,
    HeadLabels,
    load_head,
    look_up,
    sampled_at,
    smooth_field,
)

logger = logging.getLogger(__name__)

DEFORMATION = 0.5
"""Share of what the brain mask is trained with, which has heads larger than any healthy one."""

MOST_LESION_ML = 10.0
MOST_FLUID = 0.42
"""CSF around the brain, per volume of brain."""

# (low, high) of cortex and of fluid, as multiples of white matter.
LOOKS = {
    Contrast.FLAIR: {"cortex": (1.08, 1.4), "fluid": (0.0, 0.3)},
    Contrast.T1: {"cortex": (0.55, 0.8), "fluid": (0.1, 0.3)},
}

# (low, high) of the way from white matter, 0, to cortex, 1, at which a tissue lies.
BETWEEN = {
    "white_matter": (0.0, 0.0),
    "lesion": (0.0, 0.0),
    "cortex": (1.0, 1.0),
    "hippocampus": (0.9, 1.2),
    "striatum": (0.6, 1.0),
    "thalamus": (0.2, 0.8),
    "pallidum": (-0.3, 0.4),
    "brain_stem": (-0.2, 0.4),
    "cerebellar_white_matter": (-0.2, 0.2),
    "cerebellar_cortex": (0.5, 1.0),
}

# (low, high) as multiples of white matter.
VESSELS = {"vessel_in_brain": (0.6, 1.0), "artery": (0.1, 0.8), "vein": (0.1, 0.9)}


def healthy_heads(
    label_maps: Path, contrast: Contrast, seed: int, each: int = 5
) -> list[Preprocessed]:
    """Heads as preprocessing gives them, `each` of every label map that shows a healthy brain.

    Args:
        label_maps: folder of whole-head label maps, `*.nii.gz`, 1 mm.
        contrast: whose order of tissues they show.
        seed: root seed.
        each: heads of one label map.

    Raises:
        SettingsError: no order of tissues is known for the contrast, or no map is healthy.
    """
    if contrast not in LOOKS:
        raise SettingsError(f"no synthetic heads in {contrast}; there are {', '.join(LOOKS)}")
    heads = []
    for path in sorted(label_maps.glob("*.nii.gz")):
        labels = load_head(path)
        if reason := not_healthy(labels):
            logger.warning("a label map is left out: %s", reason)
            continue
        heads += [
            synthesise_healthy(labels, contrast, generator(seed, "healthy head", path.name, number))
            for number in range(each)
        ]
    if not heads:
        raise SettingsError(f"no label map of a healthy head in {label_maps}, wanted *.nii.gz")
    return heads


def not_healthy(labels: HeadLabels) -> str | None:
    """Why a label map is none of a healthy brain, or None.

    Small lesions pass, since every map has some at the horns of its ventricles, and are painted
    over; but with many the rest of the brain is not what it was.
    """
    counts = np.bincount(labels.tissue.reshape(-1).numpy(), minlength=len(NAMES))
    brain, lesion_ml = counts[list(BRAIN)].sum(), counts[NAMES.index("lesion")] / 1000
    if lesion_ml > MOST_LESION_ML:
        return f"{lesion_ml:.0f} ml of white matter lesions, at most {MOST_LESION_ML:.0f} wanted"
    if counts[CSF] > MOST_FLUID * brain:
        return f"{counts[CSF] / brain:.2f} of CSF per brain, at most {MOST_FLUID} wanted"
    return None


def synthesise_healthy(
    labels: HeadLabels, contrast: Contrast, rng: np.random.Generator
) -> Preprocessed:
    """One head of a label map, deformed, in slices 3 to 7 mm apart, in one look of a contrast."""
    low, high = labels.brain_z
    gap_mm = float(rng.uniform(3, 7))
    heights = np.arange(low - rng.uniform(10, 17), high + 10, gap_mm)
    thick_mm = gap_mm * rng.uniform(0.7, 1.0)  # the rest is the gap between slices
    parts = round(thick_mm / 1.5)
    within = ((np.arange(parts) + 0.5) / parts - 0.5) * thick_mm

    points = sampled_at(labels, (heights[:, None] + within).ravel(), rng, DEFORMATION)
    means = torch.from_numpy(tissue_means(contrast, rng))
    image, brain = torch.zeros(points.shape[1:]), torch.zeros(points.shape[1:])
    for x, y in product((-PIXEL_MM / 4, PIXEL_MM / 4), repeat=2):  # what shares a pixel of 2 mm
        tissue, inside = look_up(labels, points + torch.tensor([x, y, 0.0])[:, None, None, None])
        image += means[tissue] / 4
        brain += inside / 4

    def thick(thin: Tensor) -> NDArray[np.float32]:
        stack = thin.reshape(len(heights), parts, *thin.shape[1:]).mean(dim=1)
        return np.ascontiguousarray(np.moveaxis(stack.numpy(), 0, 2))

    grain = 1 + rng.uniform(0, 0.06) * smooth_field(rng, tuple(image.shape), (len(heights), 24, 24))
    voxels = thick(image * grain[0])
    voxels = BiasField.draw(rng, rng.uniform(0, 0.4))(voxels)
    voxels = RicianNoise.draw(rng, rng.uniform(0, 0.2))(voxels)

    mask = thick(brain) >= 0.5
    floor, ceiling = brain_range(voxels, mask)
    return Preprocessed(
        image=normalise(voxels, mask, floor, ceiling),
        brain=mask,
        head=mask,
        affine=np.diag([PIXEL_MM, PIXEL_MM, gap_mm, 1.0]),
        intensity_low=floor,
        intensity_high=ceiling,
    )


def tissue_means(contrast: Contrast, rng: np.random.Generator) -> NDArray[np.float32]:
    """Mean of each tissue of `NAMES` in one look of a contrast, float32, white matter about 0.6.

    Lesions are white matter here; what is not brain, nor in it, is 0, and masked.
    """
    white = rng.uniform(0.5, 0.7)
    cortex, fluid = (white * rng.uniform(*LOOKS[contrast][part]) for part in ("cortex", "fluid"))
    means = {name: white + (cortex - white) * rng.uniform(*way) for name, way in BETWEEN.items()}
    means |= {name: white * rng.uniform(*share) for name, share in VESSELS.items()}
    means |= {name: fluid * rng.uniform(0.7, 1.3) for name in ("csf", "ventricle")}
    return np.array([means.get(name, 0.0) for name in NAMES], dtype=np.float32)
