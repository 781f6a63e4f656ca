"""A scan's journey, from bytes at rest to a decision. Read this file first.

What surrounds it lives in `services`: the spool before step 1, audit, queue and review after
step 9.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from mri_guard.errors import InputError
from mri_guard.perturbation.asked_once import detections
from mri_guard.ports import (
    Calibrator,
    Combine,
    Decoder,
    Detector,
    Policy,
    Preprocessor,
    Sanitizer,
    Scorer,
    SecondLooker,
)
from mri_guard.records import (
    Anomaly,
    CalibratedScore,
    CheckResult,
    Decision,
    DetectorResult,
    Examination,
    Journey,
    Outcome,
    Perturbation,
    Preprocessed,
    Priority,
    Scan,
    SecondLook,
    Source,
    StepTiming,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kit:
    """Everything a journey needs; `bundle.load` assembles it."""

    bundle_digest: str
    sanitizer: Sanitizer
    decoder: Decoder
    preprocess: Preprocessor
    scorer: Scorer
    detectors: tuple[Detector, ...]
    combine: Combine
    calibrate: Calibrator
    policy: Policy
    seed: int = 0
    second_look: SecondLooker | None = None

    def __enter__(self) -> Self:
        """The kit; leaving the block closes its decoder."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the decoder."""
        self.decoder.close()


def examine(source: Source, kit: Kit) -> Journey:
    """Takes one scan through every step and ends in a decision, whatever happens.

    The only broad `except` of the library: what raises ends in quarantine.
    """
    log = _Log(kit)
    try:
        return log.close(_travel(source, kit, log))
    except InputError as error:
        return log.close(_quarantine(error.reason, error.detail))
    except Exception as error:  # noqa: BLE001 - fail closed
        logger.error("journey failed in %s: %s", log.current, type(error).__name__)
        detail = f"{type(error).__name__} in step {log.current}"
        return log.close(_quarantine("internal-failure", detail))


def _travel(source: Source, kit: Kit, log: "_Log") -> Decision:
    # 1. Headers: cheap checks first, on bytes that no decoder has touched.
    with log.step("header-checks"):
        checks, log.source_digests = kit.sanitizer.check_headers(source)
        log.checks += checks
    if not all(check.passed for check in checks):
        return kit.policy(log.checks, None, None)

    # 2. Decode, in a child process with limits of memory and time.
    with log.step("decode"):
        log.scan = kit.decoder(source)

    # 3. Voxels: is this an image the model can be asked about?
    with log.step("voxel-checks"):
        checks = kit.sanitizer.check_voxels(log.scan)
        log.checks += checks
    if not all(check.passed for check in checks):
        return kit.policy(log.checks, None, None)

    # 4. The model's grid, the brain, the model's intensity.
    with log.step("preprocess"):
        log.preprocessed = kit.preprocess(log.scan)

    # 5. What would this brain look like if it were healthy, and where does it differ?
    with log.step("anomaly"):
        log.anomaly = kit.scorer(log.preprocessed)

    # 6. Was the image perturbed on purpose? After the model, since squeezing compares its scores.
    with log.step("perturbation"):
        log.detectors = detections(
            kit.detectors, log.scan, log.preprocessed, log.anomaly, kit.scorer
        )
        log.perturbation = kit.combine(log.detectors)

    # 7. What does the score mean among healthy scans?
    with log.step("calibrate"):
        log.calibrated = kit.calibrate(log.anomaly.score)

    # 8. Unusual, but no more than an alarm attack makes a healthy scan? Then look again, at length.
    if log.calibrated.may_be_alarm and kit.second_look is not None:
        with log.step("second-look"):
            log.second_look = kit.second_look(log.preprocessed)

    # 9. Release, review or quarantine.
    with log.step("decide"):
        return kit.policy(log.checks, log.perturbation, log.calibrated, log.second_look)


def _quarantine(reason: str, detail: str) -> Decision:
    return Decision(
        outcome=Outcome.QUARANTINE, priority=Priority.MEDIUM, reasons=(reason,), detail=detail
    )


@dataclass(slots=True)
class _Log:
    """What the journey has gathered so far, so that an early end loses nothing."""

    kit: Kit
    current: str = "start"
    source_digests: tuple[str, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    detectors: tuple[DetectorResult, ...] = ()
    perturbation: Perturbation | None = None
    calibrated: CalibratedScore | None = None
    second_look: SecondLook | None = None
    scan: Scan | None = None
    preprocessed: Preprocessed | None = None
    anomaly: Anomaly | None = None
    steps: list[StepTiming] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times a step, also one that raises."""
        self.current = name
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = (time.perf_counter() - start) * 1000
            self.steps.append(StepTiming(name=name, milliseconds=elapsed))

    def close(self, decision: Decision) -> Journey:
        """Everything gathered, with the decision."""
        examination = Examination(
            bundle_digest=self.kit.bundle_digest,
            source_digests=self.source_digests,
            header=self.scan.header if self.scan else None,
            checks=self.checks,
            detectors=self.detectors,
            perturbation=self.perturbation,
            calibrated=self.calibrated,
            second_look=self.second_look,
            decision=decision,
            steps=tuple(self.steps),
            seed=self.kit.seed,
        )
        return Journey(examination, self.scan, self.preprocessed, self.anomaly)
