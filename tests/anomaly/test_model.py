import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mri_guard.anomaly import ModelConfig, Vae, rates
from mri_guard.anomaly.losses import dissimilarity, gradient_l1, masked_l1, paid_rates

TINY = ModelConfig(channels=(8, 16), latents=(2, 4), groups=4)
VOLUME = TINY.model_copy(update={"dimensions": 3})

both = pytest.mark.parametrize("config", [TINY, VOLUME], ids=["2-D", "3-D"])


def tiny(config: ModelConfig = TINY) -> Vae:
    torch.manual_seed(0)
    return Vae(config).eval()


def inputs(
    config: ModelConfig = TINY, batch: int = 2, side: int = 16
) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    slices = 2 * config.neighbours + 1
    deep = (slices,) if config.dimensions == 3 else ()
    return (
        torch.randn(batch, slices, side, side, generator=draw),
        torch.randn(batch, 3, *deep, side, side, generator=draw),
    )


@both
def test_takes_the_latents_mean_when_it_scores_and_draws_them_when_it_learns(
    config: ModelConfig,
) -> None:
    model, (window, position) = tiny(config), inputs(config)
    with torch.no_grad():
        assert torch.equal(model(window, position)[0], model(window, position)[0])
        model.train()
        one = model(window, position, torch.Generator().manual_seed(1))[0]
        again = model(window, position, torch.Generator().manual_seed(1))[0]
        other = model(window, position, torch.Generator().manual_seed(2))[0]
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_draws_when_it_scores_what_it_draws_when_it_learns_if_given_a_generator() -> None:
    model, (window, position) = tiny(), inputs()
    with torch.no_grad():
        scoring = model(window, position, torch.Generator().manual_seed(1))[0]
        learning = model.train()(window, position, torch.Generator().manual_seed(1))[0]
    assert torch.equal(scoring, learning)


@both
def test_treats_the_images_of_a_batch_apart(config: ModelConfig) -> None:
    model, (window, position) = tiny(config), inputs(config)
    with torch.no_grad():
        together = model(window, position)[0]
        alone = torch.cat([model(window[i : i + 1], position[i : i + 1])[0] for i in range(2)])
    assert torch.allclose(together, alone, atol=1e-5)


@both
def test_lets_nothing_of_the_image_past_its_latents(config: ModelConfig) -> None:
    """With every posterior at its prior, all images are restored alike, by its mean or a draw."""
    model, (window, position) = tiny(config), inputs(config)
    with torch.no_grad():
        for layer in model.posterior:
            for parameter in layer.parameters():
                parameter.zero_()
        restored, posteriors = model(window, position)
        other, _ = model(window + 1.0, position)
        drawn, also = (
            model(image, position, torch.Generator().manual_seed(1))[0]
            for image in (window, window + 1.0)
        )
    assert torch.equal(restored, other)
    assert torch.equal(drawn, also)
    assert not torch.equal(drawn, restored)
    assert all(float(level.abs().max()) == 0 for level in rates(posteriors))


def test_restores_every_slice_in_three_dimensions_from_all_of_them() -> None:
    model, (window, position) = tiny(VOLUME), inputs(VOLUME)
    other = window.clone()
    other[:, 0] += 1.0
    with torch.no_grad():
        changed = (model(other, position)[0] - model(window, position)[0]).abs()
    assert changed.shape == window.shape
    assert (changed.amax((0, 2, 3)) > 1e-3).all()


def test_has_latents_of_every_slice_in_three_dimensions() -> None:
    _, posteriors = tiny(VOLUME)(*inputs(VOLUME))
    assert [tuple(mean.shape) for mean, _ in posteriors] == [(2, 2, 3, 16, 16), (2, 4, 3, 8, 8)]


def test_names_its_parts_alike_in_two_and_three_dimensions() -> None:
    assert tiny(TINY).state_dict().keys() == tiny(VOLUME).state_dict().keys()


@both
def test_restores_a_window_of_one_slice(config: ModelConfig) -> None:
    alone = config.model_copy(update={"neighbours": 0})
    model, (window, position) = tiny(alone), inputs(alone)
    with torch.no_grad():
        restored = model(window, position)[0]
    assert restored.shape == (2, 1, 16, 16)
    assert torch.isfinite(restored).all()


@given(mean=st.floats(-3, 3), log_variance=st.floats(-6, 3))
def test_gives_the_rate_of_a_gaussian(mean: float, log_variance: float) -> None:
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(torch.tensor(mean), torch.tensor(log_variance).mul(0.5).exp()), normal(0.0, 1.0)
    )
    (found,) = rates([(torch.tensor([mean]), torch.tensor([log_variance]))])
    assert float(found) == pytest.approx(float(expected), abs=1e-4)


def test_transmits_more_when_a_nat_is_cheaper() -> None:
    def nats_after(beta: float) -> float:
        model, (window, position) = tiny(), inputs(batch=8)
        brain = torch.ones(8, 1, 16, 16)
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
        model.train()
        for step in range(40):
            draw = torch.Generator().manual_seed(step)
            restored, posteriors = model(window, position, draw)
            nats = paid_rates(rates(posteriors), brain.sum(), 0.0).sum()
            loss = masked_l1(restored, window[:, 1:2], brain) + beta * nats
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return nats.item()

    assert nats_after(0.001) > 2 * nats_after(0.1) > 0


@settings(max_examples=20)
@given(st.integers(0, 5))
def test_refuses_levels_that_do_not_agree(extra: int) -> None:
    with pytest.raises(ValidationError):
        ModelConfig(channels=(8, 16), latents=(2, 4) + (1,) * (extra + 1), groups=4)
    with pytest.raises(ValidationError):
        ModelConfig(channels=(8, 18), latents=(2, 4), groups=4)
    with pytest.raises(ValidationError):
        ModelConfig(channels=(8, 16), latents=(2, 0), groups=4)


def test_pays_nothing_for_free_nats_and_everything_above() -> None:
    pixels = torch.tensor(10.0)
    coarse = torch.full((1, 1, 2, 2), 0.3)
    fine = torch.full((1, 1, 4, 4), 0.1)
    assert paid_rates([fine, coarse], pixels, 0.0).tolist() == pytest.approx([0.16, 0.12])
    assert paid_rates([fine, coarse], pixels, 0.5).tolist() == pytest.approx([0.16, 0.2])


def test_pays_for_each_slice_of_a_window() -> None:
    """Three slices of the test above, and three times the brain."""
    pixels = torch.tensor(30.0)
    coarse = torch.full((1, 1, 3, 2, 2), 0.3)
    fine = torch.full((1, 1, 3, 4, 4), 0.1)
    assert paid_rates([fine, coarse], pixels, 0.0).tolist() == pytest.approx([0.16, 0.12])
    assert paid_rates([fine, coarse], pixels, 0.5).tolist() == pytest.approx([0.16, 0.2])


def test_finds_no_loss_between_an_image_and_itself() -> None:
    image = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    weight = torch.ones_like(image)
    for loss in (masked_l1, gradient_l1, dissimilarity):
        assert loss(image, image, weight).item() == pytest.approx(0, abs=1e-5)
        assert loss(image, image.flip(2), weight).item() > 0.01


def test_ignores_errors_that_weigh_nothing() -> None:
    image, weight = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    wrong = image.clone()
    wrong[..., 0, 0] = 9.0
    weight[..., 3, 3] = 1.0
    assert masked_l1(wrong, image, weight).item() == 0
    weight[..., 0, 0] = 1.0
    assert masked_l1(wrong, image, weight).item() == pytest.approx(4.5)
