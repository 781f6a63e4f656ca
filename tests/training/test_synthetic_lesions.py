import numpy as np
import pytest
from numpy.typing import NDArray

from mri_guard.determinism import generator
from mri_guard.training.augmentation import Appearance
from mri_guard.training.synthetic_lesions import (
    HELD_OUT,
    TRAINED,
    Change,
    blob,
    coarse_noise,
    corrupt,
    smooth_noise,
)

SHAPE = (3, 48, 48)


def window(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    x, y = np.mgrid[:48, :48]
    disc = (x - 24) ** 2 + (y - 24) ** 2 < 20**2
    brain = np.broadcast_to(disc, SHAPE).copy()
    image = 0.5 + 0.2 * smooth_noise(SHAPE, 6.0, 3.0, generator(seed, "window"))
    return np.where(brain, image, 0).astype(np.float32), brain


@pytest.mark.parametrize("family", [*TRAINED, *HELD_OUT], ids=lambda family: family.__name__)
def test_changes_the_brain_inside_the_lesion_and_nothing_outside_the_brain(family: Change) -> None:
    image, brain = window()
    donor, _ = window(1)
    inside, outside = [], []
    for draw in range(30):
        rng = generator(0, "lesion", draw)
        changed, lesion = corrupt(image, brain, donor, (family,), depth_px=2.5, rng=rng)
        assert lesion is not None
        assert lesion.family == family.__name__
        difference = np.abs(changed - image)
        assert not difference[~brain].any()
        if lesion.mask.any():
            inside.append(difference[lesion.mask].mean())
            outside.append(difference[brain & (lesion.soft < 0.01)].mean())
    assert np.mean(inside) > 0.03
    assert np.mean(inside) > 5 * np.mean(outside)


def test_holds_families_out_that_it_does_not_train_on() -> None:
    assert not {family.__name__ for family in TRAINED} & {family.__name__ for family in HELD_OUT}
    assert len(HELD_OUT) == 2


def test_draws_the_same_lesion_for_the_same_seed_and_leaves_its_input_alone() -> None:
    image, brain = window()
    before = image.copy()
    one, again, other = (
        corrupt(image, brain, image, TRAINED, depth_px=2.5, rng=generator(seed, "lesion"))[0]
        for seed in (3, 3, 4)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(image, before)


def test_draws_brighter_and_darker_lesions() -> None:
    image, brain = window()
    signs = set()
    for draw in range(20):
        rng = generator(0, "signs", draw)
        changed, lesion = corrupt(image, brain, image, TRAINED[:1], depth_px=2.5, rng=rng)
        assert lesion is not None
        signs.add(np.sign((changed - image).sum()))
    assert signs == {-1.0, 1.0}


def test_leaves_a_window_without_brain_as_it_is() -> None:
    image, brain = window()
    empty = np.zeros_like(brain)
    changed, lesion = corrupt(image, empty, image, TRAINED, depth_px=2.5, rng=generator(0))
    assert lesion is None
    assert np.array_equal(changed, image)
    assert blob(empty, 2.5, generator(0)) is None


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


def test_leaves_the_look_alone_when_all_spreads_are_nought() -> None:
    image, brain = window()
    still = Appearance(gamma=0, gain=0, offset=0, bias=0, noise=0)
    assert np.allclose(still(image, brain, generator(0)), image, atol=1e-6)


def test_changes_the_look_everywhere_in_the_brain_and_nowhere_else() -> None:
    image, brain = window()
    other = Appearance()(image, brain, generator(0, "look"))
    assert not other[~brain].any()
    assert np.mean(other[brain] != image[brain]) > 0.99
    # Brighter stays brighter: a look is no lesion.
    assert np.corrcoef(other[brain], image[brain])[0, 1] > 0.9
