import pytest
import torch

from mri_guard.anomaly import ModelConfig, Vae
from mri_guard.anomaly.levels import silenced


@pytest.fixture
def model() -> Vae:
    torch.manual_seed(0)
    return Vae(ModelConfig(channels=(8, 16, 16), latents=(2, 0, 4), groups=4)).eval()


def restored(model: Vae, seed: int) -> torch.Tensor:
    window = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        image: torch.Tensor = model(window, torch.zeros(1, 3, 16, 16))[0]
    return image


def test_leaves_nothing_of_the_image_when_all_levels_are_silent(model: Vae) -> None:
    assert not torch.equal(restored(model, 0), restored(model, 1))
    with silenced(model, 0, 1, 2):
        assert torch.equal(restored(model, 0), restored(model, 1))


def test_silences_the_levels_asked_for_alone(model: Vae) -> None:
    window = torch.rand(1, 3, 16, 16)
    with silenced(model, 2), torch.inference_mode():
        (fine, _), (coarse, log_variance) = model(window, torch.zeros(1, 3, 16, 16))[1]
    assert fine.any()
    assert not coarse.any()
    assert log_variance.any()


def test_lets_all_levels_speak_again_whatever_happens(model: Vae) -> None:
    before = restored(model, 0)
    with silenced(model, 0, 2):
        assert not torch.equal(restored(model, 0), before)
    assert torch.equal(restored(model, 0), before)
    with pytest.raises(ZeroDivisionError), silenced(model, 0, 2):
        _ = 1 / 0
    assert torch.equal(restored(model, 0), before)
