"""What baselines learn from, and what a baseline is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mri_guard.anomaly import HealthyStatistics, Vae, VaeConfig
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.ports import Scorer
from mri_guard.records import Preprocessed
from mri_guard.training.data import Subject, subject_of

STEPS = 5000
"""Of training a network: about three minutes on one core."""

HELD_OUT_SHARE = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """One scan of the train split.

    Attributes:
        subject: who it is of.
        preprocessed: on the model's grid.
        lesion: bool, (x, y, z).
    """

    subject: str
    preprocessed: Preprocessed
    lesion: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """The train split, as baselines learn from it.

    Attributes:
        scans: with their lesions.
        learn: those with lesion-free windows, of four fifths of the patients; networks and
            components are fitted on their lesion-free slices.
        hold_out: the same of the other patients, to measure healthy residuals on: of slices that a
            network was fitted on it leaves less over than of new ones.
        config: smoothing and scores as of the model beside it.
        encoder: the bundle's own network; None where its scorer has none.
        folder: where trained weights are kept.
        steps: of training a network.
        seed: root seed of what is random.
    """

    scans: tuple[Learnt, ...]
    learn: tuple[Subject, ...]
    hold_out: tuple[Subject, ...]
    config: VaeConfig
    encoder: Vae | None
    folder: Path
    steps: int
    seed: int

    @classmethod
    def of(
        cls,
        scans: Sequence[Learnt],
        config: VaeConfig,
        *,
        folder: Path,
        encoder: Vae | None = None,
        steps: int = STEPS,
        seed: int = 0,
    ) -> "Material":
        """The scans, with a fifth of their patients, one at least, held out at random.

        Raises:
            SettingsError: fewer than two patients with lesion-free slices.
        """
        cut = [(scan.subject, subject_of(scan.preprocessed, scan.lesion, config)) for scan in scans]
        free = [(patient, subject) for patient, subject in cut if len(subject.centres)]
        patients = sorted({patient for patient, _ in free})
        if len(patients) < 2:
            raise SettingsError(
                f"{len(patients)} patients with lesion-free slices in the train split, 2 wanted: "
                "baselines learn from some and measure on others what healthy slices leave over"
            )
        drawn = generator(seed, "baselines", "held out").permutation(patients)
        aside = set(drawn[: max(1, round(HELD_OUT_SHARE * len(patients)))].tolist())
        return cls(
            scans=tuple(scans),
            learn=tuple(subject for patient, subject in free if patient not in aside),
            hold_out=tuple(subject for patient, subject in free if patient in aside),
            config=config,
            encoder=encoder,
            folder=folder,
            steps=steps,
            seed=seed,
        )

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """All scans, for statistics that fit no network."""
        return (*self.learn, *self.hold_out)


class Baseline(Scorer, Protocol):
    """A scorer that the bundle's model must beat, learnt from the train split.

    Attributes:
        name: equal to its file's; the prefix of its metrics.
    """

    name: ClassVar[str]

    @classmethod
    def fit(cls, material: Material) -> Self:
        """The baseline, from the train split alone."""


def healthy(subjects: Sequence[Subject], measure: Callable[[Subject], Tensor]) -> HealthyStatistics:
    """Mean and spread of a measure by place, over lesion-free slices.

    Args:
        subjects: of the train split.
        measure: signed, (z, x, y) of the subject's box; NaN where it does not exist.
    """
    return HealthyStatistics.fit(_counted(measure(subject), subject) for subject in subjects)


def seen(subject: Subject) -> Tensor:
    """The intensity itself, (z, x, y) of the subject's box: what an atlas measures."""
    return torch.from_numpy(subject.image)


def _counted(values: Tensor, subject: Subject) -> tuple[Tensor, Tensor, Tensor]:
    free = torch.from_numpy(subject.lesion_free)[:, None, None]
    counts = torch.from_numpy(subject.brain) & free & values.isfinite()
    return values, counts, torch.from_numpy(subject.positions)
