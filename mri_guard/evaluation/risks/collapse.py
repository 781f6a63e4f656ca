"""Posterior collapse: do the latents still say something, level by level, and how much.

A latent whose posterior mean hardly varies over the data is asleep (Burda et al. 2016,
arXiv:1509.00519, section 5). In a convolutional network a latent is a channel at a place. Two
counts follow: of channels, whose mean varies over scans and places (what training refuses a model
by), and of latents, whose mean varies over scans at one place: a channel that says only where it
is, which the decoder is told anyway, is active by the first and asleep by the second.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mri_guard.anomaly import Vae, rates
from mri_guard.anomaly.levels import ACTIVE_VARIANCE
from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import Drawn, Metric, bootstrapped, resampled
from mri_guard.evaluation.risks.scene import Examined, stacked
from mri_guard.metrics.by_patient import Counts, Values
from mri_guard.training.data import Subject

GRID = (8, 8, 8)
"""Places at which latents are read, along z, x and y of the brain's bounding box: of all brains the
same ones, those alone that lie inside every brain."""

_READ = (
    f"read at the places of a {GRID[0]} x {GRID[1]} x {GRID[2]} grid over the bounding box that "
    "lie inside every brain"
)
_NATS = (
    "KL divergence of the posterior from the standard normal prior, summed over the level's "
    f"latents in {GRID[0]} slices spread evenly through each brain"
)


@dataclass(frozen=True, slots=True, eq=False)
class Latents:
    """What the posteriors of one level say of some scans.

    Attributes:
        means: float64, (scans, channels, places), posterior means at like places.
        nats_a_voxel: float64, (scans,), rate over the brain voxels of the same slices.
        nats_a_unit: float64, (scans,), mean rate of a latent there.
        patient: int64, (scans,), index of the patient.
    """

    means: NDArray[np.float64]
    nats_a_voxel: NDArray[np.float64]
    nats_a_unit: NDArray[np.float64]
    patient: NDArray[np.int64]

    def active(self, counts: Counts) -> Values:
        """Channels whose mean varies over scans and places, (draws,)."""
        first, second = self.means.mean(2), np.square(self.means).mean(2)
        weight = self._weights(counts)
        variance = weight @ second - np.square(weight @ first)
        return np.asarray((variance > ACTIVE_VARIANCE).sum(1), dtype=np.float64)

    def active_share(self, counts: Counts) -> Values:
        """Share of latents whose mean varies over scans at their own place, (draws,); NaN of a
        single scan.

        A scan drawn twice varies no more for it: the variance is corrected by 1 - sum(weight ** 2),
        which is 1 - 1 / n where each counts once.
        """
        flat = self.means.reshape(len(self.means), -1)
        weight = self._weights(counts)
        variance = weight @ np.square(flat) - np.square(weight @ flat)
        free = 1 - np.square(weight).sum(1)
        shares = (variance > ACTIVE_VARIANCE * free[:, None]).mean(1)
        return np.where(free > 1e-9, shares, np.nan)

    def rate(self, counts: Counts) -> Values:
        """Mean over scans of the rate, nats a brain voxel, (draws,)."""
        return np.asarray(self._weights(counts) @ self.nats_a_voxel)

    def unit_rate(self, counts: Counts) -> Values:
        """Mean over scans of the rate, nats a latent, (draws,)."""
        return np.asarray(self._weights(counts) @ self.nats_a_unit)

    def _weights(self, counts: Counts) -> Values:
        weight = counts[:, self.patient].astype(np.float64)
        return np.asarray(weight / weight.sum(1, keepdims=True))


def collapse(
    model: Vae, scans: Sequence[Examined], counts: Counts
) -> tuple[dict[str, Metric], list[dict[str, Any]]]:
    """Figures of each level, finest 0, with intervals over patients, and a row of each.

    Args:
        model: in evaluation mode.
        scans: at least one.
        counts: of their patients.

    Raises:
        SettingsError: see `read`.
    """
    metrics: dict[str, Metric] = {}
    rows: list[dict[str, Any]] = []
    for level, latents in read(model, scans).items():
        channels, patients = latents.means.shape[1], (counts.shape[1], "patients")
        figures = {
            f"active_units_level_{level}": resampled(
                latents.active,
                counts,
                channels,
                "channels",
                f"latent channels of level {level} (0 is the finest) whose posterior mean varies "
                f"by more than {ACTIVE_VARIANCE:g} (variance) over scans and places, {_READ}",
                within=None,
            ),
            f"active_share_level_{level}": _centred(
                latents.active_share,
                counts,
                *patients,
                f"share of latents (a channel at a place) of level {level} whose posterior mean "
                f"varies by more than {ACTIVE_VARIANCE:g} (variance) over scans at that place, "
                f"{_READ}",
            ),
            f"kl_level_{level}_nats_a_voxel": resampled(
                latents.rate,
                counts,
                *patients,
                f"{_NATS}, over their brain voxels; mean over scans",
                within=None,
            ),
            f"kl_level_{level}_nats_a_unit": resampled(
                latents.unit_rate,
                counts,
                *patients,
                f"{_NATS}, over their number; mean over scans",
                within=None,
            ),
        }
        found = {name: metric for name, metric in figures.items() if metric is not None}
        metrics |= found
        rows.append(
            {"level": level, "channels": channels}
            | {
                name.replace(f"level_{level}", "").replace("__", "_").strip("_"): metric.value
                for name, metric in found.items()
            }
        )
    return metrics, rows


def read(model: Vae, scans: Sequence[Examined]) -> dict[int, Latents]:
    """Latents of each level that has any, by its number.

    Raises:
        SettingsError: no place lies inside all brains.
    """
    levels = [level for level, count in enumerate(model.config.latents) if count]
    places = [_places(scan.subject) for scan in scans]
    inside = np.logical_and.reduce(
        [scan.subject.brain[np.ix_(*place)] for scan, place in zip(scans, places, strict=True)]
    ).reshape(-1)
    if not inside.any():
        raise SettingsError(f"no place lies inside the brains of all {len(scans)} scans")
    means: list[list[NDArray[np.float64]]] = [[] for _ in levels]
    nats: list[list[tuple[float, float]]] = [[] for _ in levels]
    for scan, (z, x, y) in zip(scans, places, strict=True):
        windows, _, positions = zip(*(scan.subject.window(int(at)) for at in z), strict=True)
        with torch.inference_mode():
            posteriors = model.posteriors(stacked(windows, model), stacked(positions, model))
        voxels = int(scan.subject.brain[z].sum())
        for index, level in enumerate(levels):
            mean, rate = _middle(posteriors[index][0]), _middle(rates(posteriors)[index])
            at = mean[:, :, x >> level][..., y >> level].transpose(0, 1).flatten(1)
            means[index].append(at.double().cpu().numpy()[:, inside])
            nats[index].append((float(rate.sum()) / voxels, float(rate.mean())))
    patient = np.array([scan.patient for scan in scans], dtype=np.int64)
    return {
        level: Latents(
            np.stack(means[index]),
            nats_a_voxel=np.array([voxel for voxel, _ in nats[index]]),
            nats_a_unit=np.array([unit for _, unit in nats[index]]),
            patient=patient,
        )
        for index, level in enumerate(levels)
    }


def _centred(
    figure: Callable[[Counts], Values], counts: Counts, n: int, unit: str, definition: str
) -> Metric | None:
    """As `resampled`, of a share of variances above a limit: in a resample they scatter more, and
    more of them fall below it. So the draws are moved until their mean is the figure (the bootstrap
    estimate of bias, Efron and Tibshirani 1993, section 10.6).
    """
    found = Drawn.of(figure, counts)
    if not np.isfinite(found.value) or not np.isfinite(found.draws).any():
        return None
    moved = np.clip(found.draws + found.value - np.nanmean(found.draws), 0, 1)
    return bootstrapped(
        replace(found, draws=moved), n, unit, f"{definition}; interval moved by the bias"
    )


def _middle(level: Tensor) -> Tensor:
    """(b, latents, x', y'): in three dimensions, where windows overlap, of their middle slice."""
    return level[:, :, level.shape[2] // 2] if level.dim() == 5 else level


def _places(subject: Subject) -> tuple[NDArray[np.int64], ...]:
    """Slices, rows and columns of `GRID` in the brain's box, which begins where the brain does."""
    ends = [
        np.flatnonzero(subject.brain.any(axis=other))[-1] + 1 for other in ((1, 2), (0, 2), (0, 1))
    ]
    return tuple(
        ((np.arange(count) + 0.5) / count * end).astype(np.int64)
        for count, end in zip(GRID, ends, strict=True)
    )
