"""Baselines that learn nothing."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mri_guard.anomaly import FusionConfig
from mri_guard.evaluation.baselines import Equalised, HeadArea, Intensity, RobustZ
from mri_guard.records import Preprocessed
from tests.evaluation.toy_material import toys
from tests.toys import TINY, with_lesion

TOY = toys(1)[0]
PLAIN = TINY.model_copy(update={"fusion": FusionConfig(smoothing_px=0, smoothing_mm=0)})


def scaled(gain: float, offset: float) -> Preprocessed:
    image = np.where(TOY.brain, gain * TOY.image + offset, 0).astype(np.float32)
    return Preprocessed(image, TOY.brain, TOY.head, TOY.affine, 0.0, 1.0)


def test_ranks_bright_above_dark_by_intensity() -> None:
    bright, lesion = with_lesion(TOY, 1.0)
    dark, _ = with_lesion(TOY, -1.0)
    intensity = Intensity(TINY)
    inside = [intensity(toy).map[lesion].mean() for toy in (dark, TOY, bright)]
    assert inside == sorted(inside)
    assert intensity(bright).score > intensity(TOY).score


def test_equalises_to_the_share_of_the_brain_that_is_no_brighter() -> None:
    rounded = Preprocessed(
        np.round(TOY.image, 1), TOY.brain, TOY.head, TOY.affine, 0.0, 1.0
    )  # with ties
    values = Equalised(PLAIN)(rounded).map[TOY.brain]
    expected = stats.rankdata(rounded.image[TOY.brain], method="max") / TOY.brain.sum()
    assert values == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", [Equalised, RobustZ])
def test_does_not_depend_on_gain_and_offset(kind: type[Equalised | RobustZ]) -> None:
    before, after = kind(TINY)(TOY), kind(TINY)(scaled(2.0, 0.5))
    assert after.map == pytest.approx(before.map, abs=1e-3)
    assert Intensity(TINY)(scaled(2.0, 0.5)).score > 1.5 * Intensity(TINY)(TOY).score


def test_counts_median_absolute_deviations_above_the_median() -> None:
    values = TOY.image[TOY.brain]
    spread = stats.median_abs_deviation(values)
    expected = (values - np.median(values)) / spread
    found = RobustZ(PLAIN)(TOY).map[TOY.brain]
    assert found == pytest.approx(expected, abs=0.01)


def test_takes_the_heads_area_for_the_slices_score(tmp_path: Path) -> None:
    head = TOY.head.copy()
    head[:, :, 4] = True
    seen = Preprocessed(TOY.image, TOY.brain, head, TOY.affine, 0.0, 1.0)
    scores = HeadArea(TINY)(seen).slice_scores
    there = np.isfinite(scores)
    assert scores[there] == pytest.approx(head.sum((0, 1))[there])
    assert np.nanargmax(scores) == 4
