import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mri_guard.anomaly import Fusion, FusionConfig, Vae, VaeScorer, model
from mri_guard.anomaly.evidence import SMALLEST_OWN_SPREAD
from mri_guard.anomaly.uncertainty import Uncertainty, uncertainty
from mri_guard.determinism import generator
from tests.toys import TINY, plain_fusion, toy_brain

TOY = toy_brain(generator(0, "uncertain"), slices=6)
# Of the restoration alone: its residual over 0.1, so that what is expected can be said.
ALONE = TINY.model_copy(
    update={"fusion": FusionConfig(restoration=1, atlas=0, asymmetry=0, structure=0)}
)
HEALTHY = plain_fusion(spread=0.1).tensors()


@pytest.fixture(scope="module")
def scorer() -> VaeScorer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = Vae(TINY.model).state_dict()
    return VaeScorer.from_tensors(ALONE, state, HEALTHY)


def of(scorer: VaeScorer, draws: int = 4, seed: int = 0) -> Uncertainty:
    return uncertainty(scorer, TOY, draws, generator(seed, "draws"))


class Shifted(torch.nn.Module):
    """Restores every pixel five own spreads too low, give or take a draw for the whole scan."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(
        self, window: Tensor, position: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor]:
        noise = torch.zeros(()) if generator is None else torch.randn((), generator=generator)
        # Alike everywhere, so that the scan's own spread is the smallest there is.
        unit = 0.1 * SMALLEST_OWN_SPREAD
        return (window[:, 1:2] - unit * (5 + self.sigma * noise),)


@settings(max_examples=10, deadline=None)
@given(sigma=st.floats(0, 0.5), draws=st.integers(2, 8))
def test_gives_the_spread_that_was_put_in(sigma: float, draws: int) -> None:
    """Each map is 5 + sigma n all over the brain, n the draw; so is each score."""
    found = of(VaeScorer(Shifted(sigma), Fusion.from_tensors(HEALTHY, ALONE.fusion), ALONE), draws)
    seed = int(generator(0, "draws").integers(2**62))
    noise = torch.Generator().manual_seed(seed)
    values = [5 + sigma * float(torch.randn((), generator=noise)) for _ in range(draws)]
    assert found.scores == pytest.approx(values, abs=1e-4)
    assert found.score_mean == pytest.approx(np.mean(values), abs=1e-4)
    assert found.score_spread == pytest.approx(np.std(values, ddof=1), abs=1e-4)
    assert found.score_range == pytest.approx(np.percentile(values, (5, 95)), abs=1e-4)
    assert found.map_spread[TOY.brain] == pytest.approx(np.std(values, ddof=1), abs=1e-4)


def test_is_zero_without_posterior_variance(
    scorer: VaeScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert of(scorer).map_spread.max() > 0.01
    monkeypatch.setattr(model, "LOG_VARIANCE_RANGE", (-1e4, -1e4))
    certain = of(scorer)
    assert not certain.map_spread.any()
    assert certain.score_spread == 0
    assert certain.score_range == (certain.score_mean, certain.score_mean)
    assert certain.score_mean == pytest.approx(scorer(TOY).score, rel=1e-6)


def test_grows_with_the_posterior_variance(
    scorer: VaeScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    means = []
    for log_variance in (-8.0, -6.0, -4.0):
        monkeypatch.setattr(model, "LOG_VARIANCE_RANGE", (log_variance, log_variance))
        means.append(of(scorer).map_spread[TOY.brain].mean())
    # The spread of small draws is their standard deviation: e^(1 nat), from step to step.
    assert np.divide(means[1:], means[:-1]) == pytest.approx(np.e, rel=0.15)


def test_looks_at_nothing_outside_the_brain(scorer: VaeScorer) -> None:
    assert not of(scorer).map_spread[~TOY.brain].any()
    assert of(scorer).map_spread.shape == TOY.image.shape


def test_same_seed_gives_the_same_and_leaves_other_draws_alone(scorer: VaeScorer) -> None:
    before = torch.random.get_rng_state()
    one, again, other = of(scorer), of(scorer), of(scorer, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(one.scores, again.scores)
    assert np.array_equal(one.map_spread, again.map_spread)
    assert not np.array_equal(one.scores, other.scores)


def test_leaves_the_score_itself_as_it_was(scorer: VaeScorer) -> None:
    before = scorer(TOY).score
    of(scorer)
    assert not scorer.model.training
    assert scorer(TOY).score == before


def test_refuses_a_spread_of_one_draw(scorer: VaeScorer) -> None:
    with pytest.raises(ValueError, match="1 draws; wanted at least 2"):
        of(scorer, draws=1)
