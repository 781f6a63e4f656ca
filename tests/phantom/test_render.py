from functools import cache

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from mri_guard.determinism import generator
from mri_guard.phantom import LesionKind, Phantom, PhantomParameters, draw_parameters, render
from mri_guard.phantom.render import smooth_noise, to_atlas
from mri_guard.records import Contrast

SMALL = {"in_plane": 128, "pixel_mm": 2.0, "slices": 16, "spacing_mm": 9.0}


def _parameters(*kinds: LesionKind, **changes: object) -> PhantomParameters:
    drawn = draw_parameters(generator(0, "test phantom"), lesion_kinds=kinds)
    return drawn.model_copy(update=SMALL | changes)


@cache
def _healthy() -> Phantom:
    return render(_parameters())


def test_gives_the_same_phantom_for_the_same_parameters() -> None:
    again = render(PhantomParameters.model_validate_json(_parameters().model_dump_json()))
    assert np.array_equal(again.voxels, _healthy().voxels)


def test_gives_another_head_for_another_seed() -> None:
    assert not np.array_equal(render(_parameters(seed=1)).voxels, _healthy().voxels)


def test_marks_no_lesion_in_a_healthy_head() -> None:
    assert not _healthy().lesion.any()


def test_centre_of_the_brain_lies_near_the_middle_of_the_world() -> None:
    phantom = _healthy()
    indices = np.argwhere(phantom.brain).mean(0)
    world = phantom.affine @ [*indices, 1]
    assert np.abs(world[:3] - [0, -18, 6]).max() < 15


@pytest.mark.parametrize("kind", [LesionKind.BRIGHT, LesionKind.DARK, LesionKind.RING])
def test_changes_nothing_outside_the_mask_of_a_lesion_that_does_not_push(
    kind: LesionKind,
) -> None:
    lesioned = render(_parameters(kind))
    healthy = render(_parameters(seed=lesioned.parameters.seed))
    assert lesioned.lesion.any()
    outside = ~lesioned.lesion
    assert np.array_equal(lesioned.clean[outside], healthy.clean[outside])


@pytest.mark.parametrize(("kind", "sign"), [(LesionKind.BRIGHT, 1), (LesionKind.DARK, -1)])
def test_changes_the_intensity_inside_the_mask_as_promised(kind: LesionKind, sign: int) -> None:
    lesioned = render(_parameters(kind))
    healthy = render(_parameters(seed=lesioned.parameters.seed))
    change = (lesioned.clean - healthy.clean)[lesioned.lesion]
    assert np.mean(sign * change >= 0) > 0.99
    assert np.median(sign * change) > 0.2


def test_ring_is_bright_around_a_dark_core() -> None:
    lesioned = render(_parameters(LesionKind.RING))
    values = lesioned.clean[lesioned.lesion]
    white = lesioned.parameters.tissue["white_matter"]
    assert values.max() > 1.2 * white
    assert np.isclose(values.min(), 0.5 * white, atol=0.01)


def test_mass_moves_the_tissue_around_it() -> None:
    lesioned = render(_parameters(LesionKind.MASS))
    healthy = render(_parameters(seed=lesioned.parameters.seed))
    moved = (lesioned.clean != healthy.clean) & ~lesioned.lesion
    assert np.any(moved & lesioned.brain)
    bone = ~binary_dilation(healthy.brain, iterations=3)
    assert not np.any(moved & bone)


def test_lesions_lie_inside_the_brain() -> None:
    for kind in LesionKind:
        phantom = render(_parameters(kind))
        assert phantom.brain[phantom.lesion].all()


@pytest.mark.parametrize("name", ["ventricle_mm", "atrophy"])
def test_more_of_it_means_more_fluid(name: str) -> None:
    volumes = [render(_parameters(**{name: value})).fluid_ml for value in (0.0, 0.5, 1.0)]
    assert volumes == sorted(volumes)
    assert volumes[-1] > 1.02 * volumes[0]


@pytest.mark.parametrize("seed", range(4))
def test_deformation_never_folds_inside_the_head(seed: int) -> None:
    parameters = _parameters(seed=seed, deformation_mm=3.0, ventricle_mm=2.0)
    spacing = (parameters.pixel_mm, parameters.pixel_mm, parameters.spacing_mm)
    points = to_atlas(parameters)
    gradient = np.stack([np.stack(np.gradient(axis, *spacing)) for axis in points])
    determinant = np.linalg.det(np.moveaxis(gradient, (0, 1), (-2, -1)))
    assert determinant.min() > 0


def test_air_has_the_mean_of_rayleigh_noise() -> None:
    parameters = _parameters(noise=0.05, bias=0.0, blur_px=0.0, gain=2000.0)
    phantom = render(parameters)
    air = phantom.clean == 0
    expected = parameters.noise * np.sqrt(np.pi / 2) * parameters.gain
    assert phantom.voxels[air].mean() == pytest.approx(expected, rel=0.01)


def test_smooth_noise_has_zero_mean_unit_spread_and_the_length_it_was_asked_for() -> None:
    field = smooth_noise((40, 40, 40), (1.0, 1.0, 1.0), 10.0, generator(0, "noise"))
    assert field.mean() == pytest.approx(0, abs=1e-4)
    assert field.std() == pytest.approx(1, abs=1e-4)
    near = np.corrcoef(field[:-2].ravel(), field[2:].ravel())[0, 1]
    far = np.corrcoef(field[:-20].ravel(), field[20:].ravel())[0, 1]
    assert near > 0.9
    assert abs(far) < 0.5


def test_flair_has_dark_fluid_and_t1_bright_white_matter() -> None:
    flair = _healthy().parameters.tissue
    t1 = draw_parameters(generator(0, "test phantom"), Contrast.T1).tissue
    assert flair["fluid"] < flair["white_matter"] < flair["gray_matter"]
    assert t1["fluid"] < t1["gray_matter"] < t1["white_matter"]


def test_refuses_a_contrast_it_cannot_paint() -> None:
    with pytest.raises(ValueError, match="no phantom looks like T2"):
        draw_parameters(generator(0, "test phantom"), Contrast.T2)
