"""A train split of toys, for baselines to learn from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mri_guard.anomaly import Vae
from mri_guard.determinism import generator
from mri_guard.evaluation.baseline_parts.material import Learnt, Material
from mri_guard.records import Preprocessed
from tests.toys import TINY, toy_brain

SLICES = 12


def toys(count: int, use: str = "baseline") -> list[Preprocessed]:
    return [toy_brain(generator(0, use, i), slices=SLICES) for i in range(count)]


def nothing(toy: Preprocessed) -> NDArray[np.bool_]:
    return np.zeros(toy.brain.shape, dtype=np.bool_)


def material(
    scans: list[Preprocessed],
    folder: Path,
    *,
    lesion: Callable[[Preprocessed], NDArray[np.bool_]] = nothing,
    steps: int = 2,
    seed: int = 0,
) -> Material:
    """The scans, each of a patient, with weights of few steps and an encoder of none."""
    torch.manual_seed(0)
    learnt = [Learnt(f"p{i}", scan, lesion(scan)) for i, scan in enumerate(scans)]
    return Material.of(
        learnt, TINY, folder=folder, encoder=Vae(TINY.model).eval(), steps=steps, seed=seed
    )
