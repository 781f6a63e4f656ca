import numpy as np
import torch

from mri_guard.attacks.engine import Patch, best_patch
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, victim


def test_covers_its_share_of_each_slice_and_no_more() -> None:
    found = best_patch(
        victim(lambda x: x.mean((1, 2, 3))),
        0.1,
        generator(0, "test"),
        lambda mask: mask,
        places=2,
        steps=3,
    )
    changed = found.image != IMAGE
    assert [int(one.sum()) for one in changed] == [12, 12]


def test_writes_only_what_a_scanner_can() -> None:
    far = victim(lambda x: (1000 * x).mean((1, 2, 3)))
    rng = generator(0, "test")
    found = best_patch(far, 0.05, rng, lambda mask: mask, places=1, steps=5)
    assert found.image.max() == 1.5
    space = Patch(far, MASK)
    assert space.project(torch.full_like(IMAGE, -3.0)).min() == 0
    drawn = space.draw(rng)
    assert 0 <= drawn.min() < drawn.max() <= 1.5


def test_begins_where_the_gradient_is_largest() -> None:
    weights = torch.zeros_like(IMAGE)
    weights[:, :, 9:12, 3:6] = 1.0  # only here does the score look
    found = best_patch(
        victim(lambda x: (x * weights).sum((1, 2, 3))),
        9 / 120,
        generator(3, "test"),
        np.asarray,
        places=1,
        steps=6,
    )
    assert torch.equal(found.image != IMAGE, weights > 0)


def test_leaves_a_slice_alone_that_has_no_place_for_it() -> None:
    found = best_patch(
        victim(lambda x: x.mean((1, 2, 3))),
        0.05,
        generator(0, "test"),
        lambda mask: mask & False,
        places=2,
        steps=2,
    )
    assert torch.equal(found.image, IMAGE)
