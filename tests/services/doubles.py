"""A kit without a model, which dies or waits on command, and series that lie in the spool."""

import hashlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread

from mri_guard.journey import Kit
from mri_guard.records import (
    Anomaly,
    CalibratedScore,
    CheckResult,
    Contrast,
    Decision,
    DetectorResult,
    Outcome,
    Perturbation,
    Preprocessed,
    Priority,
    Scan,
    ScanHeader,
    SecondLook,
    Source,
)
from services import clock
from services.context import Context
from services.db.models import Instance, Job, Series, SeriesState
from services.intake.spool import Spool

DIE, WAIT = "die", "wait"
"""Files in the bundle's folder: while they are there, the kit dies in, or waits with, a scan."""


@dataclass(frozen=True)
class PassAll:
    """Passes every file, after a look at its digest."""

    def check_headers(self, source: Source) -> tuple[tuple[CheckResult, ...], tuple[str, ...]]:
        digests = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in source.files)
        return (CheckResult(name="looked-at", passed=True),), tuple(digests)

    def check_voxels(self, scan: Scan) -> tuple[CheckResult, ...]:
        return (CheckResult(name="voxels", passed=True),)


@dataclass(frozen=True)
class Stack:
    """Stacks the pixels as they come; minds the commands in `folder`."""

    folder: Path

    def __call__(self, source: Source) -> Scan:
        if (self.folder / DIE).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        while (self.folder / WAIT).exists():
            time.sleep(0.02)
        planes = [dcmread(path).pixel_array.astype(np.float32) for path in source.files]
        header = ScanHeader(
            contrast=Contrast.FLAIR, slice_count=len(planes), spacing_mm=(1.0, 1.0, 1.0)
        )
        return Scan(np.stack(planes, axis=2), np.eye(4), header)

    def close(self) -> None:
        """There is nothing to let go."""


def same_grid(scan: Scan) -> Preprocessed:
    """The scan as it is, all of it brain."""
    inside = np.ones(scan.voxels.shape, bool)
    return Preprocessed(scan.voxels.copy(), inside, inside.copy(), np.eye(4), 0.0, 1.0)


def brightness(preprocessed: Preprocessed) -> Anomaly:
    """The brightest pixel is the score."""
    image = preprocessed.image
    slices = image.max(axis=(0, 1)).astype(np.float64)
    return Anomaly(image, image, image, slices, float(image.max()))


def above_100(score: float) -> CalibratedScore:
    """Unusual above 100."""
    return CalibratedScore(
        score=score,
        p_value=0.01 if score > 100 else 0.5,
        threshold=100.0,
        alpha=0.05,
        delta=0.05,
        calibration_count=100,
        unusual=score > 100,
        guarantee="none: a double",
    )


def undisturbed(results: Sequence[DetectorResult]) -> Perturbation:
    """Nothing was perturbed, whoever looked."""
    return Perturbation(p_values={"none": 1.0})


def by_threshold(
    checks: Sequence[CheckResult],
    perturbation: Perturbation | None,
    calibrated: CalibratedScore | None,
    second_look: SecondLook | None = None,
) -> Decision:
    """Review above the threshold, release below."""
    assert calibrated is not None
    if calibrated.unusual:
        return Decision(
            outcome=Outcome.REVIEW, priority=Priority.HIGH, reasons=("bright",), detail="bright"
        )
    return Decision(outcome=Outcome.RELEASE, priority=None, reasons=("dark",), detail="dark")


def load(folder: Path) -> Kit:
    """The kit; `folder` takes commands."""
    return Kit(
        bundle_digest="d" * 64,
        sanitizer=PassAll(),
        decoder=Stack(folder),
        preprocess=same_grid,
        scorer=brightness,
        detectors=(),
        combine=undisturbed,
        calibrate=above_100,
        policy=by_threshold,
    )


def receive(
    context: Context,
    paths: Sequence[Path],
    *,
    sop: Sequence[str] | None = None,
    series: Series | None = None,
) -> Series:
    """A complete series in spool and database, with its job; a given one grows by a revision.

    Args:
        context: the deployment.
        paths: the files.
        sop: what tells the instances apart; their own bytes when None.
        series: where the files are added.
    """
    spool = Spool(context.settings.home)
    with context.database.transaction() as session:
        if series is None:
            digest = hashlib.sha256(str(paths[0]).encode()).hexdigest()
            series = Series(
                series_digest=digest,
                study_digest="5" * 64,
                state=SeriesState.COMPLETE,
                revision=0,
                last_arrival_at=clock.now(),
                sender="MODALITY",
            )
        series = session.merge(series)
        series.revision += 1
        session.flush()
        for index, path in enumerate(paths):
            content = path.read_bytes()
            sha256 = hashlib.sha256(content).hexdigest()
            spooled = spool.path(sha256)
            spooled.parent.mkdir(parents=True, exist_ok=True)
            spooled.write_bytes(content)
            name = sop[index] if sop else sha256
            session.add(
                Instance(
                    series_id=series.id,
                    sop_digest=hashlib.sha256(name.encode()).hexdigest(),
                    sha256=sha256,
                    size_bytes=len(content),
                    received_at=clock.now(),
                )
            )
        session.add(Job(series_id=series.id, revision=series.revision, created_at=clock.now()))
    return series
