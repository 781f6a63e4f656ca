"""From manifests to what the model learns from: lesion-free windows of preprocessed scans."""

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard import otsu, symmetry
from mri_guard import preprocess as preprocess_package
from mri_guard.anomaly import VaeConfig, slice_gap_mm, tensors
from mri_guard.anomaly.frame import View, context_step
from mri_guard.errors import InputError
from mri_guard.preprocess import BrainMask, Preprocess
from mri_guard.preprocess.grid import PIXEL_MM
from mri_guard.readers import Decoder
from mri_guard.readers.manifest import ManifestRow, lesion_on_grid
from mri_guard.readers.sources import open_sources
from mri_guard.records import Preprocessed, Scan
from mri_guard.training.synthetic_lesions import Window

logger = logging.getLogger(__name__)

SMALLEST_SLICE_PX = 150
"""A slice with less brain teaches nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One scan, cut to its brain's frame.

    Attributes:
        image: float32, (z, x, y), in units of `View`, 0 outside the brain.
        brain: bool, (z, x, y).
        positions: float32, (z, 3, x, y), place in the brain.
        lesion_free: bool, (z,): no lesion here nor in the slice above or below.
        centres: slices whose whole window is lesion-free and that show enough brain.
        step: slices from one channel of a window to the next.
        gap_mm: from one slice to the next.
        neighbours: above and below in a window.
        dimensions: of the model that will see it.
    """

    image: NDArray[np.float32]
    brain: NDArray[np.bool_]
    positions: NDArray[np.float32]
    lesion_free: NDArray[np.bool_]
    centres: NDArray[np.int64]
    step: int
    gap_mm: float
    neighbours: int
    dimensions: int

    def window(self, centre: int) -> tuple[Window, NDArray[np.bool_], NDArray[np.float32]]:
        """Slices, brain and place of the window around a slice; ends repeat.

        The place is the centre's, (3, x, y), or in three dimensions every slice's, (3, s, x, y).
        """
        index = window_index(centre, len(self.image), self.neighbours, self.step)
        whole = self.dimensions == 3
        place = self.positions[index].swapaxes(0, 1) if whole else self.positions[centre]
        return self.image[index], self.brain[index], place

    @property
    def restored(self) -> slice:
        """Which of a window's slices the model restores."""
        if self.dimensions == 3:
            return slice(0, 2 * self.neighbours + 1)
        return slice(self.neighbours, self.neighbours + 1)

    @property
    def depth_px(self) -> float:
        """Distance between a window's slices, pixels of the plane."""
        return self.step * self.gap_mm / PIXEL_MM


def window_index(centre: int, count: int, neighbours: int, step: int) -> NDArray[np.int64]:
    """Slices of the window around one, int64; the end slices repeat."""
    return np.clip(centre + step * np.arange(-neighbours, neighbours + 1), 0, count - 1)


def subject_of(
    preprocessed: Preprocessed, lesion: NDArray[np.bool_] | None, config: VaeConfig
) -> Subject:
    """A preprocessed scan as training sees it.

    Args:
        preprocessed: with a brain that is not empty.
        lesion: bool, (x, y, z), on the model's grid; None for a healthy scan.
        config: of the model that will see it.
    """
    shape = config.model
    image, brain = (part[:, 0] for part in tensors(preprocessed, "cpu"))
    view = View.of(image, brain, shape.multiple, config.intensity_low, config.intensity_high)
    frame, inside = view.frame, view.inside

    free = np.ones(len(brain), dtype=np.bool_)
    if lesion is not None and lesion.any():
        free = ~ndimage.binary_dilation(lesion.any(axis=(0, 1)), iterations=1)
    free = free[frame.low[0] : frame.high[0]]
    gap_mm = slice_gap_mm(preprocessed)
    step = context_step(shape.context_mm, gap_mm)
    enough = inside.sum((1, 2)).numpy() >= SMALLEST_SLICE_PX
    centres = [
        z
        for z in np.flatnonzero(enough)
        if free[window_index(int(z), len(free), shape.neighbours, step)].all()
    ]
    return Subject(
        image=view.seen.numpy(),
        brain=inside.numpy(),
        positions=frame.positions(torch.device("cpu")).numpy(),
        lesion_free=free,
        centres=np.array(centres, dtype=np.int64),
        step=step,
        gap_mm=gap_mm,
        neighbours=shape.neighbours,
        dimensions=shape.dimensions,
    )


