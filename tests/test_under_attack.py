from dataclasses import replace

import numpy as np
import pytest
import torch

from mri_guard.anomaly import Vae, VaeScorer
from mri_guard.attacks import Apgd, DeepFool, Posterior, Victim
from mri_guard.determinism import generator
from mri_guard.under_attack import slice_victim
from tests.toys import TINY, plain_fusion, toy_brain


@pytest.fixture(scope="module")
def scorer() -> VaeScorer:
    torch.manual_seed(0)
    vae = dict(Vae(TINY.model).state_dict())
    return VaeScorer.from_tensors(TINY, vae, plain_fusion(spread=0.1).tensors())


@pytest.fixture(scope="module")
def victim(scorer: VaeScorer) -> Victim:
    toy = toy_brain(generator(0, "attacked"), slices=5)
    found = slice_victim(
        scorer, toy, np.ones(5, np.bool_), direction="alarm", threshold=3.0, scale=0.1
    )
    assert found is not None
    return found[0]


def test_gives_a_victim_whose_posterior_can_be_attacked(victim: Victim) -> None:
    latents, seen = victim.latents, []
    assert latents is not None

    def watched(image: torch.Tensor) -> torch.Tensor:
        seen.append(latents(image))
        return seen[-1]

    epsilon = 8 / 255
    Posterior(steps=5)(replace(victim, latents=watched), epsilon, generator(0, "test"))
    rng = generator(1, "test")
    noise = torch.as_tensor(rng.choice([-epsilon, epsilon], tuple(victim.image.shape))).float()
    with torch.no_grad():
        by_noise = (latents(victim.image + victim.wide(noise)) - seen[0]).norm()
        assert (seen[-1] - seen[0]).norm() > by_noise


def test_tells_no_posterior_of_what_is_no_vae(scorer: VaeScorer) -> None:
    class Restores(torch.nn.Module):
        def forward(self, window: torch.Tensor, place: torch.Tensor) -> tuple[torch.Tensor]:
            return (window[:, 1:2] * self.gain,)

        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(()))

    other = VaeScorer(Restores(), scorer.fusion, scorer.config)
    toy = toy_brain(generator(0, "attacked"), slices=5)
    found = slice_victim(other, toy, np.ones(5, np.bool_), direction="alarm", threshold=3.0)
    assert found is not None
    assert found[0].latents is None
    with pytest.raises(ValueError, match="wanted the posterior"):
        Posterior()(found[0], 0.1, generator(0, "test"))


def test_moves_each_slice_of_a_scan_and_keeps_its_best(victim: Victim) -> None:
    clean = victim.margins(victim.image)
    found = Apgd(steps=5)(victim, 8 / 255, generator(0, "test"))
    assert (found.margins > clean).all()


def test_finds_the_smallest_change_of_each_slice(victim: Victim) -> None:
    base = victim.margins(victim.image)
    raised = victim.scores_of(base).max() + 0.05
    higher = Victim(victim.image, victim.mask, victim.scores, "alarm", float(raised), 0.1)
    found = DeepFool(steps=8)(higher, 1.0, generator(0, "test"))
    assert torch.isfinite(found.least).all()
    assert found.least.max() < 0.2
