import pytest
import torch
from scipy import stats

from mri_guard.anomaly import HealthyStatistics
from mri_guard.anomaly.frame import Frame, context_step, windows
from mri_guard.anomaly.residual import GRID, in_own_spreads, smooth
from mri_guard.errors import BundleError


def places(shape: tuple[int, int, int]) -> torch.Tensor:
    return Frame((0, 0, 0), shape, 1).positions(torch.device("cpu"))


def noise(seed: int, shape: tuple[int, int, int]) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_brings_healthy_noise_to_mean_nought_and_spread_one() -> None:
    shape = (16, 48, 48)
    inside = torch.ones(shape, dtype=torch.bool)
    # Noisier and brighter towards the top, alike on both sides.
    level = torch.linspace(0.05, 0.2, shape[0])[:, None, None]

    def healthy(seed: int) -> torch.Tensor:
        return level * noise(seed, shape) + level

    fitted = HealthyStatistics.fit((healthy(i), inside, places(shape)) for i in range(20))
    standard = fitted.standardise(healthy(99), places(shape))
    for part in (standard[2:8], standard[8:14]):
        assert part.mean().item() == pytest.approx(0, abs=0.05)
        assert part.std().item() == pytest.approx(1, abs=0.05)


def test_knows_no_left_from_right() -> None:
    shape = (4, 24, 24)
    one_sided = torch.zeros(shape)
    one_sided[:, :12] = 1.0
    fitted = HealthyStatistics.fit(
        [(one_sided, torch.ones(shape, dtype=torch.bool), places(shape))]
    )
    assert torch.allclose(fitted.mean, fitted.mean.flip(1), atol=1e-6)


def test_counts_only_where_it_is_told_to() -> None:
    shape = (4, 24, 24)
    values = torch.zeros(shape)
    values[0] = 100.0
    counts = torch.ones(shape, dtype=torch.bool)
    counts[0] = False
    assert HealthyStatistics.fit([(values, counts, places(shape))]).mean.abs().max() == 0
    with pytest.raises(ValueError, match="no healthy voxel"):
        HealthyStatistics.fit([(values, ~torch.ones(shape, dtype=torch.bool), places(shape))])


def test_comes_back_from_its_tensors() -> None:
    fitted = HealthyStatistics(torch.zeros(GRID), torch.ones(GRID))
    again = HealthyStatistics.from_tensors(fitted.tensors(), "atlas")
    assert torch.equal(again.mean, fitted.mean)
    assert torch.equal(again.spread, fitted.spread)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spread": torch.zeros(GRID)}, "not positive"),
        ({"mean": torch.zeros(2, 2, 2)}, "has shape"),
        ({"mean": torch.full(GRID, float("nan"))}, "not finite"),
        ({"mean": torch.zeros(GRID, dtype=torch.int64)}, "not finite"),
        ({"further": torch.zeros(GRID)}, "unexpected"),
    ],
)
def test_refuses_tensors_that_do_not_fit(change: dict[str, torch.Tensor], message: str) -> None:
    tensors = {"mean": torch.zeros(GRID), "spread": torch.ones(GRID)} | change
    with pytest.raises(BundleError, match=message):
        HealthyStatistics.from_tensors(tensors, "atlas")


def test_keeps_a_constant_when_it_smooths_up_to_the_edge() -> None:
    inside = torch.zeros(6, 20, 20, dtype=torch.bool)
    inside[1:5, 4:16, 3:17] = True
    smoothed = smooth(torch.full((6, 20, 20), 7.0), inside, 1.5, 0.8)
    assert torch.allclose(smoothed[inside], torch.tensor(7.0), atol=1e-4)
    assert not smoothed[~inside].any()


def test_leaves_values_alone_when_it_smooths_by_nothing() -> None:
    inside = torch.ones(3, 5, 5, dtype=torch.bool)
    values = noise(0, (3, 5, 5))
    assert torch.equal(smooth(values, inside, 0.0, 0.0), values)


def test_measures_a_scan_in_the_spread_of_what_is_not_unusual_in_it() -> None:
    values = noise(0, (8, 40, 40))
    inside = torch.ones(values.shape, dtype=torch.bool)
    lesioned = values.clone()
    lesioned[2:4, 5:15, 5:15] = 30.0
    expected = stats.median_abs_deviation(values.numpy(), axis=None, scale="normal")
    own = in_own_spreads(values, inside, 1.0, 0.5)
    torch.testing.assert_close(own, values / float(expected), rtol=1e-3, atol=1e-4)
    assert in_own_spreads(7 * values, inside, 1.0, 0.5).std() == pytest.approx(own.std().item())
    unlesioned = lesioned != 30.0
    assert in_own_spreads(lesioned, inside, 1.0, 0.5)[unlesioned].std().item() == pytest.approx(
        1, abs=0.06
    )


def test_takes_a_quiet_scan_for_no_quieter_than_it_may_be() -> None:
    values = 0.01 * noise(1, (4, 20, 20))
    inside = torch.ones(values.shape, dtype=torch.bool)
    torch.testing.assert_close(in_own_spreads(values, inside, 1.0, 0.5), values / 0.5)


@pytest.mark.parametrize(("share", "unit"), [(1.0, 3.0), (0.5, 5**0.5), (0.0, 1.0)])
def test_takes_of_the_own_spread_the_share_it_was_told(share: float, unit: float) -> None:
    values = noise(2, (4, 20, 20))
    inside = torch.ones(values.shape, dtype=torch.bool)
    own = 3 * in_own_spreads(values, inside, 1.0, 0.0)  # of an own spread of 3
    torch.testing.assert_close(in_own_spreads(own, inside, 1.0, 0.5, share), own / unit)


def test_cuts_out_a_brain_and_puts_it_back() -> None:
    brain = torch.zeros(7, 20, 22, dtype=torch.bool)
    brain[2:6, 3:12, 5:18] = True
    frame = Frame.of(brain, 8)
    volume = noise(1, (7, 20, 22)) * brain
    box = frame.cut(volume)
    assert box.shape == (4, 16, 16)
    assert torch.equal(frame.put(box, volume.shape), volume)


def test_measures_places_from_one_end_of_the_brain_to_the_other() -> None:
    position = places((4, 10, 20))
    assert position.shape == (4, 3, 10, 20)
    assert position[0, 2, 0, 0].item() == pytest.approx(-0.75)
    assert position[3, 2, 0, 0].item() == pytest.approx(0.75)
    assert torch.allclose(position[:, 0], -position[:, 0].flip(1))
    assert torch.allclose(position[:, 1], -position[:, 1].flip(2))


def test_looks_about_the_same_distance_up_and_down_whatever_the_slices() -> None:
    assert [context_step(5.0, gap) for gap in (1.0, 2.0, 5.0, 9.0)] == [5, 2, 1, 1]
    stack = windows(torch.arange(5.0)[:, None, None], neighbours=1, step=2)
    assert stack[:, :, 0, 0].tolist() == [[0, 0, 2], [0, 1, 3], [0, 2, 4], [1, 3, 4], [2, 4, 4]]
