"""A kit that attacks can be aimed at, and files of toy brains for it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray

from mri_guard.anomaly import Vae, VaeScorer
from mri_guard.calibration import ScoreCalibrator
from mri_guard.determinism import generator
from mri_guard.journey import Kit
from mri_guard.preprocess import Preprocess
from mri_guard.readers.dicom_series import read_series
from mri_guard.readers.nifti import read_nifti
from mri_guard.records import Format, Scan, Source
from tests.test_journey import KIT
from tests.toys import TINY, plain_fusion, toy_brain, with_lesion

SIDE = 64


class Here:
    """Decodes in this process: these files are ours."""

    def __call__(self, source: Source) -> Scan:
        if source.format is Format.NIFTI:
            return read_nifti(source.files[0], source.contrast)
        return read_series(source.files, source.contrast)

    def close(self) -> None:
        """There is nothing to let go."""


def head_is_brain(
    image: NDArray[np.float32], head: NDArray[np.bool_], spacing_mm: float
) -> NDArray[np.bool_]:
    return head


def attackable() -> Kit:
    """With a network of a few weights, untrained, seed 0."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Vae(TINY.model).eval().requires_grad_(False)
    return replace(
        KIT,
        decoder=Here(),
        preprocess=Preprocess(head_is_brain),
        scorer=VaeScorer(model, plain_fusion(0.1), TINY),
        calibrate=ScoreCalibrator((3.0, 4.0, 5.0), 0.05, 0.05, 5.2, "none", 4.9),
    )


def write_manifest(folder: Path, people: Sequence[tuple[str, str, str]], slices: int) -> Path:
    """One scan of each: label, sex, age; where abnormal, with a lesion and its mask.

    Returns:
        The manifest; all are of its test split.
    """
    lines = ["scan,mask,subject,label,split,sequence,sex,age"]
    for number, (label, sex, age) in enumerate(people):
        toy = toy_brain(generator(0, "robust", number), slices=slices, side=SIDE, noise=0.02)
        mask = ""
        if label == "abnormal":
            toy, lesion = with_lesion(toy, amount=0.8, radius=5.0)
            mask = f"{number}m.nii.gz"
            nib.save(nib.Nifti1Image(lesion.astype(np.uint8), toy.affine), folder / mask)
        voxels = np.where(toy.brain, 400 + 1000 * toy.image, 0).astype(np.float32)
        nib.save(nib.Nifti1Image(voxels, toy.affine), folder / f"{number}.nii.gz")
        lines.append(f"{number}.nii.gz,{mask},p{number},{label},test,FLAIR,{sex},{age}")
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n")
    return path
