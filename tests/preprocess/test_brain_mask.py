from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mri_guard.errors import BundleError
from mri_guard.preprocess.brain_mask import (
    BrainMask,
    context_step,
    largest_piece,
    load,
    network,
    windows,
)


class MiddleSlice(nn.Module):
    """Calls brain what is bright in the slice itself, and notes what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x)
        return 100 * (x[:, 2:3] - 0.5)


def test_shows_each_slice_with_its_neighbours_and_repeats_the_ends() -> None:
    slices = torch.arange(6.0)[:, None, None]
    assert windows(slices, 2)[:, :, 0, 0].tolist()[0] == [0, 0, 0, 2, 4]
    assert windows(slices, 2)[:, :, 0, 0].tolist()[3] == [0, 1, 3, 5, 5]


def test_reaches_further_in_slices_where_they_are_thin() -> None:
    assert [context_step(mm) for mm in (2.0, 3.0, 4.0, 5.0, 8.0)] == [2, 2, 1, 1, 1]


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
    assert not BrainMask(MiddleSlice())(image, empty, 5.0).any()


def test_follows_the_images_place_and_ignores_its_gain() -> None:
    image = np.zeros((128, 128, 7), np.float32)
    image[30:90, 40:100, 1:6] = 1
    head = image > 0
    mask = BrainMask(MiddleSlice())
    found = mask(image, head, 6.0)
    np.testing.assert_array_equal(found, mask(image * 977, head, 6.0))
    assert (found & head).sum() / (found | head).sum() > 0.95


def test_shows_the_network_every_slice_once() -> None:
    net = MiddleSlice()
    image = np.random.default_rng(0).random((128, 128, 37)).astype(np.float32)
    BrainMask(net).probability(image, np.ones(image.shape, np.bool_), 3.0)
    assert sum(len(part) for part in net.shown) == 37


def test_gives_the_same_probability_whatever_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    mask = BrainMask(network().eval())
    image = np.random.default_rng(0).random((128, 128, 5)).astype(np.float32)
    head = np.ones(image.shape, np.bool_)
    together = mask.probability(image, head, 5.0)
    monkeypatch.setattr("mri_guard.preprocess.brain_mask.BATCH_SLICES", 2)
    np.testing.assert_allclose(mask.probability(image, head, 5.0), together, atol=1e-5)


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
