"""The shipped limits on phantoms of unseen seeds: good ones pass, what is broken does not."""

from collections.abc import Iterator

import numpy as np
import pytest

import bundles
from mri_guard import bundle
from mri_guard.evaluation.voxel_defects import defects
from mri_guard.journey import Kit
from mri_guard.records import CheckResult, Scan
from mri_guard.sanitize.learnt_heads import LearntHeads, vector
from mri_guard.sanitize.limits import group_weights
from mri_guard.sanitize.look import look
from tests.sanitize.objects import noisy, phantom

SEEDS = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    with bundle.load(bundles.DEFAULT) as loaded:
        yield loaded


def last(kit: Kit, made: Scan) -> CheckResult:
    return kit.sanitizer.check_voxels(made)[-1]


@pytest.mark.parametrize("seed", SEEDS)
def test_passes_a_head_that_it_has_not_seen(kit: Kit, seed: int) -> None:
    results = kit.sanitizer.check_voxels(phantom(seed))
    assert all(result.passed for result in results)
    assert [result.name for result in results[-2:]] == ["within_limits", "orientation_plausible"]


@pytest.mark.parametrize(
    ("defect", "reasons"),
    [
        ("upside down", {"orientation-implausible", "not-like-training", "coverage-top"}),
        ("back to front", {"orientation-implausible"}),
        ("x and y swapped", {"orientation-implausible"}),
        ("noise alone", {"quality-wrap", "not-like-training"}),
        ("spike 0.5", {"quality-spike"}),
        ("clipping 0.2", {"quality-clipping"}),
        ("blur 4 mm", {"quality-blur"}),
        ("text in all slices", {"burned-in-text"}),
        ("top cut 0.4", {"coverage-top", "coverage-height", "extent-not-a-head"}),
        ("wrap 0.4", {"quality-wrap", "quality-ghosting"}),
        ("head 0.7 as large", {"head-small", "coverage-height"}),
    ],
)
def test_names_what_is_wrong(kit: Kit, defect: str, reasons: set[str]) -> None:
    bad = defects()[defect](phantom(2), np.random.default_rng(0))
    result = last(kit, bad)
    assert result.reason in reasons
    assert "allowed" in result.detail or "wanted" in result.detail


def test_cannot_tell_left_from_right(kit: Kit) -> None:
    assert last(
        kit, defects()["left and right swapped"](phantom(2), np.random.default_rng(0))
    ).passed


def test_refuses_an_object_that_is_no_head(kit: Kit) -> None:
    assert not last(kit, noisy()).passed


def test_draws_each_defect_again_from_its_seed() -> None:
    clean = noisy()
    for name, defect in defects().items():
        first, second = (defect(clean, np.random.default_rng(5)) for _ in range(2))
        assert np.array_equal(first.voxels, second.voxels), name
        assert not np.array_equal(first.voxels, clean.voxels) or "as large" in name, name


def test_finds_learnt_heads_in_their_own_subspace() -> None:
    vectors = np.stack([vector(look(phantom(seed))) for seed in SEEDS])
    heads = LearntHeads.fit(vectors, group_weights(["a"] * 4), 3)
    assert [heads.distance(one) for one in vectors] == pytest.approx([0] * 4, abs=1e-3)
    assert heads.turned(look(phantom(1))) < -0.5
    noise = np.random.default_rng(0).normal(size=vectors.shape[1:])
    noise = (noise - noise.mean()) / np.linalg.norm(noise)
    assert heads.distance(noise.astype(np.float32)) > 1


def test_gives_back_what_it_stored() -> None:
    vectors = np.stack([vector(look(phantom(seed))) for seed in SEEDS])
    heads = LearntHeads.fit(vectors, group_weights(["a"] * 4), 2)
    again = LearntHeads.from_arrays(heads.arrays())
    assert again.contrast is None
    assert np.array_equal(again.components, heads.components)
