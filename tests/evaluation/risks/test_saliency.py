"""Maps that depend on the weights, and maps that do not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from mri_guard.anomaly import Fusion, VaeConfig, VaeScorer
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.evaluation.risks.saliency import (
    ALL,
    NO_NETWORK,
    drawn_anew,
    maps,
    rank_correlation,
    saliency,
    ssim,
    stages,
)
from mri_guard.metrics.bootstrap import patient_counts
from tests.evaluation.risks.toys import case, network, restored_by, untrained
from tests.toys import TINY, TINY_VOLUME

COUNTS = patient_counts(3, generator(0, "saliency test"), 50)
SCANS = [restored_by(lambda subject: subject.image, case(i)) for i in range(3)]


def weighing(**weights: float) -> VaeScorer:
    """An untrained scorer whose map is made of this evidence alone."""
    scorer = untrained()
    assert isinstance(scorer.fusion, Fusion)
    none = {"restoration": 0.0, "atlas": 0.0, "asymmetry": 0.0, "structure": 0.0}
    config = scorer.fusion.config.model_copy(update=none | weights)
    return replace(scorer, fusion=replace(scorer.fusion, config=config))


@pytest.mark.parametrize("config", [TINY, TINY_VOLUME], ids=["2-D", "3-D"])
def test_cascade_names_every_weight_once_and_ends_with_none_left(config: VaeConfig) -> None:
    model = network(config)
    for name in model.state_dict():
        named = [stage for stage in stages(model) if name.startswith(stage.modules)]
        assert len(named) == 1, name
    assert stages(model)[0].name == "head"
    assert stages(model)[-1].name == "stem"


def test_draws_the_named_weights_and_leaves_the_model_as_it_was() -> None:
    model = network()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    some = drawn_anew(model, ("head.",), generator(0, "anew"))
    more = drawn_anew(model, ("head.", "stem."), generator(0, "anew"))
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    changed = {n for n, weight in some.state_dict().items() if not torch.equal(weight, before[n])}
    assert changed
    assert all(name.startswith("head.") for name in changed)
    # A cascade: what was drawn before is not drawn again.
    assert all(torch.equal(some.state_dict()[name], more.state_dict()[name]) for name in changed)
    assert not torch.equal(more.state_dict()["stem.weight"], before["stem.weight"])
    assert not more.training


def test_rank_correlation_is_that_of_scipy() -> None:
    rng = generator(0, "maps")
    one, other = (torch.from_numpy(rng.random((3, 20, 20)).round(1)) for _ in range(2))
    inside = one + other > 0.4
    expected = stats.spearmanr(one[inside].numpy(), other[inside].numpy()).statistic
    assert rank_correlation(one, other, inside) == pytest.approx(expected, abs=1e-9)
    assert rank_correlation(one, -one, inside) == pytest.approx(-1)
    assert rank_correlation(one, torch.ones_like(one), inside) == 0


def test_likeness_does_not_ask_for_the_scale_of_a_map() -> None:
    one = torch.from_numpy(generator(0, "map").random((3, 20, 20)))
    inside = torch.ones_like(one, dtype=torch.bool)
    assert ssim(one, 7 * one, inside) == pytest.approx(1)
    other = torch.from_numpy(generator(1, "map").random((3, 20, 20)))
    assert ssim(one, other, inside) < 0.3
    assert ssim(one, torch.zeros_like(one), inside) < 0.3


def test_a_map_of_the_restoration_alone_changes_with_the_weights() -> None:
    metrics, rows = saliency(weighing(restoration=1.0), SCANS, COUNTS, seed=0)
    changed = metrics["map_rank_correlation_all_weights_anew"]
    assert changed.value < 0.9
    assert changed.low <= changed.value <= changed.high
    assert changed.n == 3
    assert rows[-2]["drawn_anew"] == ALL
    assert rows[-2]["map_rank_correlation"] == changed.value
    assert len(rows) == len(stages(network())) + 1


def test_a_map_that_asks_no_network_does_not_change() -> None:
    metrics, rows = saliency(weighing(atlas=1.0), SCANS, COUNTS, seed=0)
    assert metrics["map_rank_correlation_all_weights_anew"].value == pytest.approx(1)
    assert metrics["map_ssim_all_weights_anew"].value == pytest.approx(1)
    assert metrics["map_rank_correlation_without_network"].value == pytest.approx(1)
    # Its residual would.
    assert metrics["residual_rank_correlation_all_weights_anew"].value < 0.9
    assert rows[-1]["drawn_anew"] == NO_NETWORK
    assert rows[-1]["residual_rank_correlation"] is None


def test_whole_map_is_the_one_that_the_scorer_gives() -> None:
    scorer, toy = untrained(), SCANS[0].preprocessed
    found = maps(scorer, toy)
    own = np.sort(found.by_name["map"][found.inside].numpy())
    assert own == pytest.approx(np.sort(scorer(toy).map[toy.brain]), abs=1e-5)


def test_refuses_a_scorer_that_has_lost_a_part() -> None:
    without = replace(untrained(), fusion=lambda found: found.signed["atlas"])
    with pytest.raises(SettingsError, match="whole"):
        maps(without, SCANS[0].preprocessed)
