"""Learning limits: from the right scans, as promised, into a bundle that is else alike."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import bundles
from mri_guard import bundle
from mri_guard.errors import NotCalibratedError
from mri_guard.sanitize.learnt_heads import CONTRAST, GRID
from mri_guard.sanitize.measures import MEASURES
from mri_guard.training import bundle as training_bundle
from mri_guard.training.bundle import with_voxel_limits
from mri_guard.training.voxel_limits import Measured, limits_of
from tests.toys import any_heads, wide_limits

SIZE = int(np.prod(GRID))


def scans(count: int, seed: int, shift: float = 0.0) -> list[Measured]:
    """Of which every measure is normal."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        values: dict[str, float | None] = {
            measure.name: float(rng.normal(scale=10)) for measure in MEASURES
        }
        shape = rng.normal(size=SIZE).astype(np.float32)
        tissue = (rng.normal(size=CONTRAST) + shift).astype(np.float32)
        made.append(Measured("toys", values, shape / np.linalg.norm(shape), tissue))
    return made


def test_holds_clean_scans_as_seldom_as_it_says() -> None:
    heads, limits = limits_of(scans(60, 0), scans(199, 1), ())
    assert heads.contrast is None
    assert (limits.count, limits.rank()) == (199, 2)
    new = scans(600, 2)
    held = 0
    for scan in new:
        deviations = limits.deviations({**scan.values, "likeness": heads.distance(scan.shape)})
        held += max(deviations.values()) > limits.highest / limits.margin
    assert held / len(new) < 0.04  # 2 / 200 on average over calibration sets


def test_learns_the_contrast_where_another_is_at_hand() -> None:
    heads, limits = limits_of(scans(60, 0), scans(120, 1), scans(20, 2, shift=3.0))
    assert heads.contrast is not None
    other = [scan.tissue @ heads.contrast for scan in scans(50, 3, 3.0) if scan.tissue is not None]
    deviations = [limits.normals["tissue"].deviation(float(value)) for value in other]
    assert np.median(deviations) > 3


def test_leaves_out_what_could_not_be_measured() -> None:
    some = [replace(scan, values={**scan.values, "noise": None}) for scan in scans(30, 0)]
    _, limits = limits_of([*some, *scans(30, 4)], scans(120, 1), ())
    assert limits.count == 120
    with pytest.raises(NotCalibratedError, match="noise was measured on 0 of 30"):
        limits_of(some, scans(120, 1), ())


def test_needs_scans_enough() -> None:
    with pytest.raises(NotCalibratedError, match="9 scans to fit on"):
        limits_of(scans(9, 0), scans(120, 1), ())
    with pytest.raises(NotCalibratedError, match="98 scans"):
        limits_of(scans(30, 0), scans(98, 1), ())


def test_changes_nothing_else_in_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        training_bundle, "learn_voxels", lambda *_, **__: (any_heads(), wide_limits())
    )
    digest = with_voxel_limits(bundles.DEFAULT, (), tmp_path, version="9", console=Console())
    before, after = bundle.contents(bundles.DEFAULT), bundle.contents(tmp_path)
    assert after[0] == before[0].model_copy(update={"version": "9"})
    for key, tensor in before[1].items():
        if not key.startswith("heads."):
            assert torch.equal(after[1][key], tensor), key
    assert after[2] == before[2].model_copy(update={"voxels": wide_limits()})
    assert after[3].startswith("# Model card: flair 9\n")
    assert after[3].count("## Voxel checks") == 1
    with bundle.load(tmp_path) as kit:
        assert kit.bundle_digest == digest
