from dataclasses import replace

import numpy as np
import pytest

from mri_guard.evaluation.robustness.aftermath import Aftermath, as_tensor, through_scanner
from mri_guard.readers.dicom_series import read_series
from mri_guard.records import (
    Anomaly,
    CheckResult,
    Contrast,
    Outcome,
    Preprocessed,
    Scan,
    ScanHeader,
    Source,
)
from tests.test_journey import KIT, look_again, may_be_alarm

AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])


class Here:
    def __call__(self, source: Source) -> Scan:
        return read_series(source.files, source.contrast)

    def close(self) -> None:
        """There is nothing to let go."""


class Refusing:
    def check_headers(self, source: Source) -> tuple[tuple[CheckResult, ...], tuple[str, ...]]:
        return (CheckResult(name="no", passed=False, reason="bad-thing", detail=""),), ()

    def check_voxels(self, scan: Scan) -> tuple[CheckResult, ...]:
        return ()


def on_its_grid(scan: Scan) -> Preprocessed:
    """The voxels over the brightest of a scan that fills 12 bits."""
    inside = np.ones(scan.voxels.shape, dtype=np.bool_)
    image = (scan.voxels / 4095).astype(np.float32)
    return Preprocessed(image, inside, inside.copy(), scan.affine.copy(), 0.0, 4095.0)


def brightness(preprocessed: Preprocessed) -> Anomaly:
    slices = preprocessed.image.mean(axis=(0, 1)).astype(np.float64)
    plain = np.zeros_like(preprocessed.image)
    return Anomaly(plain, plain, plain, slices, float(slices.max()))


KIT_HERE = replace(KIT, decoder=Here(), preprocess=on_its_grid, scorer=brightness)


def scan() -> Scan:
    ramp = np.linspace(0, 4095, 16 * 16 * 3).reshape(16, 16, 3)
    header = ScanHeader(contrast=Contrast.FLAIR, slice_count=3, spacing_mm=(2.0, 2.0, 5.0))
    return Scan(np.rint(ramp).astype(np.float32), AFFINE, header)


def changed(amount: float) -> tuple[Preprocessed, Preprocessed]:
    clean = on_its_grid(scan())
    change = np.zeros_like(clean.image)
    change[4:12, 4:12, 1] = amount
    return clean, replace(clean, image=clean.image + change)


def test_brings_a_change_to_files_and_back() -> None:
    clean, attacked = changed(0.1)
    gone, came = (through_scanner(scan(), clean, one, KIT_HERE) for one in (clean, attacked))
    goals = np.array([0, 1, 2])
    moved = came.scores(goals) - gone.scores(goals)
    np.testing.assert_allclose(moved, [0, 0.1 * 64 / 256, 0], atol=1e-4)


def test_loses_a_change_smaller_than_half_a_step_of_twelve_bits() -> None:
    clean, attacked = changed(0.4 / 4095)
    gone, came = (through_scanner(scan(), clean, one, KIT_HERE) for one in (clean, attacked))
    assert came.slices == gone.slices
    as_it_is = as_tensor(scan(), attacked, KIT_HERE).scores(np.array([1]))
    assert as_it_is[0] > as_tensor(scan(), clean, KIT_HERE).scores(np.array([1]))[0]


def test_has_no_score_of_a_series_that_is_held_before_the_model() -> None:
    clean, attacked = changed(0.1)
    held = through_scanner(scan(), clean, attacked, replace(KIT_HERE, sanitizer=Refusing()))
    assert held.outcome is Outcome.QUARANTINE
    assert held.reasons == ("bad-thing",)
    assert np.isnan(held.scores(np.array([0, -1]))).all()
    assert not held.noticed


def test_tells_the_scans_score_from_its_slices() -> None:
    found = Aftermath(outcome=Outcome.RELEASE, reasons=("x",), score=9.0, slices=(1.0, None))
    np.testing.assert_array_equal(found.scores(np.array([0, 1, 7, -1])), [1.0, np.nan, np.nan, 9.0])


@pytest.mark.parametrize(
    ("attacked_threshold", "confirmed", "stands"),
    [(None, False, True), (0.0, False, True), (99.0, True, True), (99.0, False, False)],
)
def test_stands_where_no_look_puts_it_down_to_an_alarm(
    attacked_threshold: float | None, confirmed: bool, stands: bool
) -> None:
    kit = replace(
        KIT_HERE,
        calibrate=lambda score: may_be_alarm(score).model_copy(
            update={"attacked_threshold": attacked_threshold}
        ),
        second_look=lambda seen: look_again(seen).model_copy(update={"confirmed": confirmed}),
    )
    clean = on_its_grid(scan())
    assert as_tensor(scan(), clean, kit).stands is stands
    assert through_scanner(scan(), clean, clean, kit).stands is stands
    assert not as_tensor(scan(), clean, KIT_HERE).stands
