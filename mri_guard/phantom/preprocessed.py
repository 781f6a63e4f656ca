"""A phantom as a model sees it, where no brain mask can be wrong."""

import numpy as np
from numpy.typing import NDArray

from mri_guard.phantom.render import Phantom
from mri_guard.preprocess import normalised
from mri_guard.preprocess.grid import centre, resample
from mri_guard.preprocess.head_mask import head_mask
from mri_guard.preprocess.orientation import to_ras
from mri_guard.records import Preprocessed


def preprocessed(phantom: Phantom) -> tuple[Preprocessed, NDArray[np.bool_]]:
    """The phantom on the model's grid and intensity with its true brain, and its lesion there.

    As `Preprocess` does it, with the phantom's truth in the place of a brain mask.

    Returns:
        The scan, and the lesion, bool, (x, y, z): where at least half of the voxel is.
    """
    image, affine = resample(*to_ras(phantom.voxels.astype(np.float32), phantom.affine))
    found = head_mask(image)
    brain, lesion = (
        centre(resample(*to_ras(truth.astype(np.float32), phantom.affine))[0], found, affine)[0]
        >= 0.5
        for truth in (phantom.brain, phantom.lesion)
    )
    image, head, affine = centre(image, found, affine)
    return normalised(image, head, brain, affine), np.asarray(lesion)
