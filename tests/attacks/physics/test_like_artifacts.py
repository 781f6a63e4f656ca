"""The same parameters give the same image with torch as in `mri_guard.artifacts`."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mri_guard import artifacts
from mri_guard.attacks.physics import ChannelNoise, Ghosts, Moves, SmoothField, Stripes, cut
from mri_guard.determinism import generator
from tests.attacks.physics.heads import head, victim, volume

SEEDS = range(8)
SIGNAL = head()[0]


def agree(stack: torch.Tensor, expected: NDArray[np.float32]) -> bool:
    return bool(np.abs(volume(stack) - expected).max() < 1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_ghosts(seed: int) -> None:
    drawn = artifacts.Ghosting.draw(generator(seed, "like"), 0.7)
    ghosts = Ghosts(victim(), 0.7, drawn.shift, drawn.axis)
    phase = torch.tensor([[math.cos(drawn.phase_rad), math.sin(drawn.phase_rad)]])
    assert agree(ghosts.apply(SIGNAL, phase), drawn(volume(SIGNAL)))


@pytest.mark.parametrize("seed", SEEDS)
def test_spikes(seed: int) -> None:
    drawn = artifacts.Spike.draw(generator(seed, "like"), 0.7)
    slices, _, *sides = SIGNAL.shape
    cycles = (drawn.x_cycles, drawn.y_cycles)
    sample = [round(one * n) % n for one, n in zip(cycles, sides, strict=True)]
    stripes = Stripes(victim(), 0.7, torch.tensor([sample] * slices))
    phase = torch.tensor([[math.cos(drawn.phase_rad), math.sin(drawn.phase_rad)]] * slices)
    assert agree(stripes.apply(SIGNAL, phase), drawn(volume(SIGNAL)))


@pytest.mark.parametrize("seed", SEEDS)
def test_motion(seed: int) -> None:
    drawn = artifacts.Motion.draw(generator(seed, "like"), 0.7)
    moves = Moves(victim(), 0.7, tuple((one.start, one.end) for one in drawn.moves), drawn.axis)
    shares = [[one / 3.5] for move in drawn.moves for one in (move.x_mm, move.y_mm, move.turn_deg)]
    assert agree(moves.apply(SIGNAL, torch.tensor(shares)), drawn(volume(SIGNAL)))


@pytest.mark.parametrize("seed", SEEDS)
def test_gibbs(seed: int) -> None:
    drawn = artifacts.Gibbs.draw(generator(seed, "like"), 0.1 + 0.1 * seed)
    assert agree(cut(SIGNAL, drawn.kept, drawn.axis), drawn(volume(SIGNAL)))


def test_rician_noise() -> None:
    drawn = artifacts.RicianNoise.draw(generator(0, "like"), 0.7)
    shape = volume(SIGNAL).shape
    noise = np.random.default_rng(drawn.seed).standard_normal((2, *shape), dtype=np.float32)
    parameters = torch.as_tensor(np.moveaxis(noise, 3, 1).copy())[:, :, None]
    assert agree(ChannelNoise(victim(), 0.7).apply(SIGNAL, parameters), drawn(volume(SIGNAL)))


@pytest.mark.parametrize("seed", SEEDS)
def test_bias_field_but_for_a_gain(seed: int) -> None:
    """Its gain is such that the geometric mean is 1, here such that it fits the bounds."""
    drawn = artifacts.BiasField.draw(generator(seed, "like"), 0.5)
    logarithm = np.log(drawn(np.ones_like(volume(SIGNAL))))
    fields = SmoothField.of(victim(), 2.0)
    inside = volume(head()[1].float()) > 0
    wanted = np.moveaxis(logarithm, 2, 0)[np.moveaxis(inside, 2, 0)]
    parameters = np.linalg.lstsq(fields.values, wanted, rcond=None)[0]
    ratio = volume(fields.apply(SIGNAL, torch.as_tensor(parameters).float()))[inside]
    ratio /= drawn(volume(SIGNAL))[inside]
    assert np.abs(ratio / ratio.mean() - 1).max() < 1e-4
