"""What makes one phantom differ from another; drawn once, so that every phantom can be replayed."""

from enum import StrEnum

import numpy as np
from pydantic import Field

from mri_guard.records import Contrast, Finite, Record


class LesionKind(StrEnum):
    """What a lesion looks like on the image."""

    BRIGHT = "bright"
    DARK = "dark"
    RING = "ring"
    MASS = "mass"


class Lesion(Record):
    """One lesion.

    Attributes:
        kind: what it looks like; a mass also pushes its surroundings away.
        radius_mm: of the ball that its irregular shape is grown from.
        strength: change of intensity relative to the tissue it replaces, signed.
        irregularity: how far the surface leaves the ball, in radii.
        seed: of its place and shape.
    """

    kind: LesionKind
    radius_mm: float = Field(ge=2, le=40)
    strength: Finite
    irregularity: float = Field(ge=0, le=0.6)
    seed: int


class PhantomParameters(Record):
    """Everything that `render` needs; the fields themselves are drawn from `seed`.

    Attributes:
        seed: of deformation, texture, bias field and noise.
        contrast: FLAIR or T1.
        in_plane: pixels along x and y.
        pixel_mm: their size.
        slices: axial slices.
        spacing_mm: from one slice to the next; slices are as thick, without gaps.
        deformation_mm: standard deviation of the smooth displacement.
        scale: size of the head relative to the atlas, along x, y, z.
        tilt_deg: rotation about x, y, z.
        ventricle_mm: how far the ventricles' walls move outwards.
        atrophy: share of the cortex beside a sulcus that gives way to fluid, 0 to 1.
        skull_mm: thickness of the skull.
        scalp_mm: thickness of the scalp.
        tissue: mean intensity of each tissue, white matter near 1.
        texture: standard deviation of the tissue texture, relative.
        bias: standard deviation of the logarithm of the bias field.
        blur_px: standard deviation of the in-plane point spread.
        noise: standard deviation of the Rician noise's two channels, relative to white matter.
        gain: scanner units of an intensity of 1.
        lesions: none in a healthy head.
    """

    seed: int
    contrast: Contrast
    in_plane: int = Field(default=256, ge=64, le=512)
    pixel_mm: float = Field(default=1.0, gt=0)
    slices: int = Field(default=24, ge=8, le=256)
    spacing_mm: float = Field(default=6.0, gt=0)
    deformation_mm: float = Field(ge=0, le=4)
    scale: tuple[Finite, Finite, Finite]
    tilt_deg: tuple[Finite, Finite, Finite]
    ventricle_mm: float = Field(ge=-1.5, le=2)
    atrophy: float = Field(ge=0, le=1)
    skull_mm: float = Field(ge=3, le=10)
    scalp_mm: float = Field(ge=2, le=10)
    tissue: dict[str, Finite]
    texture: float = Field(ge=0, le=0.2)
    bias: float = Field(ge=0, le=0.4)
    blur_px: float = Field(ge=0, le=3)
    noise: float = Field(ge=0, le=0.2)
    gain: float = Field(gt=0, le=2000)
    lesions: tuple[Lesion, ...] = ()


LOOKS: dict[Contrast, dict[str, tuple[float, float]]] = {
    Contrast.FLAIR: {
        "white_matter": (1.0, 0.02),
        "gray_matter": (1.22, 0.08),
        "fluid": (0.22, 0.06),
        "skull": (0.14, 0.04),
        "marrow": (0.55, 0.15),
        "scalp": (1.45, 0.25),
        "muscle": (0.65, 0.1),
        "eye": (0.25, 0.08),
    },
    Contrast.T1: {
        "white_matter": (1.0, 0.02),
        "gray_matter": (0.74, 0.03),
        "fluid": (0.28, 0.05),
        "skull": (0.12, 0.03),
        "marrow": (0.8, 0.15),
        "scalp": (1.35, 0.2),
        "muscle": (0.55, 0.08),
        "eye": (0.3, 0.06),
    },
}
"""Mean and spread, over heads, of each tissue's intensity."""

STRENGTHS = {
    LesionKind.BRIGHT: (0.3, 0.8),
    LesionKind.DARK: (-0.7, -0.35),
    LesionKind.RING: (0.4, 0.8),
    LesionKind.MASS: (0.15, 0.5),
}


def draw_parameters(
    rng: np.random.Generator,
    contrast: Contrast = Contrast.FLAIR,
    lesion_kinds: tuple[LesionKind, ...] = (),
    slices: int = 24,
    spacing_mm: float = 6.0,
) -> PhantomParameters:
    """Parameters of one head.

    Args:
        rng: draws them.
        contrast: FLAIR or T1.
        lesion_kinds: one lesion each; empty for a healthy head.
        slices: axial slices.
        spacing_mm: from one slice to the next.

    Raises:
        ValueError: there is no look for this contrast.
    """
    if contrast not in LOOKS:
        raise ValueError(f"no phantom looks like {contrast}; wanted {' or '.join(LOOKS)}")
    return PhantomParameters(
        seed=int(rng.integers(2**31)),
        contrast=contrast,
        slices=slices,
        spacing_mm=spacing_mm,
        deformation_mm=rng.uniform(1.0, 3.0),
        scale=tuple(float(value) for value in rng.uniform(0.93, 1.05, 3)),
        tilt_deg=tuple(float(value) for value in rng.normal(0, 3, 3).clip(-8, 8)),
        ventricle_mm=rng.uniform(-1.0, 2.0),
        atrophy=rng.uniform(0, 0.8),
        skull_mm=rng.uniform(4, 8),
        scalp_mm=rng.uniform(3, 7),
        tissue={
            name: float(max(0.05, rng.normal(mean, spread)))
            for name, (mean, spread) in LOOKS[contrast].items()
        },
        texture=rng.uniform(0.03, 0.08),
        bias=rng.uniform(0.02, 0.12),
        blur_px=rng.uniform(0.2, 0.7),
        noise=rng.uniform(0.02, 0.07),
        gain=rng.uniform(250, 900),
        lesions=tuple(_draw_lesion(rng, kind) for kind in lesion_kinds),
    )


def _draw_lesion(rng: np.random.Generator, kind: LesionKind) -> Lesion:
    smallest = 8 if kind in (LesionKind.RING, LesionKind.MASS) else 2.5
    return Lesion(
        kind=kind,
        radius_mm=float(np.exp(rng.uniform(np.log(smallest), np.log(20)))),
        strength=rng.uniform(*STRENGTHS[kind]),
        irregularity=rng.uniform(0.1, 0.45),
        seed=int(rng.integers(2**31)),
    )
