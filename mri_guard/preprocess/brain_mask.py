"""Where the brain is: a small 3-D U-Net that has seen no real scan, and its application.

The network is trained on contrasts synthesised from label maps, as SynthStrip is (Hoopes et al.
2022, NeuroImage 260, 119474, doi:10.1016/j.neuroimage.2022.119474), so that it owes nothing to one
sequence or maker. We depart from it in the grid: pixels of 2 mm in axial slices about 5 mm apart,
as clinical stacks have them. `mri_guard.training.brain_mask` trains it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from scipy import ndimage
from torch import Tensor, nn

from mri_guard.errors import BundleError
from mri_guard.symmetry import mirror, symmetry_plane

SPACING_MM = 5.0
"""Distance wanted between the slices that the network sees at once."""

CEILING = 1.5
"""Network input is cut at this multiple of the head's 99th percentile."""

TISSUE_SHARE = 0.8
"""Of the brain's median intensity: what is darker may be bone or air."""


def network() -> nn.Module:
    """Untrained U-Net: (b, 1, z, 128, 128) images to (b, 1, z, 128, 128) logits, 1.1 M parameters.

    The stack is never halved, so that any height fits. From pixels of 8 mm on the network looks
    across slices too; twelve of them each way reach it.
    """
    from monai.networks.nets.dynunet import DynUNet  # noqa: PLC0415 - half of what a command takes to start

    kernels = [(1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)]
    strides = [(1, 1, 1), *[(1, 2, 2)] * 4]
    unet: nn.Module = DynUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        kernel_size=kernels,
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=(16, 24, 32, 64, 96),
        norm_name=("group", {"num_groups": 4}),
    )
    # MONAI lists each layer a second time outside the tree that runs; weights are stored once.
    for twice in ("input_block", "downsamples", "bottleneck", "upsamples"):
        delattr(unet, twice)
    return unet


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
        # Stacks between one another are labelled apart: let neighbours closer than that agree.
        smooth = ndimage.gaussian_filter(probability, (0.5, 0.5, min(1.0, 2.0 / spacing_mm)))
        return completed(largest_piece(head & (smooth > 0.5)), image, head)

    @torch.inference_mode()
    def probability(
        self, image: NDArray[np.float32], head: NDArray[np.bool_], spacing_mm: float
    ) -> NDArray[np.float32]:
        """Probability of brain, float32, (128, 128, z), before smoothing across slices."""
        device = next(self.network.parameters()).device
        scale = max(float(np.percentile(image[head], 99)), 1e-6)
        slices = torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, 2, 0) / scale))
        slices = slices.float().clamp(0, CEILING).to(device)
        out = torch.empty_like(slices)
        # Thin slices are several stacks of the wanted spacing, one between the other; a slab is
        # not torn into single slices for it.
        stacks = max(1, min(round(SPACING_MM / spacing_mm), len(slices) // 4))
        for first in range(stacks):
            logits = self.network(slices[None, None, first::stacks])
            out[first::stacks] = torch.sigmoid(logits[0, 0])
        return np.ascontiguousarray(np.moveaxis(out.cpu().numpy(), 0, 2))


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest 6-connected component with its holes filled; empty stays empty."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(labels == sizes.argmax())
    return filled


def completed(
    brain: NDArray[np.bool_], image: NDArray[np.float32], head: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The brain with what its other half shows to be missing, one piece without holes.

    A bright tumour that reaches the surface looks like scalp. Where the other half has brain, and
    this one something as bright as brain, it is brain too.

    Args:
        brain: bool, (x, y, z).
        image: float32, like brain, any units that have their zero at no signal.
        head: bool, like brain.
    """
    if not brain.any():
        return brain
    median = max(float(np.median(image[brain])), 1e-6)
    seen, inside, bright = (
        torch.from_numpy(np.ascontiguousarray(np.moveaxis(part, 2, 0)))
        for part in (image / median, brain, head & (image > TISSUE_SHARE * median))
    )
    plane = symmetry_plane(0.7 * seen, inside)  # the scale that it wants
    across = mirror(inside[:, None].float(), plane)[:, 0] > 0.5
    missing = np.moveaxis((across & bright & ~inside).numpy(), 0, 2)
    # Two halves never match to the pixel: a rim proves nothing.
    missing = ndimage.binary_opening(missing, np.ones((3, 3, 1)))
    return largest_piece(brain | missing)


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
