from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from mri_guard.errors import BundleError
from mri_guard.preprocess.brain_mask import (
    BrainMask,
    completed,
    largest_piece,
    load,
    network,
)


class Bright(nn.Module):
    """Calls brain what is bright, and notes what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x)
        return 100 * (x - 0.5)


def test_keeps_the_largest_piece_without_holes() -> None:
    mask = np.zeros((20, 20, 9), np.bool_)
    mask[2:12, 2:12, 1:8] = True
    mask[5:7, 5:7, 4] = False
    mask[15:18, 15:18, 1:8] = True
    piece = largest_piece(mask)
    assert piece[5:7, 5:7, 4].all()
    assert not piece[15:].any()
    assert piece.sum() == 10 * 10 * 7


def test_says_there_is_no_brain_where_there_is_no_head() -> None:
    empty = np.zeros((128, 128, 3), np.bool_)
    image = np.zeros(empty.shape, np.float32)
    assert not BrainMask(Bright())(image, empty, 5.0).any()


def test_follows_the_images_place_and_ignores_its_gain() -> None:
    image = np.zeros((128, 128, 7), np.float32)
    image[30:90, 40:100, 1:6] = 1
    head = image > 0
    mask = BrainMask(Bright())
    found = mask(image, head, 6.0)
    np.testing.assert_array_equal(found, mask(image * 977, head, 6.0))
    assert (found & head).sum() / (found | head).sum() > 0.95


@pytest.mark.parametrize(("spacing_mm", "stacks"), [(1.0, 5), (2.0, 2), (3.0, 2), (5.0, 1)])
def test_shows_thin_slices_as_stacks_of_thicker_ones(spacing_mm: float, stacks: int) -> None:
    net = Bright()
    image = np.zeros((128, 128, 37), np.float32)
    image += np.arange(1, 38) / 40
    found = BrainMask(net).probability(image, np.ones(image.shape, np.bool_), spacing_mm)
    assert len(net.shown) == stacks
    assert sum(part.shape[2] for part in net.shown) == 37
    steps = net.shown[0][0, 0, :, 0, 0].diff()
    torch.testing.assert_close(steps, torch.full_like(steps, float(steps[0])))
    np.testing.assert_array_equal(np.diff(found[0, 0]) >= 0, True)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_takes_a_stack_of_any_height(count: int) -> None:
    torch.manual_seed(0)
    image = np.random.default_rng(0).random((128, 128, count)).astype(np.float32)
    mask = BrainMask(network().eval())
    probability = mask.probability(image, np.ones(image.shape, np.bool_), 5.0)
    assert probability.shape == image.shape
    assert ((probability >= 0) & (probability <= 1)).all()


def test_looks_twelve_slices_up_and_down_and_no_further() -> None:
    torch.manual_seed(0)
    net = network().eval()
    for tree in list(net.modules()):
        for name, child in tree.named_children():
            if isinstance(child, nn.GroupNorm):  # its mean reaches everywhere
                setattr(tree, name, nn.Identity())
    stack = torch.rand(1, 1, 24, 32, 32, requires_grad=True)
    net(stack)[0, 0, 0].sum().backward()
    assert stack.grad is not None
    reached = stack.grad[0, 0].abs().amax(dim=(1, 2)) > 0
    assert reached[:13].all()
    assert not reached[13:].any()


def test_loads_the_weights_it_was_given(tmp_path: Path) -> None:
    net = network()
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    loaded = load(tmp_path / "w.safetensors").network
    assert not loaded.training
    for name, value in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_refuses_weights_that_do_not_fit(tmp_path: Path) -> None:
    save_file({"other": torch.zeros(1)}, tmp_path / "w.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"not weights")
    for name in ("w", "broken", "missing"):
        with pytest.raises(BundleError, match="brain mask weights do not load"):
            load(tmp_path / f"{name}.safetensors")


def head_with_a_bright_tumour() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A brain in a head, (128, 128, 9), alike on both sides but for a tumour at its surface."""
    x, y, _ = np.mgrid[-64:64, -64:64, 0:9]
    brain = (x / 34.0) ** 2 + (y / 42.0) ** 2 < 1
    image = np.where(brain, 0.6 + 0.2 * np.cos(np.abs(x) / 4.0) + 0.1 * np.sin(y / 7.0), 0.0)
    image[(x < -20) & (np.abs(y) < 9) & brain] = 2.0
    return image.astype(np.float32), brain


def test_gives_back_a_tumour_that_was_taken_for_scalp() -> None:
    image, brain = head_with_a_bright_tumour()
    found = completed(brain & (image < 1.5), image, brain)
    assert found[brain & (image > 1.5)].mean() > 0.95
    assert not found[~brain].any()


def test_takes_nothing_dark_nor_a_rim_for_brain() -> None:
    image, brain = head_with_a_bright_tumour()
    hollow = np.where(image > 1.5, np.float32(0.1), image)
    kept = brain & (image < 1.5)
    np.testing.assert_array_equal(completed(kept, hollow, brain), kept)
    moved = np.roll(brain, 1, axis=0)
    np.testing.assert_array_equal(completed(moved, image, np.ones_like(brain)), moved)
