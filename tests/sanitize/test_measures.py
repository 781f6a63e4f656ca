"""Measures of objects whose answers are known, and what no measure may depend on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.artifacts import BiasField, Ghosting, RicianNoise, Spike
from mri_guard.artifacts.bias_field import TERMS
from mri_guard.records import Contrast, Scan
from mri_guard.sanitize import measures as measures_package
from mri_guard.sanitize.look import Look, look
from mri_guard.sanitize.measures import MEASURES
from mri_guard.sanitize.measures.tissue import FEATURES, direction, tissue_features
from tests.sanitize.objects import SIGNAL, disc, noisy, phantom, rician, scan

BY_NAME = {measure.name: measure for measure in MEASURES}
AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])
PLAIN = scan(rician(disc(), 20.0), AFFINE)


def measured(name: str, made: Scan | Look) -> float:
    value = BY_NAME[name](made if isinstance(made, Look) else look(made))
    assert value is not None
    return value


def test_lists_each_of_its_files_once() -> None:
    folder = Path(measures_package.__path__[0])
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {*BY_NAME, "likeness", "tissue"} == files
    assert len(BY_NAME) == len(MEASURES)


@pytest.mark.parametrize("sigma", [20.0, 50.0])
def test_knows_the_noise_of_the_air(sigma: float) -> None:
    assert measured("noise", noisy(sigma)) == pytest.approx(np.log(sigma / SIGNAL), abs=0.05)


@pytest.mark.parametrize("sigma", [20.0, 50.0])
def test_knows_the_noise_of_the_head(sigma: float) -> None:
    made = noisy(sigma, (1.0, 1.0, 5.0))
    assert measured("grain", made) == pytest.approx(np.log(sigma / SIGNAL), abs=0.05)


def test_does_not_take_masked_air_for_a_quiet_one() -> None:
    masked = look(scan(np.where(disc() > 0, PLAIN.voxels, 0), AFFINE))
    for name in ("noise", "motion", "background"):
        assert BY_NAME[name](masked) is None


def test_knows_the_entropy_of_an_even_image_and_of_a_point() -> None:
    seen = look(PLAIN)
    everywhere = np.ones_like(seen.head)
    even = replace(seen, small=np.ones_like(seen.small), head=everywhere)
    assert measured("entropy", even) == pytest.approx(1.0, abs=1e-6)
    point = np.zeros_like(seen.small)
    point[3, 5] = 7
    assert measured("entropy", replace(seen, small=point, head=everywhere)) == pytest.approx(0)


def test_knows_the_energy_of_the_air() -> None:
    seen = look(PLAIN)
    small = np.where(seen.head, 1000, 10).astype(np.float32)
    assert measured("background", replace(seen, small=small)) == pytest.approx(np.log(1e-4))


def test_knows_the_signal_of_a_ghost() -> None:
    seen = look(PLAIN)
    small = np.full_like(seen.small, 10)
    small[seen.air & seen.head.any(axis=1, keepdims=True)] = 40  # before and behind the head
    made = replace(seen, small=small, signal=1000.0)
    assert measured("ghosting", made) == pytest.approx(0.03)


def test_sees_half_a_field_of_view_away_what_modulates_every_other_line() -> None:
    voxels = disc()
    seen = look(scan(Ghosting(0.1, 0.5, 0.0)(voxels), AFFINE))
    ghost = 0.1 * np.roll(voxels, 64, axis=1)
    beside = seen.air & seen.head.any(axis=1, keepdims=True) & ~seen.head.any(axis=0, keepdims=True)
    whole = np.repeat(np.repeat(beside, 2, axis=0), 2, axis=1)
    wanted = float(ghost[whole].mean()) / seen.signal
    assert wanted > 0.02
    assert measured("ghosting", seen) == pytest.approx(wanted, rel=0.05)


def test_knows_the_share_of_bright_air() -> None:
    seen = look(PLAIN)
    small = np.full_like(seen.small, 5)
    patch = np.zeros_like(seen.air)
    patch[:6, :6] = seen.air[:6, :6]
    small[patch] = 200
    share = patch.sum() / seen.air.sum()
    made = replace(seen, small=small, signal=1000.0)
    assert measured("air_structure", made) == pytest.approx(np.log(share + 0.003))


@pytest.mark.parametrize("sigma_px", [1.5, 3.0])
def test_knows_the_width_of_smoothed_noise(sigma_px: float) -> None:
    white = np.random.default_rng(0).normal(size=(6, 256, 256))
    planes = ndimage.gaussian_filter(white, (0, sigma_px, sigma_px), mode="wrap")
    seen = replace(
        look(PLAIN),
        planes=planes.astype(np.float32),
        planes_mm=(0.9, 0.9),
        plane_head=np.ones(planes.shape, np.bool_),
    )
    width = np.sqrt(8 * np.log(2)) * sigma_px * 0.9
    assert measured("blur", seen) == pytest.approx(np.log(width), abs=0.05)


def test_finds_no_bias_in_an_even_object_and_the_slope_of_an_uneven_one() -> None:
    assert measured("bias", PLAIN) < 0.02
    along_x = tuple(float(term == (1, 0, 0)) for term in TERMS)
    field = BiasField(along_x, 3.0)
    sloped = scan(np.ascontiguousarray(field(np.ascontiguousarray(PLAIN.voxels))), AFFINE)
    # ln 3 over the whole field of view of 256 mm; the fit sees about 118 mm of it, less its ends.
    assert measured("bias", sloped) == pytest.approx(np.log(3) * 118 / 256 * 0.9, rel=0.12)


def test_knows_the_energy_of_a_spike() -> None:
    white = np.random.default_rng(0).normal(size=(4, 128, 128))
    x, y = np.mgrid[:128, :128]
    waves = np.cos(2 * np.pi * (20 * x + 33 * y) / 128)
    seen = replace(look(PLAIN), planes=(white + waves).astype(np.float32))
    assert measured("spike", seen) == pytest.approx(np.log(128**2 / 4), abs=0.35)
    without = replace(seen, planes=white.astype(np.float32))
    assert measured("spike", without) < np.log(20)


def test_knows_how_much_of_an_edge_the_head_touches() -> None:
    seen = look(PLAIN)
    assert measured("wrap", seen) == 0
    head = np.zeros_like(seen.head)
    head[:16, :, :] = True
    head[16:, 4:, :] = False
    half = measured("wrap", replace(seen, head=head))
    assert half == 1.0  # all of the edge at x = 0
    head[:, 40:, :] = False
    assert measured("wrap", replace(seen, head=head)) == pytest.approx(40 / head.shape[1])


def test_knows_the_share_that_is_clipped() -> None:
    clipped = scan(np.minimum(PLAIN.voxels, np.float32(SIGNAL)), AFFINE)
    seen = look(clipped)
    share = (seen.planes[seen.plane_head] >= SIGNAL).mean()
    assert share > 0.4
    assert measured("clipping", clipped) == pytest.approx(float(share))
    assert measured("clipping", PLAIN) < 1e-4


def test_knows_extent_and_size_of_the_head() -> None:
    diameter = np.sqrt(150 * 190)
    assert measured("small_head", PLAIN) == pytest.approx(-np.log(diameter), abs=0.03)
    assert measured("short_head", PLAIN) == pytest.approx(-np.log(24 * 5.0))
    assert measured("top_cut", PLAIN) == 0
    cut = scan(PLAIN.voxels[..., :20], AFFINE)
    assert measured("top_cut", cut) == pytest.approx(1.0, abs=0.02)


def test_counts_strokes_beside_the_head_and_those_that_all_slices_share() -> None:
    assert measured("strokes", PLAIN) == 0
    marked = np.array(PLAIN.voxels)
    marked[4:34, 4:6] = 1200
    assert measured("strokes", scan(marked, AFFINE)) == pytest.approx(np.log1p(60))
    across = np.array(PLAIN.voxels)
    across[50:80, 60:62] = 3000  # over the head, the same in every slice
    assert measured("strokes", scan(across, AFFINE)) == pytest.approx(np.log1p(60), abs=0.05)


def test_knows_the_range_of_intensities_inside() -> None:
    seen = look(PLAIN)
    halves = np.full_like(seen.small, 1000)
    halves[: halves.shape[0] // 2] = 500
    two = replace(seen, small=halves, signal=1000.0)
    assert measured("flatness", two) == pytest.approx(-np.log(np.log(2)), abs=1e-6)
    assert measured("flatness", PLAIN) > measured("flatness", phantom(1)) + 1


def test_sees_streaks_along_one_axis() -> None:
    assert measured("motion", PLAIN) < 0.1
    rng = np.random.default_rng(1)
    streaks = np.abs(rng.normal(0, 20, (1, 128, 28)))
    streaked = scan(np.where(disc() > 0, PLAIN.voxels, PLAIN.voxels + streaks), AFFINE)
    assert measured("motion", streaked) > 0.4


def _ghosted(image: Any, amount: float) -> Any:
    return Ghosting(amount, 0.3, 0.4)(image)


def _noisier(image: Any, amount: float) -> Any:
    return 600 * RicianNoise(amount, 3)(image / np.float32(600))


def _spiked(image: Any, amount: float) -> Any:
    return Spike(amount, 0.21, 0.13, 0.5)(image)


def _blurrier(image: Any, amount: float) -> Any:
    return ndimage.gaussian_filter(image, (10 * amount, 10 * amount, 0))


@pytest.mark.parametrize(
    ("name", "defect"),
    [
        ("ghosting", _ghosted),
        ("background", _ghosted),
        ("noise", _noisier),
        ("grain", _noisier),
        ("entropy", _noisier),
        ("spike", _spiked),
        ("blur", _blurrier),
    ],
)
def test_rises_with_the_defect(name: str, defect: Callable[[Any, float], Any]) -> None:
    clean = phantom(1)
    image = np.ascontiguousarray(clean.voxels)
    values = [
        measured(name, scan(defect(image, amount) if amount else image, clean.affine))
        for amount in (0.0, 0.06, 0.12, 0.25)
    ]
    assert values == sorted(values)
    assert values[-1] > values[0]


@pytest.mark.parametrize("name", BY_NAME)
def test_does_not_depend_on_the_scanner_s_unit(name: str) -> None:
    clean = phantom(1)
    louder = scan(clean.voxels * np.float32(7.3), clean.affine)
    assert measured(name, louder) == pytest.approx(measured(name, clean), abs=0.01)


@pytest.mark.parametrize("name", BY_NAME)
def test_does_not_depend_on_how_the_axes_are_stored(name: str) -> None:
    clean = phantom(1)
    turned = np.transpose(clean.voxels, (2, 0, 1))[::-1]
    affine = clean.affine[:, [2, 0, 1, 3]].copy()
    affine[:, 3] += affine[:, 0] * (turned.shape[0] - 1)
    affine[:, 0] *= -1
    stored = scan(turned, affine)
    assert measured(name, stored) == pytest.approx(measured(name, clean), abs=1e-4)


def features(contrast: Contrast, seed: int) -> NDArray[np.float32]:
    found = tissue_features(look(phantom(seed, contrast)))
    assert found is not None
    return found


def test_tells_contrasts_apart_by_their_tissues() -> None:
    flair = np.stack([features(Contrast.FLAIR, seed) for seed in (1, 2, 3)])
    t1 = np.stack([features(Contrast.T1, seed) for seed in (1, 2)])
    assert flair.shape == (3, FEATURES)
    towards = direction(flair[:2], np.array([0.5, 0.5]), t1)
    assert np.linalg.norm(towards) == pytest.approx(1)
    assert (t1 @ towards).min() > (flair[2] @ towards).max()


def test_has_no_tissues_where_there_is_no_depth() -> None:
    seen = look(PLAIN)
    assert tissue_features(replace(seen, head=np.zeros_like(seen.head))) is None
