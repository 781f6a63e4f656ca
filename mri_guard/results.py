"""What a journey leaves on disk for people to look at: the record, the map, a picture."""

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mri_guard.drawing import gray, signed_overlay
from mri_guard.preprocess import to_scan_grid
from mri_guard.records import Anomaly, Examination, Journey, Preprocessed

EXAMINATION = "examination.json"
MAP = "map.nii.gz"
SIGNED_MAP = "signed_map.nii.gz"
SPREAD_MAP = "map_spread.nii.gz"
PICTURE = "picture.png"

SHOWN_SLICES = 4


def write_results(journey: Journey, folder: Path) -> list[Path]:
    """Files written: always the record; maps and picture when the journey got so far.

    Each file appears whole or not at all.

    Args:
        journey: what `examine` returned.
        folder: made when missing.
    """
    written = write_record(journey, folder)
    if journey.anomaly is not None:
        written.append(write_map(journey, journey.anomaly.map, folder / MAP))
        written.append(write_map(journey, journey.anomaly.signed, folder / SIGNED_MAP))
    return written


def write_record(journey: Journey, folder: Path) -> list[Path]:
    """Files written that tell the decision: the record, and the picture if there is one.

    Args:
        journey: what `examine` returned.
        folder: made when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = journey.examination.model_dump(mode="json")
    written = [folder / EXAMINATION]
    with _whole(written[0]) as part:
        part.write_text(json.dumps(record, indent=2) + "\n")
    if journey.preprocessed is not None:
        written.append(folder / PICTURE)
        with _whole(written[-1]) as part:
            picture(journey.examination, journey.preprocessed, journey.anomaly).save(part)
    return written


def write_map(journey: Journey, values: NDArray[np.float32], path: Path) -> Path:
    """The path: values of the model's grid, on the scan's own, as NIfTI; whole or not at all.

    Args:
        journey: that has reached the model.
        values: float32, (x, y, z), on the model's grid.
        path: in a folder that is there.

    Raises:
        ValueError: the journey has not reached the model.
    """
    if journey.scan is None or journey.preprocessed is None:
        raise ValueError("the journey ended before the model; wanted one with a scan on its grid")
    native = to_scan_grid(values, journey.preprocessed.affine, journey.scan)
    with _whole(path) as part:
        nib.save(nib.Nifti1Image(native, journey.scan.affine), part)
    return path


class _whole:  # noqa: N801 - reads as a word of the `with` statement
    """A path beside the wanted one, renamed to it when the block ends well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f".{os.getpid()}.{path.name}")

    def __enter__(self) -> Path:
        return self.part

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.part.replace(self.path)
        else:
            self.part.unlink(missing_ok=True)


def picture(
    examination: Examination, preprocessed: Preprocessed, anomaly: Anomaly | None
) -> Image.Image:
    """The most unusual slices: scan, what the model expected, and where they differ.

    Radiological convention: the patient's right is on the left of the picture.

    Args:
        examination: for the line of text above the picture.
        preprocessed: the scan on the model's grid.
        anomaly: None shows the scan alone.
    """
    columns = _slices(preprocessed, anomaly)
    rows = [[gray(preprocessed.image[..., z]) for z in columns]]
    if anomaly is not None:
        rows.append([gray(anomaly.reconstruction[..., z]) for z in columns])
        rows.append(
            [signed_overlay(rows[0][i], anomaly.signed[..., z]) for i, z in enumerate(columns)]
        )
    tiles = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    body = Image.fromarray(tiles).resize((tiles.shape[1] * 2, tiles.shape[0] * 2))
    banner = 44
    canvas = Image.new("RGB", (body.width, body.height + banner), "black")
    canvas.paste(body, (0, banner))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(14)
    decision = examination.decision
    draw.text((6, 4), f"{decision.outcome.upper()}: {decision.detail}", "white", font)
    names = [
        "scan",
        "expected if healthy",
        "scan with anomaly map (red: too bright, blue: too dark)",
    ][: len(rows)]
    flagged = _flagged(examination, anomaly, columns)
    draw.text(
        (6, 22), f"rows: {', '.join(names)}. Slices {columns}{flagged}. R is left.", "gray", font
    )
    draw.text((4, banner + body.height // len(rows) // 2 - 8), "R", "yellow", font)
    return canvas


def _flagged(examination: Examination, anomaly: Anomaly | None, shown: list[int]) -> str:
    """Which of the shown slices are flagged, in words; nothing where there is no such threshold."""
    limit = examination.calibrated.slice_threshold if examination.calibrated else None
    if anomaly is None or limit is None:
        return ""
    flagged = [z for z in anomaly.slices_above(limit) if z in shown]
    return f", of these flagged: {flagged or 'none'}"


def _slices(preprocessed: Preprocessed, anomaly: Anomaly | None) -> list[int]:
    """Slices to show, in anatomical order: the highest scores, but not all neighbours."""
    covered = np.flatnonzero(preprocessed.brain.any(axis=(0, 1)))
    if anomaly is None or not np.isfinite(anomaly.slice_scores).any():
        candidates = covered if covered.size else np.arange(preprocessed.image.shape[2])
        picks = np.linspace(0, len(candidates) - 1, min(SHOWN_SLICES, len(candidates)))
        return sorted({int(candidates[round(pick)]) for pick in picks})
    apart = max(1, covered.size // 12)
    picked: list[int] = []
    for z in np.argsort(-np.nan_to_num(anomaly.slice_scores, nan=-np.inf)):
        if len(picked) < SHOWN_SLICES and all(abs(int(z) - other) >= apart for other in picked):
            picked.append(int(z))
    return sorted(picked)
