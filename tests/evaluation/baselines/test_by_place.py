"""Baselines that compare each place with the same place in lesion-free training slices."""

from pathlib import Path

import numpy as np
import pytest

from mri_guard.evaluation.baselines import Asymmetry, Atlas, AtlasAsymmetry
from tests.evaluation.toy_material import material, toys
from tests.toys import with_lesion

TOYS = toys(5)


@pytest.mark.parametrize("kind", [Asymmetry, Atlas, AtlasAsymmetry])
@pytest.mark.parametrize("amount", [-1.5, 1.5])
def test_shows_bright_as_bright_and_dark_as_dark(
    kind: type[Asymmetry | Atlas | AtlasAsymmetry], amount: float, tmp_path: Path
) -> None:
    baseline = kind.fit(material(TOYS[1:], tmp_path))
    other, lesion = with_lesion(TOYS[0], amount)
    change = baseline(other).signed[lesion].mean() - baseline(TOYS[0]).signed[lesion].mean()
    assert np.sign(amount) * change > 0.5


def test_keeps_lesions_and_their_neighbours_out_of_the_atlas(tmp_path: Path) -> None:
    spoilt, lesion = with_lesion(TOYS[0], 1.5)
    clean = Atlas.fit(material([spoilt, spoilt], tmp_path, lesion=lambda _: lesion))
    blind = Atlas.fit(material([spoilt, spoilt], tmp_path))
    there = lesion & spoilt.brain
    assert clean(spoilt).map[there].mean() > 2 * blind(spoilt).map[there].mean()


def test_does_not_depend_on_gain(tmp_path: Path) -> None:
    """What is seen has its median put to the same value."""
    atlas = Atlas.fit(material(TOYS[1:], tmp_path))
    brighter = type(TOYS[0])(
        TOYS[0].image * np.float32(1.7), TOYS[0].brain, TOYS[0].head, TOYS[0].affine, 0.0, 1.0
    )
    assert atlas(brighter).map == pytest.approx(atlas(TOYS[0]).map, abs=1e-3)


def test_halves_the_ghost_of_a_lesion_on_the_other_side(tmp_path: Path) -> None:
    split = material(TOYS[1:], tmp_path)
    alone, together = Asymmetry.fit(split), AtlasAsymmetry.fit(split)
    other, lesion = with_lesion(TOYS[0], 1.5)
    ghost = lesion[::-1]

    def share(baseline: Asymmetry | AtlasAsymmetry) -> float:
        found = baseline(other).map
        return float(found[ghost].mean() / found[lesion].mean())

    assert share(alone) > 0.6 * 0.5  # the ghost is dark, and dark counts half
    assert share(together) < 0.75 * share(alone)
