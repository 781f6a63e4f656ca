import torch

from mri_guard.attacks import GeneratorNetwork, Victim
from mri_guard.attacks.generator_network import generated
from mri_guard.determinism import generator

EPSILON = 0.05


def blob(seed: int, shape: tuple[int, int, int]) -> Victim:
    """An image of noise on two levels; bright parts should brighten, and dark ones darken."""
    depth, width, height = shape
    rng = generator(seed, "blob")
    image = torch.as_tensor(rng.uniform(0.2, 0.8, (depth, 1, width, height))).float()
    side = torch.where(image > 0.5, 1.0, -1.0)
    mask = torch.zeros_like(image).bool()
    mask[..., 2:-2, 2:-2] = True
    return Victim(image, mask, lambda x: ((x - image) * side)[mask].mean()[None], "alarm", 0.0)


def test_attacks_a_stranger_without_a_gradient_of_his() -> None:
    rng = generator(0, "test")
    network = GeneratorNetwork(steps=50, rate=0.02).fit(
        [blob(seed, (1, 14, 16)) for seed in range(2)], EPSILON, rng
    )
    stranger = blob(9, (1, 24, 14))
    with torch.no_grad():
        image = generated(stranger, network, EPSILON)
        gain = float(stranger.scores(image))
    assert gain > 0.7 * EPSILON  # of the most that any change in the ball gives
    change = image - stranger.image
    assert change.abs().max() <= EPSILON + 1e-6
    assert not change[~stranger.mask].any()
    assert not any(weight.requires_grad for weight in network.parameters())


def test_comes_further_the_longer_it_trains() -> None:
    victim = blob(0, (1, 16, 16))
    short, long = (
        GeneratorNetwork(steps=steps)(victim, EPSILON, generator(0, "test")).margins
        for steps in (3, 40)
    )
    assert float(long) > 0.9 * EPSILON > 0.2 * EPSILON > float(short)
