"""Latents that say something, say where they are, or say nothing."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mri_guard.anomaly import VaeConfig
from mri_guard.evaluation.risks.collapse import Latents, collapse, read
from mri_guard.evaluation.risks.scene import Examined
from tests.evaluation.risks.toys import case, network, restored_by
from tests.toys import TINY, TINY_VOLUME

ONCE = np.ones((1, 4), dtype=np.int64)


def latents(means: NDArray[np.float64]) -> Latents:
    scans = len(means)
    return Latents(means, np.linspace(1.0, scans, scans), np.full(scans, 0.5), np.arange(scans))


def test_a_channel_that_says_only_where_it_is_sleeps_at_every_place() -> None:
    rng = np.random.default_rng(0)
    places = rng.standard_normal((1, 1, 200))
    scans = rng.standard_normal((4, 1, 1))
    means = np.concatenate(
        [
            np.tile(places, (4, 1, 1)),  # of places alone
            np.broadcast_to(scans, (4, 1, 200)),  # of scans alone
            np.full((4, 1, 200), 3.0),  # of nothing
            rng.standard_normal((4, 1, 200)) * 0.02,  # 0.0004 of variance is too little
        ],
        axis=1,
    )
    found = latents(means)
    assert found.active(ONCE).tolist() == [2.0]
    assert found.active_share(ONCE).tolist() == [0.25]


def test_the_variance_of_a_latent_is_that_of_numpy() -> None:
    means = np.random.default_rng(1).standard_normal((4, 3, 50)) * 0.1
    expected = (means.var(0, ddof=1) > 0.01).mean()
    assert 0.2 < expected < 0.8
    assert latents(means).active_share(ONCE)[0] == pytest.approx(expected, abs=1e-12)


def test_resampling_does_not_make_latents_sleep() -> None:
    scans, counts = 12, np.random.default_rng(5).multinomial(12, [1 / 12] * 12, 2000)
    means = np.random.default_rng(4).standard_normal((scans, 1, 400)) * 0.1
    found = latents(means)
    value = found.active_share(np.ones((1, scans), dtype=np.int64))[0]
    assert found.active_share(counts).mean() == pytest.approx(value, abs=0.05)


def test_a_scan_that_is_alone_in_a_resample_has_no_variance() -> None:
    found = latents(np.random.default_rng(2).standard_normal((4, 2, 5)))
    shares = found.active_share(np.array([[1, 0, 0, 0], [4, 0, 0, 0], [2, 2, 0, 0]]))
    assert np.isnan(shares[:2]).all()
    assert shares[2] > 0
    assert found.rate(np.array([[4, 0, 0, 0], [0, 0, 2, 2]])).tolist() == [1.0, 3.5]


def scans(config: VaeConfig) -> list[Examined]:
    return [restored_by(lambda subject: subject.image, case(number), config) for number in range(4)]


@pytest.mark.parametrize("config", [TINY, TINY_VOLUME], ids=["2-D", "3-D"])
def test_knows_a_level_that_was_put_to_sleep(config: VaeConfig) -> None:
    model = network(config)
    for parameter in model.posterior[1].parameters():
        parameter.zero_()
    metrics, rows = collapse(
        model, scans(config), np.random.default_rng(0).multinomial(4, [0.25] * 4, 50)
    )
    assert metrics["active_units_level_1"].value == 0
    assert metrics["active_share_level_1"].value == 0
    assert metrics["kl_level_1_nats_a_voxel"].value == 0
    assert metrics["kl_level_0_nats_a_voxel"].value > metrics["kl_level_0_nats_a_unit"].value > 0
    assert metrics["active_units_level_1"].n == 4
    assert [row["level"] for row in rows] == [0, 1]
    for name, metric in metrics.items():
        assert metric.low <= metric.value <= metric.high, name
    assert rows[1]["active_units"] == 0


def test_nothing_varies_over_a_single_scan() -> None:
    metrics, rows = collapse(network(), scans(TINY)[:1], np.ones((20, 1), dtype=np.int64))
    assert "active_share_level_0" not in metrics
    assert "kl_level_0_nats_a_unit" in metrics
    assert "active_share" not in rows[0]


def test_reads_only_places_inside_every_brain() -> None:
    model, some = network(), scans(TINY)
    found = read(model, some)
    assert {level: one.means.shape[1] for level, one in found.items()} == {0: 2, 1: 4}
    # A ball in its box fills pi / 6 of it; four of them share a little less.
    assert 0.3 < found[0].means.shape[2] / 512 < np.pi / 6 + 0.05
    again = read(model, some[:1])
    assert again[0].means.shape[2] >= found[0].means.shape[2]
