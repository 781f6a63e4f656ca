from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mri_guard.anomaly import VaeConfig
from mri_guard.determinism import generator
from mri_guard.errors import UnfitModelError
from mri_guard.training.batches import Batch, held_out_batches
from mri_guard.training.data import subject_of
from mri_guard.training.guards import Fitness, measure, refuse_unfit, undone_share
from mri_guard.training.synthetic_lesions import HELD_OUT, kinds
from tests.toys import TINY, TINY_VOLUME, toy_brain

both = pytest.mark.parametrize("config", [TINY, TINY_VOLUME], ids=["2-D", "3-D"])

Restore = Callable[[Batch], Tensor]


def batches(config: VaeConfig) -> list[Batch]:
    groups = [[subject_of(toy_brain(generator(0, "guards", i)), None, config) for i in range(3)]]
    return held_out_batches(groups, 0, kinds(HELD_OUT), size=4, count=3, crop_px=32)


class Stub(nn.Module):
    """Restores as told; its latents say something, or nothing."""

    def __init__(self, given: list[Batch], restore: Restore, spread: float = 1.0) -> None:
        super().__init__()
        self.given, self.restore, self.spread = iter(given), restore, spread

    def forward(self, window: Tensor, _: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        batch = next(self.given)
        means = self.spread * torch.randn(
            batch.target[:, :1].shape, generator=torch.Generator().manual_seed(0)
        )
        return self.restore(batch), [(means, torch.zeros_like(means))]


def fitness(config: VaeConfig, restore: Restore, spread: float = 1.0) -> Fitness:
    given = batches(config)
    return measure(Stub(given, restore, spread), given)  # type: ignore[arg-type]


@both
def test_knows_the_identity_and_what_takes_a_lesion_away(config: VaeConfig) -> None:
    copy = fitness(config, lambda batch: batch.seen)
    half = fitness(config, lambda batch: (batch.seen + batch.target) / 2)
    healed = fitness(config, lambda batch: batch.target)
    assert [copy.undone, half.undone, healed.undone] == pytest.approx([0, 0.5, 1], abs=1e-6)
    assert healed.held_out_ap > 3 * copy.held_out_ap
    refuse_unfit(healed, 0.3, 0.005, 0.25)
    with pytest.raises(UnfitModelError, match="copied"):
        refuse_unfit(copy, 0.3, 0.005, 0.25)


@both
def test_refuses_latents_that_say_nothing(config: VaeConfig) -> None:
    asleep = fitness(config, lambda batch: batch.target, spread=0.0)
    assert asleep.nats_per_pixel == (0.0,)
    assert asleep.active == (0,)
    with pytest.raises(UnfitModelError, match="posterior collapse"):
        refuse_unfit(asleep, 0.3, 0.005, 0.25)


@both
def test_tells_of_each_window_how_much_was_undone(config: VaeConfig) -> None:
    batch = batches(config)[0]
    shares = torch.tensor([0.0, 0.25, 0.5, 1.0])
    restored = torch.lerp(batch.seen, batch.target, shares[:, None, None, None])
    assert undone_share(batch, restored).tolist() == pytest.approx(shares.tolist(), abs=1e-5)
