from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mri_guard.errors import SettingsError
from mri_guard.evaluation.baseline_parts.material import Learnt, Material, healthy, seen
from tests.evaluation.toy_material import material, nothing, toys
from tests.toys import TINY

TOYS = toys(5)


def test_holds_out_a_fifth_of_the_patients_with_all_their_scans(tmp_path: Path) -> None:
    scans = [Learnt(f"p{i}", toy, nothing(toy)) for i in range(5) for toy in (TOYS[i], TOYS[i])]
    split = Material.of(scans, TINY, folder=tmp_path)
    assert (len(split.learn), len(split.hold_out)) == (8, 2)
    assert np.array_equal(split.hold_out[0].image, split.hold_out[1].image)
    kept = {subject.image.tobytes() for subject in split.learn}
    assert split.hold_out[0].image.tobytes() not in kept
    again = Material.of(scans, TINY, folder=tmp_path)
    assert np.array_equal(again.hold_out[0].image, split.hold_out[0].image)


def test_wants_two_patients_with_lesion_free_slices(tmp_path: Path) -> None:
    full = np.ones(TOYS[0].brain.shape, dtype=np.bool_)
    scans = [Learnt("p0", TOYS[0], nothing(TOYS[0])), Learnt("p1", TOYS[1], full)]
    with pytest.raises(SettingsError, match="1 patients with lesion-free slices"):
        Material.of(scans, TINY, folder=tmp_path)


def test_measures_lesion_free_slices_where_the_measure_exists_alone(tmp_path: Path) -> None:
    subject = material(TOYS[:2], tmp_path).learn[0]
    free = subject.lesion_free.copy()
    free[:4] = False
    marked = replace(subject, lesion_free=free)
    values = torch.where(torch.arange(len(free))[:, None, None] < 4, 100.0, 1.0)
    values = values.expand(*seen(subject).shape).clone()
    values[-1] = torch.nan
    statistics = healthy([marked], lambda _: values)
    assert statistics.mean.numpy() == pytest.approx(1.0)