def load_subjects(
    rows: Sequence[ManifestRow],
    preprocess: Preprocess,
    config: VaeConfig,
    *,
    cache: Path,
    progress: Callable[[], None] = lambda: None,
) -> list[Subject]:
    """Those of the scans that have lesion-free windows, in the manifest's order.

    A scan that cannot be read or preprocessed is left out, and so is an abnormal one without a
    mask, of which nobody knows what is healthy; the log says why.

    Args:
        rows: of a manifest.
        preprocess: as the bundle will use it.
        config: of the model that will see them.
        cache: folder for preprocessed scans, keyed by the bytes they were made from.
        progress: called after each scan.
    """
    maker = preprocess_digest(preprocess)
    subjects = []
    with Decoder() as decoder:
        for row in rows:
            if row.label == "abnormal" and row.mask is None:
                logger.warning("an abnormal scan without a mask is left out: %s split", row.split)
                progress()
                continue
            try:
                prepared, lesion = prepared_scan(row, preprocess, maker, decoder, cache)
            except InputError as error:
                logger.warning("a scan of the %s split is left out: %s", row.split, error)
            else:
                subject = subject_of(prepared, lesion, config)
                if len(subject.centres):
                    subjects.append(subject)
            progress()
    return subjects


def preprocess_digest(preprocess: Preprocess) -> str:
    """SHA-256 of what preprocessing depends on: its source and the brain mask's weights, hex."""
    sha = hashlib.sha256()
    sources = [
        *Path(preprocess_package.__path__[0]).glob("*.py"),
        *(Path(str(module.__file__)) for module in (otsu, symmetry)),
    ]
    for source in sorted(sources):
        sha.update(source.read_bytes())
    if isinstance(preprocess.brain_mask, BrainMask):
        for key, value in sorted(preprocess.brain_mask.network.state_dict().items()):
            sha.update(key.encode() + value.cpu().numpy().tobytes())
    return sha.hexdigest()


def prepare(row: ManifestRow, preprocess: Preprocess, decoder: Decoder, work: Path) -> Preprocessed:
    """One scan of a manifest on the model's grid.

    Args:
        row: of the manifest.
        preprocess: as the bundle uses it.
        decoder: reads the scan.
        work: folder that an archive may be extracted into.

    Raises:
        InputError: the scan cannot be read or preprocessed.
    """
    return preprocess(decoded(row, decoder, work))


def decoded(row: ManifestRow, decoder: Decoder, work: Path) -> Scan:
    """One scan of a manifest as it was stored; arguments as `prepare`.

    Raises:
        InputError: the scan cannot be read.
    """
    return decoder(open_sources(row.scan, work, row.contrast)[0])


def prepared_scan(
    row: ManifestRow, preprocess: Preprocess, maker: str, decoder: Decoder, cache: Path
) -> tuple[Preprocessed, NDArray[np.bool_] | None]:
    """Scan on the model's grid, from the cache where it lies, and lesion, bool, (x, y, z).

    Args:
        row: of the manifest.
        preprocess: as the bundle uses it.
        maker: `preprocess_digest` of it: a cached scan of another maker is not taken.
        decoder: reads the scan.
        cache: folder, made when missing.

    Raises:
        InputError: the scan cannot be read or preprocessed.
    """
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{_key(row, maker)}.npz"
    if not path.exists():
        made = prepare(row, preprocess, decoder, cache)
        part = path.with_suffix(f".{os.getpid()}.part")  # another process may be at the same scan
        with part.open("wb") as file:
            np.savez_compressed(
                file,
                image=made.image,
                brain=made.brain,
                head=made.head,
                affine=made.affine,
                range=np.array([made.intensity_low, made.intensity_high]),
            )
        part.replace(path)
    with np.load(path, allow_pickle=False) as saved:
        prepared = Preprocessed(
            image=saved["image"],
            brain=saved["brain"],
            head=saved["head"],
            affine=saved["affine"],
            intensity_low=float(saved["range"][0]),
            intensity_high=float(saved["range"][1]),
        )
    if row.mask is None:
        return prepared, None
    shape = prepared.image.shape
    return prepared, lesion_on_grid(row.mask, prepared.affine, (shape[0], shape[1], shape[2]))


def _key(row: ManifestRow, maker: str) -> str:
    sha = hashlib.sha256(f"{maker} {row.contrast}".encode())
    files = sorted(row.scan.rglob("*")) if row.scan.is_dir() else [row.scan]
    for file in files:
        if file.is_file():
            sha.update(file.read_bytes())
    return sha.hexdigest()
