from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mri_guard.determinism import generator
from mri_guard.phantom import LesionKind, Phantom, draw_parameters, render
from mri_guard.phantom.preprocessed import preprocessed
from mri_guard.preprocess import Preprocess
from mri_guard.readers.manifest import lesion_on_grid
from tests.preprocess.heads import scan_of


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    rng = generator(0, "preprocessed phantom")
    return render(draw_parameters(rng, lesion_kinds=(LesionKind.BRIGHT,), slices=20))


def test_is_what_preprocessing_gives_when_the_brain_mask_is_right(phantom: Phantom) -> None:
    seen, _ = preprocessed(phantom)
    right = Preprocess(lambda *_: seen.brain)
    through = right(scan_of(phantom.voxels.astype(np.float32), phantom.affine.copy()))
    assert np.array_equal(seen.image, through.image)
    assert np.array_equal(seen.head, through.head)
    assert np.array_equal(seen.affine, through.affine)


def test_puts_brain_and_lesion_where_a_manifest_would(phantom: Phantom, tmp_path: Path) -> None:
    seen, lesion = preprocessed(phantom)
    assert lesion.any()
    for truth, there in ((phantom.lesion, lesion), (phantom.brain, seen.brain)):
        file = tmp_path / "truth.nii.gz"
        nib.save(nib.Nifti1Image(truth.astype(np.uint8), phantom.affine), file)
        x, y, z = seen.image.shape
        wanted = lesion_on_grid(file, seen.affine, (x, y, z))
        overlap = 2 * (wanted & there).sum() / (wanted.sum() + there.sum())
        assert overlap > 0.95
