from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.training.lesion_shapes import lesion_shapes
from mri_guard.training.synthetic_lesions import (
    HELD_OUT,
    RADII_PX,
    TRAINED,
    Change,
    Kind,
    coarse_noise,
    corrupt,
    dark,
    kinds,
    real_shape,
    shift,
    smooth_noise,
)

SHAPE = (3, 48, 48)


def window(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    x, y = np.mgrid[:48, :48]
    disc = (x - 24) ** 2 + (y - 24) ** 2 < 20**2
    brain = np.broadcast_to(disc, SHAPE).copy()
    image = 0.5 + 0.2 * smooth_noise(SHAPE, 6.0, 3.0, generator(seed, "window"))
    return np.where(brain, image, 0).astype(np.float32), brain


def corrupted(
    image: NDArray[np.float32],
    brain: NDArray[np.bool_],
    kind: Kind,
    rng: np.random.Generator,
    **others: Any,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    changed, soft = corrupt(image, brain, window(1)[0], kind, depth_px=2.5, rng=rng, **others)
    assert soft is not None
    return changed, soft


@pytest.mark.parametrize("family", [*TRAINED, *HELD_OUT, dark], ids=lambda family: family.__name__)
def test_changes_the_brain_inside_the_lesion_and_nothing_outside_the_brain(family: Change) -> None:
    image, brain = window()
    inside, outside = [], []
    for draw in range(30):
        rng = generator(0, "lesion", draw)
        kind = kinds((family,))[int(rng.integers(9))]
        changed, soft = corrupted(image, brain, kind, rng)
        difference = np.abs(changed - image)
        assert not difference[~brain].any()
        if (soft >= 0.5).any():
            inside.append(difference[soft >= 0.5].mean())
            outside.append(difference[brain & (soft < 0.01)].mean())
    assert np.mean(inside) > 0.03
    assert np.mean(inside) > 5 * np.mean(outside)


@pytest.mark.parametrize("family", [*TRAINED, *HELD_OUT], ids=lambda family: family.__name__)
def test_changes_more_in_a_stronger_lesion(family: Change) -> None:
    image, brain = window()

    def change(strength: float) -> float:
        kind = Kind(family, (6.0, 8.0), (strength, strength))
        rngs = (generator(0, "strength", draw) for draw in range(40))
        return float(np.mean([np.abs(corrupted(image, brain, kind, r)[0] - image) for r in rngs]))

    assert change(1.0) > 1.15 * change(0.0)


def test_makes_lesions_of_the_size_that_was_asked_for() -> None:
    image, brain = window()
    areas = []
    for radius in RADII_PX[:2]:
        kind = Kind(TRAINED[0], radius, (0.5, 0.5))
        rngs = (generator(0, "size", draw) for draw in range(60))
        areas.append(np.mean([(corrupted(image, brain, kind, r)[1] > 0.5).sum() for r in rngs]))
    assert areas[1] > 4 * areas[0] > 0


def test_draws_every_kind_of_the_families_once() -> None:
    drawn = kinds(TRAINED)
    assert len(set(drawn)) == len(drawn) == len(TRAINED) * 9


def test_holds_families_out_that_it_does_not_train_on() -> None:
    assert not {family.__name__ for family in TRAINED} & {family.__name__ for family in HELD_OUT}
    assert len(HELD_OUT) == 2


def test_draws_the_same_lesion_for_the_same_seed_and_leaves_its_input_alone() -> None:
    image, brain = window()
    before = image.copy()
    kind = kinds(TRAINED)[4]
    one, again, other = (
        corrupted(image, brain, kind, generator(seed, "lesion"))[0] for seed in (3, 3, 4)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(image, before)


def test_draws_brighter_and_darker_lesions_and_dark_ones_alone_where_asked() -> None:
    image, brain = window()

    def signs(family: Change) -> set[float]:
        kind = Kind(family, (6.0, 8.0), (0.5, 1.0))
        rngs = (generator(0, "signs", draw) for draw in range(20))
        return {float(np.sign((corrupted(image, brain, kind, r)[0] - image).sum())) for r in rngs}

    assert signs(shift) == {-1.0, 1.0}
    assert signs(dark) == {-1.0}


def test_leaves_a_window_without_brain_as_it_is() -> None:
    image, brain = window()
    empty = np.zeros_like(brain)
    for shapes in ((), (np.ones((5, 5, 5), np.float32),)):
        for draw in range(4):
            changed, soft = corrupt(
                image,
                empty,
                image,
                kinds(TRAINED)[0],
                depth_px=2.5,
                rng=generator(draw),
                shapes=shapes,
            )
            assert soft is None
            assert np.array_equal(changed, image)


def test_takes_the_form_of_a_real_lesion_at_the_size_asked_for() -> None:
    """A bar of 3 x 3 x 27 voxels stays much longer than wide, and fills what a ball would."""
    bar = np.zeros((9, 33, 9), np.float32)
    bar[3:6, 3:30, 3:6] = 1
    brain = np.ones((41, 96, 96), np.bool_)
    ratios, volumes = [], []
    for draw in range(15):  # some lie at the window's edge
        soft = real_shape(bar, brain, 1.0, 4.0, generator(draw, "bar"))
        assert soft is not None
        inside = np.argwhere(soft > 0.5)
        spread = np.sqrt(np.linalg.eigvalsh(np.cov(inside.T)))
        ratios.append(spread[2] / spread[1])
        volumes.append(len(inside))
    assert np.median(ratios) > 4
    assert np.median(volumes) == pytest.approx(4 / 3 * np.pi * 4**3, rel=0.25)


def test_reads_the_pieces_of_masks_and_leaves_specks(tmp_path: Path) -> None:
    mask = np.zeros((40, 40, 40), np.float32)
    mask[5:11, 5:11, 5:11] = 1
    mask[20:30, 20:24, 20:25] = 1
    mask[35, 35, 35] = 1
    nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), tmp_path / "one.nii.gz")
    shapes = lesion_shapes(tmp_path)
    assert sorted(int((shape > 0.5).sum()) for shape in shapes) == pytest.approx(
        [200, 216], rel=0.15
    )
    with pytest.raises(SettingsError, match="no lesion of 60 voxels"):
        lesion_shapes(tmp_path / "none")


def test_makes_noise_of_unit_spread_that_is_smoother_for_larger_cells() -> None:
    fine, coarse = (smooth_noise((3, 64, 64), cell, 2.5, generator(1)) for cell in (2.0, 16.0))
    assert fine.std() == pytest.approx(1, abs=1e-3)
    steps = [np.abs(np.diff(field, axis=1)).mean() for field in (fine, coarse)]
    assert steps[1] < 0.3 * steps[0]


def test_puts_coarse_noise_inside_the_brain_alone() -> None:
    image, brain = window()
    noisy = coarse_noise(image, brain, generator(0, "noise"))
    assert not (noisy - image)[~brain].any()
    assert (noisy - image)[brain].std() > 0
