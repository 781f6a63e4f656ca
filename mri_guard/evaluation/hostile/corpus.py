"""The corpus on disk: a folder a series, and a manifest that says where each should end."""

import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.uid import (
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from rich.progress import track

from mri_guard.determinism import generator
from mri_guard.evaluation.hostile import part10
from mri_guard.evaluation.hostile.file_defects import FILE_DEFECTS, REPAIRABLE
from mri_guard.evaluation.hostile.file_defects import Edit as FileEdit
from mri_guard.evaluation.hostile.part10 import File
from mri_guard.evaluation.hostile.series_defects import SERIES_DEFECTS
from mri_guard.evaluation.hostile.series_defects import Edit as SeriesEdit
from mri_guard.evaluation.hostile.voxel_defects import TOP, VOXEL_DEFECTS
from mri_guard.evaluation.hostile.voxel_defects import Edit as VoxelEdit
from mri_guard.phantom import draw_parameters, render, write_dicom_series
from mri_guard.records import Contrast

ACCEPTED = "accepted"
COLUMNS = ("scan", "mask", "subject", "label", "split", "sequence", "site", "defect", "expected")
SLICES = 24
HEADS = 4
"""Clean heads that the defects are made from, in turn."""

ENCODINGS = (
    ImplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
)
"""Ways in which a clean series may be written besides Explicit VR Little Endian."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong.

    Attributes:
        name: of the defect.
        family: where it lies: `file`, `series` or `voxels`; `repair` where it can be undone.
        reasons: that name it rightly; empty where any of its family's does.
        edit: what it does to the files of a clean series.
    """

    name: str
    family: str
    reasons: tuple[str, ...]
    edit: Callable[[list[File], np.random.Generator], None]


def _in_one(edit: FileEdit, files: list[File], rng: np.random.Generator) -> None:
    edit(files[len(files) // 2])


def _in_all(edit: SeriesEdit, files: list[File], rng: np.random.Generator) -> None:
    edit(files)


def _in_voxels(edit: VoxelEdit, files: list[File], rng: np.random.Generator) -> None:
    image = np.stack([file.pixels.T for file in files], axis=2).astype(np.float32)
    changed = np.clip(np.rint(edit(image, rng)), 0, TOP)
    for file, plane in zip(files, np.moveaxis(changed, 2, 0), strict=True):
        file.pixels = plane.T


DEFECTS: tuple[Defect, ...] = (
    *(
        Defect(name, "file", reasons, partial(_in_one, edit))
        for name, reasons, edit in FILE_DEFECTS
    ),
    *(
        Defect(name, "series", reasons, partial(_in_all, edit))
        for name, reasons, edit in SERIES_DEFECTS
    ),
    *(
        Defect(name, "voxels", reasons, partial(_in_voxels, edit))
        for name, reasons, edit in VOXEL_DEFECTS
    ),
)
"""Every defect, in the order in which the checks should meet it."""

REPAIRABLE_DEFECTS = tuple(
    Defect(name, "repair", (ACCEPTED,), partial(_in_one, edit)) for name, edit in REPAIRABLE
)
"""What is missing can be derived: these must be accepted."""


def write_corpus(out: Path, seed: int, *, clean: int = HEADS, show_progress: bool = False) -> Path:
    """The manifest that was written: clean series in every encoding, and one series a defect.

    Its column `expected` names the reasons that name the defect rightly, joined by `|`, or
    `accepted`; empty where any reason of the family does. Files that a defect leaves alone are hard
    links to those of the clean series.

    Args:
        out: folder, made when missing; `clean/`, `hostile/` and `manifest.csv`.
        seed: of heads and defects.
        clean: heads that are written without a defect.
        show_progress: a bar on the terminal.
    """
    heads = max(clean, HEADS)
    bases = []
    for number in track(range(heads), "clean series", disable=not show_progress):
        rng = generator(seed, "hostile head", number)
        parameters = draw_parameters(
            rng, Contrast.FLAIR, (), slices=SLICES, spacing_mm=145.0 / SLICES
        )
        head = render(parameters)
        folder = out / "clean" / f"head-{number}"
        bases.append(
            write_dicom_series(
                head.voxels, head.affine, folder, Contrast.FLAIR, f"hostile {seed} {number}"
            )
        )
    rows = [_row(base[0].parent, out, "", ACCEPTED, "clean") for base in bases]
    for syntax in ENCODINGS:
        folder = out / "clean" / syntax.keyword
        folder.mkdir(parents=True, exist_ok=True)
        for path in bases[0]:
            image = dcmread(path)
            if syntax.is_compressed:
                image.compress(syntax, generate_instance_uid=False)
            else:
                image.file_meta.TransferSyntaxUID = syntax
            image.save_as(folder / path.name, implicit_vr=syntax.is_implicit_VR)
        rows.append(_row(folder, out, "", ACCEPTED, "clean"))
    for number, defect in track(
        list(enumerate((*DEFECTS, *REPAIRABLE_DEFECTS))),
        "hostile series",
        disable=not show_progress,
    ):
        folder = out / "hostile" / defect.name
        folder.mkdir(parents=True, exist_ok=True)
        base = bases[number % HEADS]
        rng = generator(seed, "defect", defect.name)
        for name, content, original in _made(base, defect, rng):
            target = folder / name
            target.unlink(missing_ok=True)
            if original is not None:
                os.link(original, target)
            else:
                target.write_bytes(content)
        rows.append(_row(folder, out, defect.name, "|".join(defect.reasons), defect.family))
    manifest = out / "manifest.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return manifest


def _made(
    base: list[Path], defect: Defect, rng: np.random.Generator
) -> Iterator[tuple[str, bytes, Path | None]]:
    """Name and bytes of each file with the defect, and the clean one where they are the same."""
    before = [path.read_bytes() for path in base]
    files = [part10.read(content) for content in before]
    known = {id(file): at for at, file in enumerate(files)}
    defect.edit(files, rng)
    for file in files:
        at = known[id(file)]
        content = file.encode()
        yield base[at].name, content, base[at] if content == before[at] else None


def _row(folder: Path, out: Path, defect: str, expected: str, site: str) -> dict[str, str]:
    return {
        "scan": str(folder.relative_to(out)),
        "mask": "",
        "subject": folder.name,
        "label": "healthy",
        "split": "test",
        "sequence": "",
        "site": site,
        "defect": defect,
        "expected": expected,
    }
