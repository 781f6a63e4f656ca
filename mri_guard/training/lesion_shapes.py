"""Forms of real lesions, from masks without images, for synthetic ones."""

from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from mri_guard.errors import SettingsError
from mri_guard.training.synthetic_lesions import Window

SMALLEST_VOXELS = 60
"""A smaller piece shows its voxels, not its form."""


def lesion_shapes(folder: Path) -> tuple[Window, ...]:
    """The connected pieces of all masks of a folder, smoothed, float32, (a, b, c), 0..1.

    Args:
        folder: of masks, `*.nii.gz`, with voxels of equal sides.

    Raises:
        SettingsError: there is no piece of `SMALLEST_VOXELS`.
    """
    shapes = []
    for path in sorted(folder.glob("*.nii.gz")):
        mask = np.asarray(nibabel.load(path).dataobj) > 0
        labels, _ = ndimage.label(mask)
        for index, place in enumerate(ndimage.find_objects(labels), start=1):
            piece = labels[place] == index
            if piece.sum() >= SMALLEST_VOXELS:
                # A rim of nothing, so that the form ends where it ends.
                smooth = ndimage.gaussian_filter(np.pad(piece, 3).astype(np.float32), 0.8)
                shapes.append(np.asarray(smooth, dtype=np.float32))
    if not shapes:
        raise SettingsError(
            f"no lesion of {SMALLEST_VOXELS} voxels or more in {folder}, wanted masks as *.nii.gz"
        )
    return tuple(shapes)
