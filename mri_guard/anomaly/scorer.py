"""From a preprocessed scan to its anomaly map and score, by one fixed rule."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from safetensors.torch import save
from torch import Tensor, nn

from mri_guard.anomaly.evidence import Evidence, Fusion, FusionConfig, evidence
from mri_guard.anomaly.frame import View, context_step, windows
from mri_guard.anomaly.model import ModelConfig, Vae
from mri_guard.anomaly.residual import check_tensors
from mri_guard.errors import SeriesError
from mri_guard.records import Anomaly, Finite, Preprocessed, Record

BATCH_SLICES = 16
"""So many slices are restored at once, whatever the length of the stack."""


class VaeConfig(Record):
    """The model and how it is scored; stands in `bundle.yaml`.

    Attributes:
        model: the network's shape.
        intensity_low: what is seen is cut off below, in units of `View`.
        intensity_high: and above.
        fusion: how evidence becomes the map.
        top_share: the scan's score is the mean of this share of the brain's highest map values.
            Of few voxels, so that a small lesion counts; of more than one, so that no pixel alone
            can raise it, and hiding a lesion means changing all of it.
        slice_top_share: the same for one slice.
        smallest_slice_px: slices with less brain get no score.
    """

    model: ModelConfig = ModelConfig()
    intensity_low: Finite = -0.5
    intensity_high: Finite = 3.0
    fusion: FusionConfig = FusionConfig()
    top_share: float = Field(default=0.01, gt=0, le=1)
    slice_top_share: float = Field(default=0.01, gt=0, le=1)
    smallest_slice_px: int = Field(default=100, ge=1)


@dataclass(frozen=True, slots=True, eq=False)
class VaeScorer:
    """Finds what is unusual; satisfies `ports.Scorer`.

    Attributes:
        model: `Vae` in evaluation mode, or what is called like it and gives what it restores
            first; runs where its parameters lie, on the CPU if it has none.
        fusion: how evidence becomes the map: a `Fusion`, unless a part of it is taken away.
        config: the fixed rule.
    """

    model: nn.Module
    fusion: Callable[[Evidence], Tensor]
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
        return cls(model.eval(), Fusion.from_tensors(healthy, config.fusion), config)

    def to(self, device: torch.device | str) -> "VaeScorer":
        """The same scorer on a device; the model itself moves."""
        return VaeScorer(self.model.to(device), self.fusion, self.config)

    def digest(self) -> str:
        """SHA-256 of all that its scores depend on but the code, hex."""
        sha = hashlib.sha256(self.config.model_dump_json().encode())
        sha.update(save({key: value.cpu() for key, value in self.model.state_dict().items()}))
        sha.update(save(self.fusion.tensors()) if isinstance(self.fusion, Fusion) else b"")
        return sha.hexdigest()

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Anomaly map and scores.

        Raises:
            SeriesError: `no-brain-found`.
        """
        device = next(self.model.parameters(), torch.empty(0)).device
        image, brain = tensors(preprocessed, device)
        with torch.inference_mode():
            signed, restored = self.map_tensor(image, brain, slice_gap_mm(preprocessed))
            anomaly = signed.abs()
            score = scan_score(anomaly, brain, self.config)
            slices = slice_scores(anomaly, brain, self.config)
        return Anomaly(
            map=volume(anomaly),
            signed=volume(signed),
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
        return scan_score(self.map_tensor(image, brain, gap_mm)[0].abs(), brain, self.config)

    def map_tensor(self, image: Tensor, brain: Tensor, gap_mm: float) -> tuple[Tensor, Tensor]:
        """Signed map and restored image, each (z, 1, x, y), 0 outside the brain; differentiable.

        The map is positive where the image is too bright. Arguments and errors as `score_tensor`.
        """
        restored, view = self.restored_tensor(image, brain, gap_mm)
        positions = view.frame.positions(image.device)
        signed = self.fusion(evidence(view.seen, view.inside, restored, positions, gap_mm))
        shape = brain[:, 0].shape
        return (
            view.frame.put(signed, shape)[:, None],
            view.frame.put(view.normalised(restored), shape)[:, None],
        )

    def restored_tensor(self, image: Tensor, brain: Tensor, gap_mm: float) -> tuple[Tensor, View]:
        """The restored image in the view's units, (z', x', y') of its box, and the view.

        Arguments and errors as `score_tensor`.
        """
        view, shape = self._view(image, brain), self.config.model
        step = context_step(shape.context_mm, gap_mm)
        positions = view.frame.positions(image.device)
        return restore(self.model, shape, view.seen, positions, step) * view.inside, view

    def posterior_tensor(self, image: Tensor, brain: Tensor, gap_mm: float) -> Tensor:
        """Means and log variances of every latent of every level, (2, n); differentiable.

        In three dimensions a slice counts once for each window that it lies in. Arguments and
        errors as `score_tensor`; the model is a `Vae`.
        """
        found = [
            torch.stack([mean.flatten(), log_variance.flatten()])
            for levels in self._posteriors(image, brain, gap_mm)
            for mean, log_variance in levels
        ]
        return torch.cat(found, 1)

    def latent_means(self, preprocessed: Preprocessed) -> NDArray[np.float32]:
        """What the scan looks like to the model: mean of each latent channel's posterior mean, over
        the plane and over slices spread evenly through the stack, as many as make one batch.

        Returns:
            float32, (latents of all levels,), finest level first; the model is a `Vae`.

        Raises:
            SeriesError: `no-brain-found`.
        """
        device = next(self.model.parameters()).device
        image, brain = tensors(preprocessed, device)
        with torch.inference_mode():
            found = [
                [mean.transpose(0, 1).flatten(1) for mean, _ in levels]
                for levels in self._posteriors(
                    image, brain, slice_gap_mm(preprocessed), at_most=BATCH_SLICES
                )
            ]
            levels = [torch.cat(level, 1).mean(1) for level in zip(*found, strict=True)]
        return torch.cat(levels).float().cpu().numpy()

    def _posteriors(
        self, image: Tensor, brain: Tensor, gap_mm: float, at_most: int | None = None
    ) -> Iterator[list[tuple[Tensor, Tensor]]]:
        """Posteriors of each level, some slices at once; of `at_most`, spread evenly, or of all."""
        if not isinstance(self.model, Vae):
            raise TypeError("an exported network has no posteriors; wanted the bundle's own")
        view, shape = self._view(image, brain), self.config.model
        step = context_step(shape.context_mm, gap_mm)
        positions, chosen = view.frame.positions(image.device), None
        if at_most is not None:
            last = len(view.seen) - 1
            spread = torch.linspace(0, last, min(last + 1, at_most), device=image.device)
            chosen = spread.round().long()
        for window, place in parts(shape, view.seen, positions, step, chosen):
            yield self.model.posteriors(window, place)

    def _view(self, image: Tensor, brain: Tensor) -> View:
        if not bool(brain.any()):
            raise SeriesError("no-brain-found", "the brain mask is empty")
        low, high = self.config.intensity_low, self.config.intensity_high
        return View.of(image[:, 0], brain[:, 0], self.config.model.multiple, low, high)


def restore(
    model: nn.Module, shape: ModelConfig, seen: Tensor, positions: Tensor, step: int
) -> Tensor:
    """The restored stack, (z, x, y), each slice as the middle one of a window of its own.

    A network of three dimensions restores the others of the window too, with less around them to go
    by; that they are thrown away costs time, and leaves no seam between windows.

    Args:
        model: see `VaeScorer`.
        shape: see `parts`.
        seen: see `parts`.
        positions: see `parts`.
        step: see `parts`.
    """
    restored = [model(window, place)[0] for window, place in parts(shape, seen, positions, step)]
    return torch.cat([part[:, part.shape[1] // 2] for part in restored])


def parts(
    shape: ModelConfig, seen: Tensor, positions: Tensor, step: int, chosen: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Window and place of each slice in turn, as `Vae.forward` takes them, some at once.

    Args:
        shape: of the model.
        seen: (z, x, y), as `View` gives it.
        positions: (z, 3, x, y), as `Frame.positions` gives them.
        step: slices from one of a window to the next.
        chosen: numbers of the slices that are wanted; all when None.
    """
    stack, places, at_once = windows(seen, shape.neighbours, step), positions, BATCH_SLICES
    if shape.dimensions == 3:
        places = windows(positions, shape.neighbours, step).transpose(1, 2)
        at_once = max(1, BATCH_SLICES // stack.shape[1])
    if chosen is not None:
        stack, places = stack[chosen], places[chosen]
    yield from zip(torch.split(stack, at_once), torch.split(places, at_once), strict=True)


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
        torch.from_numpy(np.moveaxis(array, 2, 0).copy())[:, None].to(device)
        for array in (preprocessed.image, preprocessed.brain)
    )
    return image, brain


def slice_gap_mm(preprocessed: Preprocessed) -> float:
    """Distance from one slice to the next, millimetres."""
    return float(np.linalg.norm(preprocessed.affine[:3, 2]))


def volume(stack: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(z, 1, x, y) as a float32 array (x, y, z)."""
    return np.ascontiguousarray(np.moveaxis(stack[:, 0].float().cpu().numpy(), 0, 2))
