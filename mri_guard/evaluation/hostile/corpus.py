"""The corpus on disk: a folder a series, and a manifest that says where each should end."""

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless
from rich.progress import track

from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.evaluation.hostile import part10
from mri_guard.evaluation.hostile.file_defects import FILE_DEFECTS, REPAIRABLE
from mri_guard.evaluation.hostile.file_defects import Edit as FileEdit
from mri_guard.evaluation.hostile.series_defects import SERIES_DEFECTS
from mri_guard.evaluation.hostile.series_defects import Edit as SeriesEdit
from mri_guard.evaluation.hostile.voxel_defects import VOXEL_DEFECTS
from mri_guard.evaluation.voxel_defects import Defect as VoxelDefect
from mri_guard.phantom import draw_parameters, render, write_dicom_series
from mri_guard.preprocess.orientation import spacing_mm
from mri_guard.records import Contrast, Scan, ScanHeader

ACCEPTED = "accepted"
COLUMNS = ("scan", "mask", "subject", "label", "split", "sequence", "site", "defect", "expected")
SLICES = 24
TOP = 4095
"""Of 12 bits."""

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
class Head:
    """A clean head and the files of its series."""

    scan: Scan
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong.

    Attributes:
        name: of the defect.
        family: where it lies: `file`, `series` or `voxels`; `repair` where it can be undone.
        reasons: that name it rightly; empty where any does.
        write: writes the clean head's series with the defect into a folder.
    """

    name: str
    family: str
    reasons: tuple[str, ...]
    write: Callable[[Head, Path, np.random.Generator], None]


def _with_files(edit: SeriesEdit, head: Head, folder: Path, _: np.random.Generator) -> None:
    """The edited files; those that are as they were are hard links to the clean ones."""
    before = [path.read_bytes() for path in head.files]
    files = [part10.read(content) for content in before]
    known = {id(file): at for at, file in enumerate(files)}
    edit(files)
    for file in files:
        at, content = known[id(file)], file.encode()
        target = folder / head.files[at].name
        if content == before[at]:
            os.link(head.files[at], target)
        else:
            target.write_bytes(content)


def _with_file(edit: FileEdit, head: Head, folder: Path, rng: np.random.Generator) -> None:
    """The edit in the middle file alone."""
    _with_files(lambda files: edit(files[len(files) // 2]), head, folder, rng)


def _with_voxels(edit: VoxelDefect, head: Head, folder: Path, rng: np.random.Generator) -> None:
    made = edit(head.scan, rng)
    stored = np.clip(np.rint(made.voxels), 0, TOP)
    write_dicom_series(stored, made.affine, folder, Contrast.FLAIR, f"hostile {folder.name}")


DEFECTS: tuple[Defect, ...] = (
    *(Defect(name, "file", why, partial(_with_file, edit)) for name, why, edit in FILE_DEFECTS),
    *(
        Defect(name, "series", why, partial(_with_files, edit))
        for name, why, edit in SERIES_DEFECTS
    ),
    *(
        Defect(name, "voxels", why, partial(_with_voxels, edit))
        for name, why, edit in VOXEL_DEFECTS
    ),
)
"""Every defect, in the order in which the checks should meet it."""

REPAIRABLE_DEFECTS = tuple(
    Defect(name, "repair", (ACCEPTED,), partial(_with_file, edit)) for name, edit in REPAIRABLE
)
"""What is missing can be derived: these must be accepted."""


def write_corpus(out: Path, seed: int, *, show_progress: bool = False) -> Path:
    """The manifest that was written: clean series in every encoding, and one series a defect.

    Its column `expected` names the reasons that name the defect rightly, joined by `|`, or
    `accepted`; empty where any reason does.

    Args:
        out: new or empty folder; `clean/`, `hostile/` and `manifest.csv`.
        seed: of heads and defects.
        show_progress: a bar on the terminal.

    Raises:
        SettingsError: there is something in the folder.
    """
    if out.exists() and any(out.iterdir()):
        raise SettingsError("the folder is not empty; a new one wanted")
    quiet = not show_progress
    heads = [
        _head(out / "clean" / f"head-{number}", seed, number)
        for number in track(range(HEADS), "clean series", disable=quiet)
    ]
    rows = [_row(head.files[0].parent, out, "", ACCEPTED, "clean") for head in heads]
    for syntax in ENCODINGS:
        folder = out / "clean" / syntax.keyword
        folder.mkdir()
        for path in heads[0].files:
            image = dcmread(path)
            if syntax.is_compressed:
                image.compress(syntax, generate_instance_uid=False)
            else:
                image.file_meta.TransferSyntaxUID = syntax
            image.save_as(folder / path.name, implicit_vr=syntax.is_implicit_VR)
        rows.append(_row(folder, out, "", ACCEPTED, "clean"))
    every = (*DEFECTS, *REPAIRABLE_DEFECTS)
    for number, defect in track(list(enumerate(every)), "hostile series", disable=quiet):
        folder = out / "hostile" / defect.name
        folder.mkdir(parents=True)
        defect.write(heads[number % HEADS], folder, generator(seed, "defect", defect.name))
        rows.append(_row(folder, out, defect.name, "|".join(defect.reasons), defect.family))
    manifest = out / "manifest.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return manifest


def _head(folder: Path, seed: int, number: int) -> Head:
    rng = generator(seed, "hostile head", number)
    parameters = draw_parameters(rng, Contrast.FLAIR, (), slices=SLICES, spacing_mm=145.0 / SLICES)
    head = render(parameters)
    files = write_dicom_series(
        head.voxels, head.affine, folder, Contrast.FLAIR, f"hostile {seed} {number}"
    )
    header = ScanHeader(
        contrast=Contrast.FLAIR, slice_count=SLICES, spacing_mm=spacing_mm(head.affine)
    )
    scan = Scan(np.asfortranarray(head.voxels, dtype=np.float32), head.affine, header)
    return Head(scan, tuple(files))


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
