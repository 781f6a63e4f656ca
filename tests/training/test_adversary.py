from dataclasses import replace

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from mri_guard.anomaly import Vae
from mri_guard.determinism import generator
from mri_guard.training.adversary import Adversary, Goal, _harm, attacked, moved
from mri_guard.training.batches import Batch, held_out_batches
from mri_guard.training.checkpoint import Progress
from mri_guard.training.config import TrainConfig
from mri_guard.training.data import subject_of
from mri_guard.training.synthetic_lesions import TRAINED, kinds
from mri_guard.training.train import train_step
from tests.toys import TINY, toy_brain

PIXELS = Adversary(epsilon=0.05, bias=0.0, ramp=0.0)
FIELD = Adversary(epsilon=0.0, bias=0.2, ramp=0.0)


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Four windows with a lesion and four without."""
    rng = generator(0, "toys")
    groups = [[subject_of(toy_brain(rng), None, TINY) for _ in range(3)]]
    (made,) = held_out_batches(groups, 0, kinds(TRAINED), size=8, count=1, crop_px=32)
    healthy = torch.arange(8) >= 4
    window, lesion = made.window.clone(), made.lesion.clone()
    window[healthy, 1] = made.target[healthy, 0]
    lesion[healthy] = 0
    return replace(made, window=window, lesion=lesion)


@pytest.fixture(scope="module")
def model() -> Vae:
    torch.manual_seed(0)
    return Vae(TINY.model)


def after(batch: Batch, model: Vae, adversary: Adversary, done: float = 1.0) -> Batch:
    return attacked(batch, model, adversary, done, generator(1, "adversary"))


def test_keeps_each_pixel_within_epsilon_and_leaves_what_is_outside_the_brain(
    batch: Batch, model: Vae
) -> None:
    found = after(batch, model, PIXELS)
    change = found.window - batch.window
    assert 0.04 < change.abs().max() <= 0.05 + 1e-6
    assert not change[batch.window == 0].any()
    assert torch.equal(found.target, batch.target)


def test_bends_window_and_target_by_the_same_smooth_field(batch: Batch, model: Vae) -> None:
    found = after(batch, model, FIELD)
    inside = (batch.target > 0.1) & (batch.seen > 0.1)
    by_target = torch.log(found.target / batch.target)[inside]
    by_window = torch.log(found.seen / batch.seen)[inside]
    torch.testing.assert_close(by_target, by_window, atol=1e-4, rtol=0)
    assert 0.1 < by_target.abs().max() <= 0.2 + 1e-5


@pytest.mark.parametrize("adversary", [PIXELS, FIELD], ids=["pixels", "field"])
def test_does_more_harm_than_noise_does(batch: Batch, model: Vae, adversary: Adversary) -> None:
    found = after(batch, model, adversary)
    with torch.no_grad():
        harm = _harm(model, batch, found.window, adversary)
        for seed in range(5):
            drawn = torch.as_tensor(generator(seed, "noise").uniform(-1, 1, batch.window.shape))
            noise = drawn.float() * adversary.epsilon * (batch.window != 0)
            assert harm > _harm(model, batch, batch.window + noise, adversary)


def test_moves_the_posterior_where_that_is_its_goal(batch: Batch, model: Vae) -> None:
    posterior = PIXELS.model_copy(update={"goal": Goal.POSTERIOR})
    found = [after(batch, model, one) for one in (posterior, PIXELS)]
    with torch.no_grad():
        by_goal, by_score = (_harm(model, batch, one.window, posterior) for one in found)
    assert by_goal > 1.5 * by_score


def test_attacks_the_share_it_was_told(batch: Batch, model: Vae) -> None:
    found = after(batch, model, PIXELS.model_copy(update={"share": 0.5}))
    changed = (found.window != batch.window).flatten(1).any(1)
    assert changed.tolist() == [True] * 4 + [False] * 4


def test_begins_with_nothing_and_rises_with_the_ramp(batch: Batch, model: Vae) -> None:
    slowly = PIXELS.model_copy(update={"ramp": 0.5})
    sizes = [
        float((after(batch, model, slowly, done).window - batch.window).abs().max())
        for done in (0.0, 0.25, 0.5, 1.0)
    ]
    assert sizes == pytest.approx([0, 0.025, 0.05, 0.05], abs=1e-6)


def test_leaves_the_models_gradients_alone(batch: Batch, model: Vae) -> None:
    after(batch, model, PIXELS)
    assert all(one.grad is None and one.requires_grad for one in model.parameters())


def test_draws_from_the_generator_alone(batch: Batch, model: Vae) -> None:
    one, again = (after(batch, model, PIXELS) for _ in range(2))
    assert torch.equal(one.window, again.window)
    other = attacked(batch, model, PIXELS, 1.0, generator(2, "adversary"))
    assert not torch.equal(one.window, other.window)


def test_knows_the_window_without_its_change_of_pixels(batch: Batch, model: Vae) -> None:
    assert after(batch, model, FIELD).calm is None
    field = FIELD.model_copy(update={"smooth": 1.0})
    bent = after(batch, model, field)
    assert bent.calm is not None
    assert torch.equal(bent.calm, bent.window)
    both = after(batch, model, field.model_copy(update={"epsilon": 0.05, "share": 0.5}))
    assert both.calm is not None
    change = (both.window - both.calm).abs().flatten(1).amax(1)
    assert (change[:4] > 0.04).all()
    assert (change[:4] <= 0.05 + 1e-6).all()
    assert not change[4:].any()


def test_measures_in_nats_how_far_the_encoder_was_led() -> None:
    rng = torch.Generator().manual_seed(0)
    one, other = (
        [
            (torch.randn(2, count, 4, 4, generator=rng), torch.randn(2, count, 4, 4, generator=rng))
            for count in (2, 3)
        ]
        for _ in range(2)
    )
    normals = (
        [Normal(mean, torch.exp(0.5 * log_variance)) for mean, log_variance in levels]
        for levels in (one, other)
    )
    known = sum(float(kl_divergence(p, q).sum()) for p, q in zip(*normals, strict=True))
    assert float(moved(one, other)) == pytest.approx(known, rel=1e-5)
    assert float(moved(one, one)) == pytest.approx(0, abs=1e-4)


def test_a_smooth_encoder_is_led_less_far(batch: Batch) -> None:
    def led(smooth: float) -> float:
        opponent = PIXELS.model_copy(update={"smooth": smooth})
        config = TrainConfig(vae=TINY, adversary=opponent, target_nats=None, mine=False)
        torch.manual_seed(0)
        learner = Vae(TINY.model)
        optimiser = torch.optim.AdamW(learner.parameters())
        prices = [config.beta] * sum(count > 0 for count in TINY.model.latents)
        progress = Progress("", 0, 0, -1.0, {}, [], prices, [])
        for step in range(20):
            progress.step = step
            train_step(
                learner,
                optimiser,
                after(batch, learner, opponent),
                config,
                seed=0,
                progress=progress,
            )
        found = after(batch, learner.eval(), opponent.model_copy(update={"smooth": 1.0}))
        assert found.calm is not None
        with torch.no_grad():
            return float(
                moved(
                    learner(found.window, batch.position)[1], learner(found.calm, batch.position)[1]
                )
            )

    assert led(10.0) < 0.75 * led(0.0)
