from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, distributions

from mri_guard.attacks import Posterior
from mri_guard.attacks.posterior import distance, divergence
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, latents, linear


def test_measures_the_divergence_of_two_posteriors() -> None:
    torch.manual_seed(0)
    one, other = torch.randn(2, 7), torch.randn(2, 7)
    normals = [distributions.Normal(mean, (0.5 * log).exp()) for mean, log in (one, other)]
    expected = distributions.kl_divergence(*normals).sum()
    torch.testing.assert_close(divergence(one, other), expected)
    torch.testing.assert_close(distance(one, other), (one[0] - other[0]).square().sum())


@pytest.mark.parametrize("measure", ["divergence", "distance"])
def test_moves_the_latents_as_far_as_the_ball_lets_them(
    measure: Literal["divergence", "distance"],
) -> None:
    seen: list[Tensor] = []

    def watched(x: Tensor) -> Tensor:
        seen.append(latents(x).detach())
        return latents(x)

    victim = replace(linear()[0], latents=watched)
    Posterior(measure=measure)(victim, 0.1, generator(0, "test"))
    # Means of four voxels, unless the mask's rim halves them, move by epsilon at most.
    most = 0.1 * latents(MASK.float())[0]
    moved = (seen[-1] - latents(IMAGE))[0]
    assert (moved.abs() <= most + 1e-6).all()
    assert moved.abs().sum() > 0.95 * most.sum()


def test_begins_on_the_side_that_is_wanted() -> None:
    for direction in ("evade", "alarm"):
        victim, _ = linear(direction)
        found = Posterior(steps=1)(victim, 0.1, generator(0, "test"))
        assert float(found.margins) > float(victim.margins(IMAGE))


def test_refuses_a_victim_that_tells_no_latents() -> None:
    victim = replace(linear()[0], latents=None)
    with pytest.raises(ValueError, match="wanted the posterior"):
        Posterior()(victim, 0.1, generator(0, "test"))
