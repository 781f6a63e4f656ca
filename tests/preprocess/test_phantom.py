"""The shipped brain mask on rendered heads, whose brain is known."""

import numpy as np
import pytest

import bundles
from mri_guard import bundle
from mri_guard.determinism import generator
from mri_guard.evaluation.brain_mask import dice
from mri_guard.phantom import LesionKind, draw_parameters, render
from mri_guard.preprocess import Preprocess, to_scan_grid
from mri_guard.records import Contrast
from tests.preprocess.heads import scan_of


@pytest.mark.parametrize("contrast", [Contrast.FLAIR, Contrast.T1])
def test_finds_the_brain_and_keeps_its_lesion(contrast: Contrast) -> None:
    rng = generator(0, "brain-mask-phantom", contrast)
    phantom = render(draw_parameters(rng, contrast, (LesionKind.BRIGHT,)))
    scan = scan_of(phantom.voxels.astype(np.float32), phantom.affine.copy())
    result = Preprocess(bundle.brain_mask(bundles.DEFAULT))(scan)
    found = to_scan_grid(result.brain.astype(np.float32), result.affine, scan) > 0.5
    assert dice(found, phantom.brain) > 0.9
    assert found[phantom.lesion].mean() > 0.95
