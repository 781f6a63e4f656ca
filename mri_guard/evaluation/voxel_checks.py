"""How many good scans the voxel checks hold, and how many of each defect they catch."""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from mri_guard.determinism import generator
from mri_guard.evaluation.voxel_defects import Defect, defects
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.ports import Decoder, Sanitizer
from mri_guard.readers.manifest import ManifestRow
from mri_guard.readers.sources import open_sources
from mri_guard.records import Contrast, Record, Scan

CLEAN = "none"


class VoxelRow(Record):
    """One defect on a set of scans.

    Attributes:
        defect: its name, `none` for the scans as they are, `contrast X` for those of another one.
        n: scans with it.
        refused: those of them that a voxel check refused.
        low: lower end of the exact 95 % interval of the share.
        high: its upper end.
        reasons: how often each was given.
    """

    defect: str
    n: int
    refused: int
    low: float
    high: float
    reasons: dict[str, int]


def evaluate_voxel_checks(
    rows: Sequence[ManifestRow],
    sanitizer: Sanitizer,
    decoder: Decoder,
    contrast: Contrast,
    seed: int,
    *,
    wanted: Sequence[str] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> tuple[VoxelRow, ...]:
    """A row for the scans as they are, one for each defect, one for each other contrast.

    Args:
        rows: of a manifest; each scan gets each defect once.
        sanitizer: of the bundle.
        decoder: reads the scans.
        contrast: what the bundle's scans are.
        seed: of what is drawn.
        wanted: names of the defects; all of them by default, none for an empty list.
        progress: called after each scan.

    Raises:
        InputError: a scan cannot be read.
    """
    every = defects()
    chosen: dict[str, Defect] = {name: every[name] for name in (wanted or every)}
    if wanted is not None and not wanted:
        chosen = {}
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="mri-guard-") as folder:
        for number, row in enumerate(rows):
            scan = decoder(open_sources(row.scan, Path(folder), row.contrast)[0])
            reason = _reason(sanitizer, scan)
            if row.contrast in (None, contrast):
                found.setdefault(CLEAN, []).append(reason)
                for name, defect in chosen.items():
                    bad = defect(scan, generator(seed, "voxel-defect", name, number))
                    found.setdefault(name, []).append(_reason(sanitizer, bad))
            else:
                found.setdefault(f"contrast {row.contrast}", []).append(reason)
            progress()
    return tuple(_row(name, reasons) for name, reasons in found.items())


def _reason(sanitizer: Sanitizer, scan: Scan) -> str:
    """Why the scan is refused; empty where it is not."""
    return sanitizer.check_voxels(scan)[-1].reason


def _row(name: str, reasons: Sequence[str]) -> VoxelRow:
    counts = Counter(reason for reason in reasons if reason)
    refused = sum(counts.values())
    low, high = clopper_pearson(refused, len(reasons))
    return VoxelRow(
        defect=name, n=len(reasons), refused=refused, low=low, high=high, reasons=dict(counts)
    )
