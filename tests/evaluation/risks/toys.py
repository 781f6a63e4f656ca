"""Toys that the checks look at, without a scan being read."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from mri_guard.anomaly import Vae, VaeConfig, VaeScorer
from mri_guard.determinism import generator
from mri_guard.evaluation.detection import Case, slice_positions
from mri_guard.evaluation.risks.scene import Examined
from mri_guard.training.data import Subject, subject_of
from tests.toys import TINY, plain_fusion, toy_brain, with_lesion

Restore = Callable[[Subject], NDArray[np.float32]]


def case(number: int, *, lesioned: bool = False, use: str = "risks") -> Case:
    toy = toy_brain(generator(0, use, number), slices=12)
    lesion = np.zeros(toy.brain.shape, dtype=np.bool_)
    if lesioned:
        toy, lesion = with_lesion(toy, amount=0.8, radius=4.0)
    return Case(number, f"p{number}", toy, lesion)


def restored_by(restore: Restore, of: Case, config: VaeConfig = TINY) -> Examined:
    """The case as if a model restored it so; scores are the mean absolute error of each slice."""
    subject = subject_of(of.preprocessed, of.lesion, config)
    restored = (restore(subject) * subject.brain).astype(np.float32)
    within = np.flatnonzero(of.preprocessed.brain.any(axis=(0, 1)))
    lesion = np.zeros_like(subject.brain)
    cut = np.moveaxis(of.lesion & of.preprocessed.brain, 2, 0)[within[0] : within[-1] + 1]
    x, y = (np.flatnonzero(of.preprocessed.brain.any(axis=other)) for other in ((1, 2), (0, 2)))
    cut = cut[:, x[0] : x[-1] + 1, y[0] : y[-1] + 1]
    lesion[:, : cut.shape[1], : cut.shape[2]] = cut
    error = np.abs(subject.image - restored).sum((1, 2)) / np.maximum(subject.brain.sum((1, 2)), 1)
    return Examined(
        preprocessed=of.preprocessed,
        patient=of.subject,
        subject=subject,
        restored=restored,
        lesion=lesion,
        position=slice_positions(of.preprocessed.brain)[within[0] : within[-1] + 1],
        scores=error.astype(np.float64),
    )


def network(config: VaeConfig = TINY) -> Vae:
    """Untrained, seed 0."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Vae(config.model).eval().requires_grad_(False)


def untrained() -> VaeScorer:
    return VaeScorer(network(), plain_fusion(0.1), TINY)
