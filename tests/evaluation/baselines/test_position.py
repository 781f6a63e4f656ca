import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mri_guard.evaluation.baselines import Position
from tests.evaluation.toy_material import material, toys
from tests.toys import with_lesion

TOYS = toys(4)


def fitted(folder: Path, low: int, high: int) -> Position:
    lesion = np.zeros(TOYS[0].brain.shape, dtype=np.bool_)
    lesion[20:24, 20:24, low:high] = True
    return Position.fit(material(TOYS, folder, lesion=lambda _: lesion))


def test_knows_where_lesions_were_without_looking(tmp_path: Path) -> None:
    position = fitted(tmp_path, 8, 10)
    scores = position(TOYS[0]).slice_scores
    assert np.nanargmax(scores) in (8, 9)
    blind = position(with_lesion(TOYS[0], 5.0)[0])
    assert blind.slice_scores == pytest.approx(scores, nan_ok=True)
    assert np.nanargmax(fitted(tmp_path, 2, 4)(TOYS[0]).slice_scores) in (2, 3)


def test_counts_each_scan_alike_whatever_its_slices(tmp_path: Path) -> None:
    """One scan of twice the slices, with lesion in all of them, beside one without any."""
    toy = TOYS[0]
    image, brain, head = np.repeat(toy.image, 2, 2), np.repeat(toy.brain, 2, 2), toy.head
    twice = dataclasses.replace(toy, image=image, brain=brain, head=np.repeat(head, 2, 2))
    both = material([twice, TOYS[0]], tmp_path)
    touched = dataclasses.replace(both.scans[0], lesion=twice.brain)
    position = Position.fit(dataclasses.replace(both, scans=(touched, both.scans[1])))
    assert position.prevalence[50] == pytest.approx(0.5, abs=0.03)
