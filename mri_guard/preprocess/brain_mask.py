"""Where the brain is: a small 2.5-D U-Net that has seen no real scan, and its application.

The network is trained on contrasts synthesised from label maps, as SynthStrip is (Hoopes et al.
2022, NeuroImage 260, 119474, doi:10.1016/j.neuroimage.2022.119474), so that it owes nothing to one
sequence or maker. We depart from it in looking at five axial slices at a time, since clinical
stacks have thick ones. `mri_guard.training.brain_mask` trains it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.networks.nets.basic_unet import BasicUNet
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from scipy import ndimage
from torch import Tensor, nn

from mri_guard.errors import BundleError

NEIGHBOURS = 2
"""Slices above and below that the network sees beside the one it labels."""

CONTEXT_MM = 5.0
"""Distance wanted from one of these slices to the next."""

CEILING = 1.5
"""Network input is cut at this multiple of the head's 99th percentile."""

BATCH_SLICES = 16


def network() -> nn.Module:
    """Untrained U-Net: (b, 6, 128, 128) inputs to (b, 1, 128, 128) logits, 0.48 M parameters."""
    unet: nn.Module = BasicUNet(
        spatial_dims=2,
        in_channels=2 * NEIGHBOURS + 2,
        out_channels=1,
        features=(16, 32, 48, 64, 96, 16),
        norm=("group", {"num_groups": 8}),
    )
    return unet


def context_step(spacing_mm: float) -> int:
    """Slices from one network input to the next, so that they lie about `CONTEXT_MM` apart."""
    return max(1, round(CONTEXT_MM / spacing_mm))


def windows(slices: Tensor, step: int = 1) -> Tensor:
    """Each slice with its neighbours as channels, (z, 5, x, y); the end slices repeat.

    Args:
        slices: (z, x, y).
        step: slices from one neighbour to the next.
    """
    count = len(slices)
    offsets = step * torch.arange(-NEIGHBOURS, NEIGHBOURS + 1, device=slices.device)
    index = torch.arange(count, device=slices.device)[:, None] + offsets
    return slices[index.clamp(0, count - 1)]


def with_depth(stack: Tensor, depth_mm: Tensor) -> Tensor:
    """Windows with how far below the top of the head they lie as one more channel.

    A jaw and a temporal lobe look alike in five slices; 40 mm against 120 mm tells them apart.

    Args:
        stack: (z, 5, x, y).
        depth_mm: (z,), 0 at the highest slice with head and above it.
    """
    level = (depth_mm.to(stack) / 100)[:, None, None, None].expand(-1, 1, *stack.shape[2:])
    return torch.cat([stack, level], dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class BrainMask:
    """Finds the brain on the model's grid.

    Attributes:
        network: as `network` makes it, trained, in evaluation mode; runs where it lies.
    """

    network: nn.Module

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "BrainMask":
        """The trained mask from the bundle's `brain.*` tensors, without their prefix.

        Raises:
            BundleError: a key or a shape does not fit.
        """
        net = network()
        try:
            net.load_state_dict(dict(tensors))
        except RuntimeError as error:
            raise BundleError(
                "brain mask weights do not load: they do not fit the network"
            ) from error
        return cls(net.eval().requires_grad_(False))

    def __call__(
        self, image: NDArray[np.float32], head: NDArray[np.bool_], spacing_mm: float
    ) -> NDArray[np.bool_]:
        """The brain, bool, (128, 128, z): one connected piece without holes; may be empty.

        Args:
            image: float32, (128, 128, z), scanner units.
            head: bool, (128, 128, z); its 99th percentile scales the image.
            spacing_mm: from one slice to the next.
        """
        if not head.any():
            return np.zeros_like(head)
        probability = self.probability(image, head, spacing_mm)
        # Slices are labelled one by one: let neighbours closer than the context agree.
        smooth = ndimage.gaussian_filter(probability, (0.5, 0.5, min(1.0, 2.0 / spacing_mm)))
        return largest_piece(head & (smooth > 0.5))

    @torch.inference_mode()
    def probability(
        self, image: NDArray[np.float32], head: NDArray[np.bool_], spacing_mm: float
    ) -> NDArray[np.float32]:
        """Probability of brain, float32, (128, 128, z), before smoothing across slices."""
        device = next(self.network.parameters()).device
        scale = max(float(np.percentile(image[head], 99)), 1e-6)
        slices = torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, 2, 0) / scale))
        slices = slices.float().clamp(0, CEILING).to(device)
        top = np.flatnonzero(head.any(axis=(0, 1)))[-1]
        depth_mm = torch.from_numpy((top - np.arange(image.shape[2])).clip(0) * spacing_mm)
        stack = with_depth(windows(slices, context_step(spacing_mm)), depth_mm)
        parts = [stack[i : i + BATCH_SLICES] for i in range(0, len(stack), BATCH_SLICES)]
        out = torch.cat([torch.sigmoid(self.network(part)) for part in parts])
        return np.ascontiguousarray(np.moveaxis(out[:, 0].cpu().numpy(), 0, 2))


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest 6-connected component with its holes filled; empty stays empty."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(labels == sizes.argmax())
    return filled


def load(path: Path) -> BrainMask:
    """The trained mask from a safetensors file, on the CPU.

    Raises:
        BundleError: the file is missing, unreadable, or its tensors do not fit the network.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"brain mask weights do not load: {type(error).__name__}") from error
    return BrainMask.from_tensors(tensors)
