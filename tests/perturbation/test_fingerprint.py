from dataclasses import replace
from itertools import combinations, permutations
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mri_guard.errors import SeriesError
from mri_guard.perturbation import fingerprint as module
from mri_guard.perturbation.fingerprint import COUNT, NEAR, cell_means, fingerprint, overlap
from mri_guard.readers.manifest import read_manifest
from mri_guard.readers.nifti import read_nifti
from mri_guard.records import Contrast, Scan, ScanHeader

KEY = b"k" * 32


def scan(voxels: NDArray[np.floating], affine: NDArray[np.float64] | None = None) -> Scan:
    header = ScanHeader(contrast=Contrast.FLAIR, slice_count=1, spacing_mm=(1.0, 1.0, 1.0))
    return Scan(voxels.astype(np.float32), np.eye(4) if affine is None else affine, header)


def ball(seed: int, shape: tuple[int, int, int] = (60, 70, 30)) -> NDArray[np.float32]:
    """A ball of smooth texture on a dark background, 0..1000."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*(np.linspace(-1.2, 1.2, size) for size in shape), indexing="ij")
    texture = sum(
        np.sin(rng.uniform(1, 6) * x + rng.uniform(1, 6) * y + rng.uniform(1, 6) * z + phase)
        for phase in rng.uniform(0, 6, 12)
    )
    inside = x**2 + y**2 + z**2 < 1
    return np.asarray(inside * (600 + 60 * np.clip(texture, -6, 6)), np.float32)


def test_gives_fifty_hashes_of_63_bits_and_the_same_ones_again() -> None:
    found = fingerprint(scan(ball(1)), KEY)
    assert len(found) == COUNT
    assert all(0 <= item < 2**63 for item in found)
    assert fingerprint(scan(ball(1)), KEY) == found


def test_keeps_the_smallest_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    few = fingerprint(scan(ball(1)), KEY)
    monkeypatch.setattr(module, "COUNT", 60)
    more = fingerprint(scan(ball(1)), KEY)
    assert sorted(more)[:COUNT] == sorted(few)


def test_shares_nothing_under_another_key() -> None:
    assert overlap(fingerprint(scan(ball(1)), KEY), fingerprint(scan(ball(1)), b"l" * 32)) == 0


def test_tells_different_images_apart() -> None:
    found = [fingerprint(scan(ball(seed)), KEY) for seed in range(6)]
    assert max(overlap(one, other) for one, other in combinations(found, 2)) < NEAR // 2


@settings(deadline=None, max_examples=15)
@given(
    gain=st.floats(0.01, 100),
    offset=st.floats(-500, 500),
    seed=st.integers(0, 3),
    pad=st.integers(0, 5),
)
def test_does_not_mind_gain_offset_and_field_of_view(
    gain: float, offset: float, seed: int, pad: int
) -> None:
    image = ball(seed)
    other = np.pad(image, ((pad, 0), (0, pad), (0, 0))) * gain + offset
    shared = overlap(fingerprint(scan(image), KEY), fingerprint(scan(other), KEY))
    assert shared >= NEAR if pad else shared >= COUNT - 5


@settings(deadline=None, max_examples=15)
@given(epsilon=st.floats(0, 8 / 255), seed=st.integers(0, 3))
def test_survives_signed_noise_as_an_attack_adds_it(epsilon: float, seed: int) -> None:
    image = ball(seed)
    signs = np.random.default_rng(seed).choice([-1, 1], image.shape)
    changed = np.rint(image + signs * epsilon * 900)
    assert overlap(fingerprint(scan(image), KEY), fingerprint(scan(changed), KEY)) >= NEAR


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_does_not_mind_how_the_axes_are_stored(order: tuple[int, int, int]) -> None:
    image = ball(1)
    turn = np.array([[axis, sign] for axis, sign in zip(order, (1, -1, 1), strict=True)])
    turned = nibabel.orientations.apply_orientation(image, turn)
    affine = nibabel.orientations.inv_ornt_aff(turn, image.shape)
    assert fingerprint(scan(turned, affine), KEY) == fingerprint(scan(image), KEY)


def test_means_of_cells_are_in_their_own_spread() -> None:
    first, middle, third = np.percentile(cell_means(scan(ball(2))), (25, 50, 75))
    assert middle == pytest.approx(0, abs=1e-9)
    assert third - first == pytest.approx(1)


def test_takes_the_mean_of_half_covered_voxels() -> None:
    shares = module._shares(0.5, 3.5, 2, 4)
    assert shares == pytest.approx(np.array([[1, 2, 0, 0], [0, 0, 2, 1]]) / 3)


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan, np.inf])
def test_refuses_what_shows_nothing(value: float) -> None:
    with pytest.raises(SeriesError, match="fingerprint-failed"):
        fingerprint(scan(np.full((20, 20, 5), value, np.float32)), KEY)


def test_refuses_one_bright_voxel() -> None:
    image = np.zeros((20, 20, 5), np.float32)
    image[3, 3, 3] = 1
    with pytest.raises(SeriesError, match="fingerprint-failed"):
        fingerprint(scan(image), KEY)


def test_tells_real_heads_apart_and_knows_one_again(shared_data: Path) -> None:
    rows = read_manifest(shared_data / "lgg" / "manifest.csv")[:8]
    scans = [read_nifti(row.scan, Contrast.FLAIR) for row in rows]
    found = [fingerprint(item, KEY) for item in scans]
    assert max(overlap(one, other) for one, other in combinations(found, 2)) < NEAR // 2
    rng = np.random.default_rng(0)
    for item, before in zip(scans, found, strict=True):
        noisy = np.rint(item.voxels + rng.normal(0, 3, item.voxels.shape)).astype(np.float32)
        again = fingerprint(replace(item, voxels=noisy), KEY)
        assert overlap(before, again) >= NEAR


def test_nobody_who_comes_every_year_is_taken_for_a_probe(shared_data: Path) -> None:
    rows = read_manifest(shared_data / "oasis2_t1_slices" / "manifest.csv")[:60]
    found = [(row.subject, fingerprint(read_nifti(row.scan, Contrast.T1), KEY)) for row in rows]
    near = [
        (one[0], other[0])
        for one, other in combinations(found, 2)
        if overlap(one[1], other[1]) >= NEAR
    ]
    sessions = sum(one[0] == other[0] for one, other in combinations(found, 2))
    assert all(who == other for who, other in near)
    assert len(near) < sessions / 3
