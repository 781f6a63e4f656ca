"""Visible patches, at the edge and inside."""

import numpy as np
import torch
from scipy import ndimage

from mri_guard.attacks import PatchEdge, PatchInside
from mri_guard.attacks.patch_edge import rim
from mri_guard.attacks.patch_inside import core
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, victim


def test_lies_at_the_rim_or_away_from_it() -> None:
    attacked = victim(lambda x: x.mean((1, 2, 3)))
    mask = MASK[0, 0].numpy()
    inner = ndimage.binary_erosion(mask)
    for seed in range(3):
        edge = PatchEdge(places=1)(attacked, 0.05, generator(seed, "test"))
        inside = PatchInside(places=1)(attacked, 0.05, generator(seed, "test"))
        for number in range(2):
            changed = ((edge.image - IMAGE)[number, 0] != 0).numpy()
            assert (changed & mask & ~inner).any()
            changed = ((inside.image - IMAGE)[number, 0] != 0).numpy()
            assert changed.any()
            assert not (changed & ~inner).any()


def test_paints_what_the_score_likes_best() -> None:
    attacked = victim(lambda x: x.mean((1, 2, 3)))
    found = PatchInside()(attacked, 0.05, generator(0, "test"))
    assert torch.equal(found.image[found.image != IMAGE], torch.full((12,), 1.5))


def test_has_its_middle_on_the_rim_or_in_the_deep_quarter() -> None:
    mask = MASK[0, 0].numpy()
    assert rim(mask).sum() == 2 * (10 + 12) - 4
    assert 30 <= core(mask).sum() < 60
    assert not (core(mask) & rim(mask)).any()
    assert not core(np.zeros((4, 4), np.bool_)).any()
