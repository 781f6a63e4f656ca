import numpy as np
import pytest

from mri_guard.determinism import generator
from mri_guard.evaluation.baselines import Atlas, Intensity, Position, relative_position
from tests.toys import TINY, toy_brain, with_lesion

TOYS = [toy_brain(generator(0, "baseline", i), slices=12) for i in range(8)]


def lesion_at(low: int, high: int) -> np.ndarray:
    lesion = np.zeros(TOYS[0].brain.shape, dtype=np.bool_)
    lesion[20:24, 20:24, low:high] = True
    return lesion


def test_ranks_bright_above_dark_by_intensity() -> None:
    bright, lesion = with_lesion(TOYS[0], 1.0)
    dark, _ = with_lesion(TOYS[0], -1.0)
    intensity = Intensity(TINY)
    inside = [intensity(toy).map[lesion].mean() for toy in (dark, TOYS[0], bright)]
    assert inside == sorted(inside)
    assert intensity(bright).score > intensity(TOYS[0]).score
    assert not intensity(bright).map[~bright.brain].any()


def test_counts_bright_and_dark_by_atlas() -> None:
    nothing = np.zeros(TOYS[0].brain.shape, dtype=np.bool_)
    atlas = Atlas.fit(((toy, nothing) for toy in TOYS[1:]), TINY)
    for amount in (-1.5, 1.5):
        other, lesion = with_lesion(TOYS[0], amount)
        assert atlas(other).map[lesion].mean() > 1.5 * atlas(TOYS[0]).map[lesion].mean()


def test_keeps_lesions_and_their_neighbours_out_of_the_atlas() -> None:
    spoilt, lesion = with_lesion(TOYS[0], 100.0)
    clean = Atlas.fit([(spoilt, lesion)], TINY)
    assert float(clean.statistics.mean.max()) < 5


def test_knows_where_lesions_were_without_looking() -> None:
    low, high = lesion_at(2, 4), lesion_at(8, 10)
    position = Position.fit([(toy, high) for toy in TOYS], TINY)
    scores = position(TOYS[0]).slice_scores
    assert np.nanargmax(scores) in (8, 9)
    blind = position(with_lesion(TOYS[0], 5.0)[0])
    assert blind.slice_scores == pytest.approx(scores, nan_ok=True)
    other = Position.fit([(toy, low) for toy in TOYS], TINY)
    assert np.nanargmax(other(TOYS[0]).slice_scores) in (2, 3)


def test_measures_position_between_the_brains_ends() -> None:
    brain = np.zeros((4, 4, 7), dtype=np.bool_)
    brain[1, 1, 2:5] = True
    assert relative_position(brain) == pytest.approx(
        [np.nan, np.nan, 0, 0.5, 1, np.nan, np.nan], nan_ok=True
    )
