import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mri_guard.anomaly import Vae, VaeScorer, frame, residual
from mri_guard.attacks import Direction, Victim
from mri_guard.determinism import generator
from mri_guard.evaluation.robustness.sanity import (
    MEANING,
    STEPS_A_DOUBLING,
    UNBOUNDED,
    Check,
    Sanity,
    suspected,
)
from mri_guard.under_attack import slice_victim, slices_of
from tests.attacks.victims import two_halves, victim
from tests.toys import TINY, plain_fusion, toy_brain, with_lesion

SANITY = Sanity(epsilon=0.03, steps=4, looks=4)


def found(attacked: Victim, sanity: Sanity = SANITY) -> dict[str, Check]:
    return {check.name: check for check in sanity(attacked, generator(0, "sanity"))}


def failed(attacked: Victim) -> set[str]:
    return {name for name, check in found(attacked).items() if not check.passed}


def tiny(direction: Direction) -> Victim:
    """Slices of a toy before a real scorer whose model has learnt nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Vae(TINY.model).eval().requires_grad_(False)
    scorer = VaeScorer(model, plain_fusion(0.1), TINY)
    toy, lesion = with_lesion(toy_brain(generator(0, "sane"), slices=6, side=24), radius=3.0)
    threshold = float(np.nanmedian(scorer(toy).slice_scores))
    made = slice_victim(
        scorer, toy, slices_of(lesion, direction), direction=direction, threshold=threshold
    )
    assert made is not None
    return made[0]


def bumps(squashed: Callable[[Tensor], Tensor]) -> Victim:
    """A smooth score of two slices, seen through something."""
    smooth = two_halves("alarm")
    return victim(lambda image: squashed(smooth.scores(image)), "alarm", 0.5)


def test_looks_for_every_sign_in_order() -> None:
    assert list(found(two_halves())) == list(MEANING)


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_finds_nothing_wrong_with_a_scorer_of_ours(direction: Direction) -> None:
    assert not failed(tiny(direction))


def test_finds_nothing_wrong_with_a_smooth_score() -> None:
    smooth = two_halves("alarm")
    assert not failed(replace(smooth, threshold=0.4))


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_catches_a_median_whose_gradient_is_one_voxels(
    direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (frame, residual):
        monkeypatch.setattr(module, "median", Tensor.median)
    assert "gradients_tell_the_way" in failed(tiny(direction))


def test_catches_rounding_before_the_model() -> None:
    smooth = two_halves("alarm")
    rounded = replace(
        smooth, threshold=0.4, scores=lambda image: smooth.scores((image * 64).round() / 64)
    )
    # round() has a gradient, and it is 0.
    assert {"gradients_exist", "white_box_beats_black_box"} <= failed(rounded)


def test_catches_a_saturated_sigmoid() -> None:
    assert "gradients_exist" in failed(bumps(lambda scores: torch.sigmoid((scores - 9) / 0.01)))


def test_catches_a_temperature_that_is_too_small() -> None:
    # What a library's two logits over too small a scale become before a cross entropy.
    cold = bumps(
        lambda scores: torch.softmax(torch.stack([0.4 - scores, scores - 0.4]) / 1e-4, 0)[1]
    )
    assert failed(cold)


def test_catches_a_gradient_that_points_elsewhere() -> None:
    smooth = two_halves("alarm")

    def astray(image: Tensor) -> Tensor:
        true, false = smooth.scores(image), -smooth.scores(image)
        return false + (true - false).detach()

    seen = failed(replace(smooth, threshold=0.4, scores=astray))
    assert {
        "gradients_tell_the_way",
        "white_box_beats_black_box",
        "more_steps_do_no_worse",
    } <= seen


def test_catches_a_gradient_that_is_not_a_number() -> None:
    smooth = two_halves("alarm")
    broken = replace(
        smooth,
        threshold=0.4,
        scores=lambda image: smooth.scores(image) + 0 * (image * 0).sqrt().sum(),
    )
    checks = found(broken)
    assert not checks["gradients_exist"].passed
    assert not checks["gradients_tell_the_way"].passed
    # They are kept as JSON, which has no word for what is not finite.
    assert all(math.isfinite(one.seen) and math.isfinite(one.wanted) for one in checks.values())


def test_is_not_misled_by_who_else_looks_on() -> None:
    watched = replace(two_halves("alarm"), threshold=0.4, hidden=lambda image: -torch.ones(1))
    assert not failed(watched)


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_takes_no_more_gradients_and_scores_than_it_says(direction: Direction) -> None:
    smooth, asked = two_halves(direction), {"gradients": 0, "scores": 0}

    def counted(image: Tensor) -> Tensor:
        asked["gradients" if image.requires_grad else "scores"] += 1
        return smooth.scores(image)

    found(replace(smooth, scores=counted, threshold=0.4))
    doublings = 1 + int(math.log2(UNBOUNDED / SANITY.epsilon))
    most = 2 * SANITY.steps + 2 + STEPS_A_DOUBLING * doublings
    assert 2 * SANITY.steps < asked["gradients"] <= most
    assert asked["scores"] <= 4 * SANITY.steps + SANITY.looks + doublings + 10


def test_catches_noise_that_does_as_much() -> None:
    smooth = two_halves("alarm")
    rng = generator(0, "scores")

    def random(image: Tensor) -> Tensor:
        noise = torch.as_tensor(rng.normal(size=2)).float()
        return smooth.scores(image) + noise

    assert "noise_does_far_less" in failed(replace(smooth, threshold=9.0, scores=random))


def test_catches_a_score_that_no_attack_can_reach() -> None:
    smooth = two_halves("alarm")
    assert "unbounded_reaches_all" in failed(
        replace(smooth, threshold=2.0, scores=lambda image: torch.tanh(smooth.scores(image)))
    )


def test_suspects_where_any_check_fails() -> None:
    good = Check("gradients_exist", True, 1.0, 0.5)
    assert not suspected([good])
    assert suspected([good, replace(good, passed=False)])
