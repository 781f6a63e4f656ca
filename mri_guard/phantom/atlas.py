"""The ICBM152 2009a tissue maps, and what surrounds the brain, in the atlas's own millimetres.

Maps: Fonov et al. 2009, NeuroImage 47, S102, doi:10.1016/S1053-8119(09)70884-5, as the nilearn
package ships them. The maps end at the brain's surface; fluid, skull, scalp, eyes, face and neck
are ours, made from distances.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import nibabel as nib
import nilearn
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

COARSE_MM = 2.0
EYES_MM = ((-32.0, 60.0, -38.0), (32.0, 60.0, -38.0))
EYE_RADIUS_MM = 12.0

Share = NDArray[np.float32]


VENTRICLE_REACH_MM = 14.0
"""How far from the ventricles' walls their shift fades away."""


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """Fields over the atlas that are sampled together.

    Attributes:
        values: float32, (fields, x, y, z).
        size_mm: of a voxel.
        origin_mm: world position of voxel (0, 0, 0); axes are RAS+.
    """

    values: NDArray[np.float32]
    size_mm: float
    origin_mm: NDArray[np.float64]


@lru_cache(maxsize=4)
def tissue_shares(slice_thickness_mm: int) -> Fields:
    """White matter, gray matter, brain and how near fluid is, each 0..1, on 1 mm.

    What is brain and neither white nor gray is fluid.

    Args:
        slice_thickness_mm: the maps are averaged along z with a Gaussian of the same variance as
            a box of this thickness.
    """
    white, gray, brain, origin = _shares()
    sigma = slice_thickness_mm / np.sqrt(12)
    white, gray, brain = (
        ndimage.gaussian_filter1d(share, sigma, axis=2) for share in (white, gray, brain)
    )
    fluid = np.maximum(brain - white - gray, 0)
    sulcus = np.clip(3 * ndimage.gaussian_filter(fluid, 2.0), 0, 1)
    return Fields(np.stack([white, gray, brain, sulcus]), 1.0, origin)


@cache
def ventricle_wall() -> Fields:
    """Displacement that moves the ventricles' walls outwards by 1 mm, along x, y and z."""
    white, gray, brain, origin = _shares()
    coarse = np.s_[::2, ::2, ::2]
    fluid = (brain - white - gray)[coarse]
    x, y, z = _world(fluid.shape, origin)
    central = (abs(x) < 36) & (y > -60) & (y < 40) & (z > -12) & (z < 38)
    deep = _signed_distance(brain[coarse] > 0) < -12
    distance = ndimage.gaussian_filter(_signed_distance((fluid > 0.5) & central & deep), 1.0)
    fade = np.exp(-((distance / VENTRICLE_REACH_MM) ** 2))
    slope = np.stack(np.gradient(distance, COARSE_MM)) * fade
    return Fields(np.asarray(slope, dtype=np.float32), COARSE_MM, origin)


@cache
def surfaces() -> Fields:
    """Signed distance in mm to the hull of the brain and to face and neck, < 0 inside."""
    _, _, brain, origin = _shares()
    solid = np.pad(brain[::2, ::2, ::2] > 0, 8)
    hull = ndimage.binary_closing(solid, iterations=6)[8:-8, 8:-8, 8:-8]
    distance = ndimage.gaussian_filter(_signed_distance(hull), 1.0)
    face = _face_and_neck(*_world(hull.shape, origin))
    return Fields(np.stack([distance, face]).astype(np.float32), COARSE_MM, origin)


@cache
def _shares() -> tuple[Share, Share, Share, NDArray[np.float64]]:
    """White matter, gray matter and brain, and the world position of the first voxel."""
    white, origin = _map("wm")
    gray, _ = _map("gm")
    t1, _ = _map("t1")
    brain = (t1 > 0).astype(np.float32)
    scale = brain / np.float32(255)
    white, gray = white * scale, gray * scale
    excess = np.maximum(white + gray, 1)
    return white / excess, gray / excess, brain, origin


def _map(name: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """One map as float32 and the world position of its first voxel."""
    folder = Path(nilearn.__file__).parent / "datasets" / "data"
    image = nib.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
    return np.asarray(image.dataobj, dtype=np.float32), np.asarray(image.affine[:3, 3])


def _world(
    shape: tuple[int, ...], origin: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    axes = (start + COARSE_MM * np.arange(n) for n, start in zip(shape, origin, strict=True))
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    return x, y, z


def _signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Signed distance in mm on the coarse grid, negative inside; the grid's border is outside."""
    padded = np.pad(mask, 1)
    outwards = ndimage.distance_transform_edt(~padded, sampling=COARSE_MM)
    inwards = ndimage.distance_transform_edt(padded, sampling=COARSE_MM)
    return np.asarray((outwards - inwards)[1:-1, 1:-1, 1:-1], dtype=np.float32)


def _face_and_neck(
    x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]
) -> NDArray[np.float32]:
    """About the signed distance to an ellipsoid for the face and a cylinder for the neck."""
    face = (np.sqrt((x / 62) ** 2 + ((y - 28) / 62) ** 2 + ((z + 62) / 66) ** 2) - 1) * 62
    neck = np.maximum(np.hypot(x, (y + 30) * 0.9) - 58, z + 40)
    return np.asarray(np.minimum(face, neck), dtype=np.float32)
