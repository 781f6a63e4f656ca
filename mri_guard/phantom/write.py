"""Phantoms on disk: NIfTI scans, exact masks and a manifest."""

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from mri_guard.determinism import generator
from mri_guard.phantom.parameters import LesionKind, PhantomParameters, draw_parameters
from mri_guard.phantom.render import render
from mri_guard.records import Contrast

COLUMNS = ("scan", "mask", "subject", "label", "split", "sequence", "sex", "age", "site")
EXTRA_COLUMNS = ("lesion_kind", "seed")


def write_phantoms(
    out: Path,
    n: int,
    seed: int,
    *,
    contrast: Contrast = Contrast.FLAIR,
    lesioned_share: float = 0.5,
    split: str = "",
    slices: tuple[int, int] = (20, 40),
    pixels_mm: Sequence[float] = (1.0,),
    prefix: str = "phantom",
    show_progress: bool = False,
) -> Path:
    """The manifest that was written (columns of docs: scan, mask, subject, label, split, ...).

    The first `lesioned_share` of the phantoms, rounded, carry one lesion each, kinds in turn.

    Args:
        out: folder, made when missing; `scans/`, `masks/`, `parameters/` and `manifest.csv`.
        n: phantoms.
        seed: root seed; the head of phantom i does not depend on n, whether it has a lesion does.
        contrast: FLAIR or T1.
        lesioned_share: 0 to 1.
        split: written into the manifest's `split` column.
        slices: fewest and most slices, spread over 145 mm.
        pixels_mm: sizes of their pixels in plane, in turn; the field of view is always 256 mm.
        prefix: of the subjects' names.
        show_progress: a bar on the terminal.
    """
    for folder in ("scans", "masks", "parameters"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    kinds = tuple(LesionKind)
    lesioned = round(n * lesioned_share)
    rows: list[dict[str, object]] = []
    for number in track(range(n), "phantoms", disable=not show_progress):
        rng = generator(seed, "phantom", number)
        kind = (kinds[number % len(kinds)],) if number < lesioned else ()
        count = int(rng.integers(slices[0], slices[1] + 1))
        parameters = draw_parameters(rng, contrast, kind, slices=count, spacing_mm=145.0 / count)
        parameters = on_pixels(parameters, pixels_mm[number % len(pixels_mm)])
        phantom = render(parameters)

        name = f"{prefix}{number:04d}"
        scan, mask = f"scans/{name}_{contrast.lower()}.nii.gz", f"masks/{name}_lesion.nii.gz"
        _save(out / scan, phantom.voxels, phantom.affine)
        if kind:
            _save(out / mask, phantom.lesion.astype(np.uint8), phantom.affine)
        (out / "parameters" / f"{name}.json").write_text(parameters.model_dump_json(indent=1))
        rows.append(
            {
                "scan": scan,
                "mask": mask if kind else "",
                "subject": name,
                "label": "abnormal" if kind else "healthy",
                "split": split,
                "sequence": contrast.value,
                "sex": "",
                "age": "",
                "site": "phantom",
                "lesion_kind": kind[0].value if kind else "",
                "seed": seed,
            }
        )
    manifest = out / "manifest.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.DictWriter(file, (*COLUMNS, *EXTRA_COLUMNS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return manifest


def on_pixels(parameters: PhantomParameters, pixel_mm: float) -> PhantomParameters:
    """The same head on pixels of another size, in as large a field of view.

    Raises:
        ValueError: more or fewer pixels than a phantom has.
    """
    count = round(parameters.in_plane * parameters.pixel_mm / pixel_mm)
    fields = parameters.model_dump() | {"in_plane": count, "pixel_mm": pixel_mm}
    return PhantomParameters.model_validate(fields)


def _save(path: Path, voxels: NDArray[np.generic], affine: NDArray[np.float64]) -> None:
    """A NIfTI whose bytes depend on its content alone: gzip without name and time."""
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=4, mtime=0))
