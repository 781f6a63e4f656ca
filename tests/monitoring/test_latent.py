import numpy as np
import pytest

from mri_guard.determinism import generator
from mri_guard.monitoring.latent import Latent, LatentState, kernel, mmd2, p_value

LATENT = Latent(level=0.002)


def fed(state: LatentState, points: np.ndarray) -> LatentState:
    for point in points:
        state = LATENT(state, point)
    return state


def test_is_the_mmd_as_it_is_defined() -> None:
    rng = generator(0, "definition")
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(4, 3)) + 1
    pooled = np.concatenate([x, y])
    scaled = pooled / pooled.std(0)
    pairs = [np.sum((a - b) ** 2) for i, a in enumerate(scaled) for b in scaled[:i]]
    k = np.array(
        [[np.exp(-np.sum((a - b) ** 2) / np.median(pairs)) for b in scaled] for a in scaled]
    )
    assert kernel(pooled) == pytest.approx(k, abs=1e-12)
    # Gretton et al. 2012, equation 3
    one = sum(k[i, j] for i in range(7) for j in range(7) if i != j) / (7 * 6)
    two = sum(k[i, j] for i in range(7, 11) for j in range(7, 11) if i != j) / (4 * 3)
    across = 2 * k[:7, 7:].mean()
    second = np.array([[0.0] * 7 + [1.0] * 4])
    assert mmd2(k, second)[0] == pytest.approx(one + two - across, abs=1e-12)


def test_holds_its_level() -> None:
    rng = generator(0, "latent level")
    tests, level = 300, 0.1
    found = [
        p_value(rng.standard_t(3, (40, 5)), rng.standard_t(3, (20, 5)), rng, permutations=99)
        for _ in range(tests)
    ]
    assert np.mean(np.array(found) <= level) <= level + 3 * np.sqrt(level * (1 - level) / tests)


def test_finds_latents_that_have_moved_or_spread_in_the_next_window() -> None:
    rng = generator(0, "latent shift")
    known = fed(LatentState(), rng.normal(size=(300, 6)))
    assert (known.alarm, len(known.kept), known.window) == (False, 200, ())
    assert fed(known, rng.normal([1.2, 0, 0, 0, 0, 0], size=(50, 6))).alarm
    assert fed(known, rng.normal(size=(50, 6)) * 1.8).alarm


def test_minds_no_coordinates_unit() -> None:
    rng = generator(0, "unit")
    points = rng.normal(size=(30, 3))
    assert kernel(points * [1e-4, 1.0, 1e4]) == pytest.approx(kernel(points), abs=1e-9)


def test_outlives_latents_that_never_change() -> None:
    state = fed(LatentState(), np.zeros((250, 4)))
    assert (state.statistic, state.alarm) == (0.0, False)


def test_refuses_another_number_of_latents() -> None:
    state = LATENT(LatentState(), [0.0, 1.0])
    with pytest.raises(ValueError, match="3 latent means; wanted 2"):
        LATENT(state, [0.0, 1.0, 2.0])


def test_refuses_latents_that_are_no_numbers() -> None:
    with pytest.raises(ValueError, match="not finite"):
        LATENT(LatentState(), [0.0, float("nan")])
