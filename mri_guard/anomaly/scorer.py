"""From a preprocessed scan to its anomaly map and score, by one fixed rule."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from mri_guard.anomaly.frame import Frame, context_step, windows
from mri_guard.anomaly.model import ModelConfig, Vae
from mri_guard.anomaly.residual import HealthyStatistics, check_tensors, smooth
from mri_guard.errors import SeriesError
from mri_guard.records import Anomaly, Finite, Preprocessed, Record

BATCH_SLICES = 16


class VaeConfig(Record):
    """The model and how it is scored; stands in `bundle.yaml`.

    Attributes:
        model: the network's shape.
        intensity_low: images are cut off below, normalised intensity.
        intensity_high: and above.
        smoothing_px: Gaussian standard deviation of the map in the plane, pixels.
        smoothing_mm: the same across slices, millimetres.
        top_share: the scan's score is the mean of this share of the brain's highest map values.
            Of few voxels, so that a small lesion counts; of more than one, so that no pixel alone
            can raise it, and hiding a lesion means changing all of it.
        slice_top_share: the same for one slice.
        smallest_slice_px: slices with less brain get no score.
    """

    model: ModelConfig = ModelConfig()
    intensity_low: Finite = -0.5
    intensity_high: Finite = 3.0
    smoothing_px: float = Field(default=1.5, ge=0, le=10)
    smoothing_mm: float = Field(default=3.0, ge=0, le=50)
    top_share: float = Field(default=0.01, gt=0, le=1)
    slice_top_share: float = Field(default=0.05, gt=0, le=1)
    smallest_slice_px: int = Field(default=100, ge=1)


@dataclass(frozen=True, slots=True, eq=False)
class VaeScorer:
    """Finds what is unusual; satisfies `ports.Scorer`.

    Attributes:
        model: in evaluation mode; runs where its image lies.
        statistics: what healthy brains leave over.
        config: the fixed rule.
    """

    model: Vae
    statistics: HealthyStatistics
    config: VaeConfig

    @classmethod
    def from_tensors(
        cls, config: VaeConfig, vae: Mapping[str, Tensor], healthy: Mapping[str, Tensor]
    ) -> "VaeScorer":
        """A scorer from the bundle's `vae.*` and `healthy.*` tensors, without their prefixes.

        Raises:
            BundleError: a key, a shape or a value does not fit.
        """
        model = Vae(config.model)
        wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        check_tensors(vae, wanted, "vae")
        model.load_state_dict(dict(vae))
        model.requires_grad_(False)
        return cls(model.eval(), HealthyStatistics.from_tensors(healthy), config)

    def to(self, device: torch.device | str) -> "VaeScorer":
        """The same scorer on a device; the model itself moves."""
        return VaeScorer(self.model.to(device), self.statistics, self.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Anomaly map and scores.

        Raises:
            SeriesError: `no-brain-found`.
        """
        device = next(self.model.parameters()).device
        image, brain = tensors(preprocessed, device)
        with torch.inference_mode():
            anomaly, restored = self.map_tensor(image, brain, slice_gap_mm(preprocessed))
            score = scan_score(anomaly, brain, self.config)
            slices = slice_scores(anomaly, brain, self.config)
        return Anomaly(
            map=volume(anomaly),
            reconstruction=volume(restored),
            slice_scores=slices.double().cpu().numpy(),
            score=float(score),
        )

    def score_tensor(self, image: Tensor, brain: Tensor, gap_mm: float) -> Tensor:
        """The scan's score, a scalar, differentiable in the image.

        Args:
            image: float32, (z, 1, x, y), normalised intensity.
            brain: bool, like image.
            gap_mm: from one slice to the next.

        Raises:
            SeriesError: `no-brain-found`.
        """
        return scan_score(self.map_tensor(image, brain, gap_mm)[0], brain, self.config)

    def map_tensor(self, image: Tensor, brain: Tensor, gap_mm: float) -> tuple[Tensor, Tensor]:
        """Anomaly map and restored image, each (z, 1, x, y), 0 outside the brain; differentiable.

        Arguments and errors as `score_tensor`.
        """
        residual, restored, frame = self.residual_tensor(image, brain, gap_mm)
        positions = frame.positions(image.device)
        inside = frame.cut(brain[:, 0].float()) > 0
        unusual = self.statistics.standardise(residual, positions)
        smoothed = smooth(
            unusual, inside, self.config.smoothing_px, self.config.smoothing_mm / gap_mm
        )
        # Too bright and too dark count alike.
        shape = brain[:, 0].shape
        return frame.put(smoothed.abs(), shape)[:, None], frame.put(restored, shape)[:, None]

    def residual_tensor(
        self, image: Tensor, brain: Tensor, gap_mm: float
    ) -> tuple[Tensor, Tensor, Frame]:
        """Signed residual and restored image in the brain's frame, (z', x', y'), and the frame.

        Arguments and errors as `score_tensor`.
        """
        if not bool(brain.any()):
            raise SeriesError("no-brain-found", "the brain mask is empty")
        shape, config = self.config.model, self.config
        frame = Frame.of(brain[:, 0], shape.multiple)
        inside = frame.cut(brain[:, 0].to(image))
        seen = frame.cut(image[:, 0]).clamp(config.intensity_low, config.intensity_high) * inside
        stack = windows(seen, shape.neighbours, context_step(shape.context_mm, gap_mm))
        positions = frame.positions(image.device)
        parts = zip(
            torch.split(stack, BATCH_SLICES), torch.split(positions, BATCH_SLICES), strict=True
        )
        restored = torch.cat([self.model(part, place)[0][:, 0] for part, place in parts]) * inside
        return seen - restored, restored, frame


def scan_score(anomaly: Tensor, brain: Tensor, config: VaeConfig) -> Tensor:
    """Mean of the map's highest values inside the brain, a scalar, differentiable.

    Args:
        anomaly: float, any shape.
        brain: bool, like anomaly.
        config: names the share.
    """
    return top_mean(anomaly[brain], config.top_share)


def slice_scores(anomaly: Tensor, brain: Tensor, config: VaeConfig) -> Tensor:
    """The same rule in each slice, (z,); NaN where there is too little brain.

    Args:
        anomaly: float, (z, 1, x, y).
        brain: bool, like anomaly.
        config: names share and smallest slice.
    """
    return torch.stack(
        [
            top_mean(values[inside], config.slice_top_share)
            if int(inside.sum()) >= config.smallest_slice_px
            else values.new_tensor(torch.nan)
            for values, inside in zip(anomaly, brain, strict=True)
        ]
    )


def top_mean(values: Tensor, share: float) -> Tensor:
    """Mean of the highest `share` of the values, at least one of them, a scalar."""
    count = max(1, round(share * values.numel()))
    return torch.topk(values, count, sorted=False).values.mean()


def tensors(preprocessed: Preprocessed, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Image, float32, and brain, bool, (z, 1, x, y), as `VaeScorer.score_tensor` takes them."""
    image, brain = (
        torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, 2, 0)))[:, None].to(device)
        for array in (preprocessed.image, preprocessed.brain)
    )
    return image, brain


def slice_gap_mm(preprocessed: Preprocessed) -> float:
    """Distance from one slice to the next, millimetres."""
    return float(np.linalg.norm(preprocessed.affine[:3, 2]))


def volume(stack: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(z, 1, x, y) as a float32 array (x, y, z)."""
    return np.ascontiguousarray(np.moveaxis(stack[:, 0].float().cpu().numpy(), 0, 2))
