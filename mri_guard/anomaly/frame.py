"""The brain's own frame and scale: where a voxel lies in the brain, and what is seen there."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mri_guard.anomaly.median import median

MEDIAN = 0.7
"""Where the brain's median intensity is put."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Bounding box of one brain; what lies outside it is never looked at.

    Attributes:
        low: first slice, row and column (z, x, y) with brain.
        high: one past the last.
        multiple: in-plane sides of what is cut out are a multiple of this.
    """

    low: tuple[int, int, int]
    high: tuple[int, int, int]
    multiple: int

    @classmethod
    def of(cls, brain: Tensor, multiple: int) -> "Frame":
        """Frame of a brain mask, bool, (z, x, y), with at least one voxel."""
        found = [torch.nonzero(brain.any(dim=other))[:, 0] for other in ((1, 2), (0, 2), (0, 1))]
        # any() over two dimensions at once leaves the third: z, x, y in turn.
        low = tuple(int(index[0]) for index in found)
        high = tuple(int(index[-1]) + 1 for index in found)
        return cls((low[0], low[1], low[2]), (high[0], high[1], high[2]), multiple)

    def cut(self, volume: Tensor) -> Tensor:
        """The box out of (z, x, y), padded with zeros at its far sides to the multiple."""
        (z0, x0, y0), (z1, x1, y1) = self.low, self.high
        box = volume[z0:z1, x0:x1, y0:y1]
        return functional.pad(box, (0, -(y1 - y0) % self.multiple, 0, -(x1 - x0) % self.multiple))

    def put(self, box: Tensor, shape: torch.Size) -> Tensor:
        """The box back in its place among zeros, (z, x, y)."""
        (z0, x0, y0), (z1, x1, y1) = self.low, self.high
        inner = box[:, : x1 - x0, : y1 - y0]
        return functional.pad(inner, (y0, shape[2] - y1, x0, shape[1] - x1, z0, shape[0] - z1))

    def positions(self, device: torch.device) -> Tensor:
        """Place in the box along x, y and z, float32, (z, 3, x, y) of the cut box, -1..1 inside."""
        (z0, x0, y0), (z1, x1, y1) = self.low, self.high
        nz, nx, ny = z1 - z0, x1 - x0, y1 - y0
        z = torch.arange(nz, device=device)
        x = torch.arange(nx + -nx % self.multiple, device=device)
        y = torch.arange(ny + -ny % self.multiple, device=device)
        axes = [(2 * at + 1) / n - 1 for at, n in ((z, nz), (x, nx), (y, ny))]
        grid = torch.meshgrid(*axes, indexing="ij")
        return torch.stack([grid[1], grid[2], grid[0]], dim=1).clamp(-1.5, 1.5)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A brain as the network sees it: cut out, and on a scale that its lesion does not set.

    In the preprocessed image a lesion, or fat that the mask let in, can be the 99th percentile that
    everything is measured by, and healthy tissue then lies anywhere from 0.3 to 0.8. The median
    stays in healthy tissue unless half of the brain is ill; and as intensities have a zero, at no
    signal, one gain is all that there is to find.

    Attributes:
        frame: of the brain.
        seen: float32, (z, x, y) of the frame's box, cut off at both ends; 0 outside the brain.
        inside: bool, like seen.
        gain: that normalised intensity was multiplied with, a scalar.
    """

    frame: Frame
    seen: Tensor
    inside: Tensor
    gain: Tensor

    @classmethod
    def of(cls, image: Tensor, brain: Tensor, multiple: int, low: float, high: float) -> "View":
        """View of a brain; differentiable in the image.

        Args:
            image: float32, (z, x, y), normalised intensity.
            brain: bool, like image, with at least one voxel.
            multiple: see `Frame`.
            low: what is seen is cut off below.
            high: and above.
        """
        frame = Frame.of(brain, multiple)
        inside = frame.cut(brain.float()) > 0
        gain = MEDIAN / median(image[brain]).clamp_min(0.05)
        seen = (frame.cut(image) * gain).clamp(low, high) * inside
        return cls(frame, seen, inside, gain)

    def normalised(self, values: Tensor) -> Tensor:
        """Values of the box, (z, x, y), back in normalised intensity, 0 outside the brain."""
        return values * self.inside / self.gain


def context_step(context_mm: float, spacing_mm: float) -> int:
    """Slices from one channel of a window to the next, so that they lie about that far apart."""
    return max(1, round(context_mm / spacing_mm))


def windows(slices: Tensor, neighbours: int, step: int) -> Tensor:
    """Each slice with its neighbours as channels, (z, 2 * neighbours + 1, x, y); ends repeat.

    Args:
        slices: (z, x, y).
        neighbours: above and below.
        step: slices from one to the next.
    """
    count = len(slices)
    offsets = step * torch.arange(-neighbours, neighbours + 1, device=slices.device)
    index = torch.arange(count, device=slices.device)[:, None] + offsets
    return slices[index.clamp(0, count - 1)]
