from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from mri_guard.anomaly import Vae, VaeConfig
from mri_guard.determinism import generator
from mri_guard.evaluation.baseline_parts import neighbours
from mri_guard.evaluation.baseline_parts.neighbours import (
    Memory,
    local_features,
    nearest_distances,
)
from mri_guard.evaluation.baseline_parts.networks import seeded
from mri_guard.training.data import subject_of
from tests.evaluation.toy_material import material, toys
from tests.toys import TINY, TINY_VOLUME, toy_brain


@pytest.mark.parametrize("count", [1, 5, 50])
def test_averages_the_distances_that_scikit_learn_finds(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "CHUNK", 7)
    rng = generator(0, "neighbours")
    bank, points = (rng.standard_normal((n, 6)).astype(np.float32) for n in (30, 20))
    reference = NearestNeighbors(n_neighbors=min(count, 30)).fit(bank)
    expected = reference.kneighbors(points)[0].mean(1)
    found = nearest_distances(torch.from_numpy(points), torch.from_numpy(bank), count)
    assert found.numpy() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("config", [TINY, TINY_VOLUME], ids=["2-D", "3-D"])
def test_takes_the_encoders_own_features(config: VaeConfig) -> None:
    """Those that the network's coarsest latent is made of, averaged over 3 x 3 places."""
    subject = subject_of(toy_brain(generator(0, "features")), None, config)
    model = seeded(lambda: Vae(config.model), 0, "test").eval()
    caught: list[torch.Tensor] = []
    hook = model.encode[1].register_forward_hook(lambda _m, _i, out: caught.append(out))
    windows = [subject.window(z) for z in range(len(subject.image))]
    stack, places = (torch.from_numpy(np.stack([one[i] for one in windows])) for i in (0, 2))
    with torch.inference_mode():
        model(stack, places)
    hook.remove()
    middle = caught[0] if config is TINY else caught[0][:, :, 1]
    expected = torch.nn.functional.avg_pool2d(middle, 3, 1, 1)
    assert local_features(model, subject).numpy() == pytest.approx(expected.numpy(), abs=1e-5)


def test_is_near_to_what_it_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "MEMORY", 100_000)
    monkeypatch.setattr(neighbours, "NEIGHBOURS", 1)
    split = material(toys(3), tmp_path)
    assert split.encoder is not None
    memory = Memory.fit(split.encoder, split.learn, seed=0)
    known, other = (
        memory.distances(subject)[subject.centres]
        for subject in (split.learn[0], split.hold_out[0])
    )
    assert float(known.mean()) < 0.5 * float(other.mean())


def test_draws_weights_from_the_seed_and_leaves_other_draws_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    one = seeded(lambda: Vae(TINY.model), 1, "weights")
    assert torch.equal(torch.rand(3), expected)
    same, other = (seeded(lambda: Vae(TINY.model), seed, "weights") for seed in (1, 2))
    first, again, another = (net.state_dict()["stem.weight"] for net in (one, same, other))
    assert torch.equal(first, again)
    assert not torch.equal(first, another)
