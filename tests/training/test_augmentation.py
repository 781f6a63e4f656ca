import numpy as np
import pytest

from mri_guard.artifacts import RicianNoise, Spike
from mri_guard.determinism import generator
from mri_guard.training.augmentation import Appearance, acquired, coarser
from mri_guard.training.batches import Corruption, training_batch
from mri_guard.training.data import subject_of
from mri_guard.training.synthetic_lesions import Window
from tests.toys import TINY, toy_brain

STILL = Appearance(gamma=0, gain=0, offset=0, bias=0, noise=0, coarser_share=0, artifact_share=0)


def window() -> tuple[Window, np.ndarray]:
    return subject_of(toy_brain(generator(0, "look")), None, TINY).window(4)[:2]


def test_leaves_a_window_as_it_is_where_every_spread_is_nought() -> None:
    image, brain = window()
    rng = generator(0, "still")
    assert np.array_equal(STILL(image, brain, rng), image)
    spreadless = STILL.model_copy(
        update={"coarser": 0, "coarser_share": 1, "artifact_strength": 0, "artifact_share": 1}
    )
    for _ in range(20):
        assert np.allclose(spreadless(image, brain, rng), image, atol=1e-5)


def test_shows_nothing_outside_the_brain() -> None:
    image, brain = window()
    loud = Appearance(coarser_share=1, artifact_share=1, artifact_strength=1)
    for seed in range(20):
        looked = loud(image, brain, generator(seed, "outside"))
        assert looked.dtype == np.float32
        assert not looked[~brain].any()


@pytest.mark.parametrize("share", ["coarser_share", "artifact_share"])
def test_changes_the_share_of_windows_that_it_is_told_to(share: str) -> None:
    image, brain = window()
    look, rng = STILL.model_copy(update={share: 0.3}), generator(0, "share")
    changed = [not np.array_equal(look(image, brain, rng), image) for _ in range(200)]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.1)


def test_shows_an_artifact_in_input_and_target_alike() -> None:
    groups = [[subject_of(toy_brain(generator(0, "look")), None, TINY)]]
    look = STILL.model_copy(update={"artifact_share": 1.0, "artifact_strength": 1.0})
    clean = Corruption((), np.zeros(0), lesion_share=0, noise_share=0)
    batch = training_batch(groups, 0, 0, size=8, crop_px=48, corruption=clean, appearance=look)
    assert np.array_equal(batch.window[:, 1:2], batch.target)


def test_acquires_even_tissue_as_even_tissue_up_to_the_brains_edge() -> None:
    _, brain = window()
    even = np.where(brain, np.float32(0.7), np.float32(0))
    assert np.allclose(coarser(even, brain, np.array([1.5, 1.3])), even, atol=1e-5)


def test_loses_what_is_finer_than_its_pixels_along_that_side_and_keeps_what_is_not() -> None:
    brain = np.ones((3, 48, 48), dtype=np.bool_)
    x = np.arange(48, dtype=np.float32)[None, :, None]
    fine = np.broadcast_to((-1) ** x, brain.shape).astype(np.float32)
    coarse = np.broadcast_to(np.sin(2 * np.pi * x / 24), brain.shape).astype(np.float32)
    inner = np.s_[:, 4:-4, 4:-4]
    along_x, along_y = np.array([1.5, 1.0]), np.array([1.0, 1.5])
    assert coarser(fine, brain, along_x)[inner].std() < 0.35
    assert np.allclose(coarser(fine, brain, along_y), fine, atol=1e-5)
    assert np.allclose(coarser(coarse, brain, along_x)[inner], coarse[inner], atol=0.1)


def test_blurs_nothing_across_slices() -> None:
    brain = np.ones((3, 24, 24), dtype=np.bool_)
    steps = np.broadcast_to(np.array([1.0, 2.0, 5.0])[:, None, None], brain.shape)
    image = steps.astype(np.float32)
    assert np.allclose(coarser(image, brain, np.array([1.5, 1.5])), image, atol=1e-5)


def test_adds_what_the_artifact_adds_to_each_slice_and_keeps_what_is_below_no_signal() -> None:
    image = generator(0, "signal").uniform(0.2, 1, (3, 12, 16)).astype(np.float32)
    stripes = Spike(0.3, 0.25, 0.125, 0.4)
    for before, after in zip(image, acquired(image, stripes), strict=True):
        assert np.allclose(after, stripes(before), atol=1e-5)
    dark = image - np.float32(0.3)
    assert np.allclose(acquired(dark, RicianNoise(0.0, 0)), dark, atol=1e-6)
