from dataclasses import replace

import pytest
import torch

from mri_guard.attacks import Pgd, Transfer
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from tests.attacks.victims import IMAGE, MASK, linear, two_halves


def test_is_a_white_box_attack_where_the_other_model_is_the_victim() -> None:
    attacked = two_halves()
    attacked = replace(attacked, others=(attacked.scores,))
    white = Pgd(steps=20)(attacked, 0.1, generator(0, "test"))
    black = Transfer(queries=22, momentum=0.0)(attacked, 0.1, generator(0, "test"))
    assert torch.equal(black.image, white.image)
    assert torch.equal(black.margins, white.margins)
    assert black.history == white.history


def test_gives_models_on_different_scales_an_equal_say() -> None:
    attacked, weights = linear()
    other = weights.roll(1, 3)
    attacked = replace(
        attacked,
        others=(lambda x: (x * weights).sum()[None], lambda x: 1e4 * (x * other).sum()[None]),
    )
    found = Transfer()(attacked, 0.1, generator(0, "test"))
    both = (weights + other * weights[MASK].abs().mean() / other[MASK].abs().mean()).sign()
    torch.testing.assert_close((found.image - IMAGE)[MASK], 0.1 * both[MASK])


def test_never_asks_others_to_stand_in_for_the_victim() -> None:
    attacked, weights = linear()
    useless = replace(attacked, others=(lambda x: -(x * weights).sum()[None],))
    found = Transfer()(useless, 0.1, generator(0, "test"))
    noise = Transfer(queries=2)(useless, 0.1, generator(0, "test"))
    assert found.margins == noise.margins  # no step along the wrong gradient was better


def test_refuses_a_victim_of_whose_kind_the_attacker_owns_none() -> None:
    attacked = replace(linear()[0], others=())
    with pytest.raises(SettingsError, match=r"Victim\.others"):
        Transfer()(attacked, 0.1, generator(0, "test"))
