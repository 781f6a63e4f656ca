from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import bundles
from mri_guard import bundle
from mri_guard.errors import NotCalibratedError, SettingsError
from mri_guard.perturbation.detector import ConformalDetector
from mri_guard.perturbation.detectors import (
    DETECTORS,
    FeatureSqueezing,
    Fragility,
    HighFrequency,
    Learnt,
)
from mri_guard.preprocess import Preprocess
from mri_guard.readers.manifest import ManifestRow
from mri_guard.training import bundle as training_bundle
from mri_guard.training import perturbation as training_perturbation
from mri_guard.training.bundle import with_detector_calibration
from mri_guard.training.perturbation import (
    aligned,
    calibrate_on,
    learn_detectors,
    learn_from,
    with_signs,
)
from tests.perturbation.scans import noisy


def _row(split: str, label: str) -> ManifestRow:
    return ManifestRow(
        scan=Path("none"),
        mask=None,
        subject=f"{split} {label}",
        label=label,
        split=split,
        contrast=None,
        attributes={},
    )


ROWS = [
    _row(split, label)
    for split in ("train", "validation", "calibration", "test", "")
    for label in ("healthy", "abnormal")
]


def test_learns_from_no_scan_that_calibrates_and_never_looks_at_the_test() -> None:
    learning, calibrating = learn_from(ROWS), calibrate_on(ROWS)
    assert {row.subject for row in learning} == {"validation healthy", "validation abnormal"}
    assert {row.subject for row in calibrating} == {
        "train abnormal",
        "calibration healthy",
        "calibration abnormal",
    }


def test_random_signs_stay_in_the_head() -> None:
    _, seen = noisy(np.random.default_rng(0))
    change = with_signs(seen, 0.02, np.random.default_rng(1)).image - seen.image
    assert np.all(change[~seen.head] == 0)
    assert np.abs(change[seen.head]) == pytest.approx(0.02, abs=1e-6)
    assert abs(change[seen.head].mean()) < 1e-3


def test_keeps_the_order_of_scans() -> None:
    assert aligned([{"a": 1.0, "b": 5.0}, {"a": 0.0, "b": 6.0}]) == {
        "a": (1.0, 0.0),
        "b": (5.0, 6.0),
    }
    assert aligned([]) == {}


def test_needs_scans_enough_to_learn_from(tmp_path: Path) -> None:
    preprocess = Preprocess(lambda image, head, spacing_mm: head)
    with pytest.raises(NotCalibratedError, match="0 scans of the split validation"):
        learn_detectors((), preprocess, seed=0, cache=tmp_path)


@pytest.mark.parametrize("pixel", [1.0, 2.0])
def test_says_when_it_has_seen_no_coarse_pixels(
    pixel: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    drawn = [noisy(rng, pixel) for _ in range(10)]
    prepared, scans = iter([(seen, None) for _, seen in drawn]), iter([scan for scan, _ in drawn])
    monkeypatch.setattr(training_perturbation, "prepared_scan", lambda *_: next(prepared))
    monkeypatch.setattr(training_perturbation, "decoded", lambda *_: next(scans))
    preprocess = Preprocess(lambda image, head, spacing_mm: head)
    made = learn_detectors([ROWS[2]] * 10, preprocess, seed=0, cache=tmp_path)
    assert [type(one) for one in made] == list(DETECTORS)
    assert ("may be held" in caplog.text) is (pixel < 2)


def _pretend_to_learn(
    monkeypatch: pytest.MonkeyPatch, detectors: Sequence[ConformalDetector]
) -> dict[str, tuple[float, ...]]:
    """What each of the detectors will be calibrated on."""
    clean = {one.name: tuple(float(i) for i in range(120)) for one in detectors}

    def some(_: object, wanted: Sequence[ConformalDetector], *__: object, **___: object) -> object:
        return {one.name: clean[one.name] for one in wanted}

    monkeypatch.setattr(training_bundle, "learn_detectors", lambda *_, **__: detectors)
    monkeypatch.setattr(training_bundle, "clean_statistics", some)
    return clean


def test_gives_a_bundle_the_detectors_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretend_to_learn(monkeypatch, (HighFrequency(()), Learnt((), (1.0,) * 4), Fragility(())))

    def make(*names: str) -> None:
        with_detector_calibration(
            bundles.DEFAULT,
            (),
            tmp_path,
            work=tmp_path,
            version="9",
            console=Console(),
            names=names,
        )

    make("fragility", "high_frequency")
    _, tensors, calibration, _ = bundle.contents(tmp_path)
    assert list(calibration.detectors) == ["high_frequency", "fragility"]
    assert not [key for key in tensors if key.startswith("detectors.")]
    with pytest.raises(SettingsError, match="other"):
        make("other")


def test_changes_nothing_else_in_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detectors = (
        HighFrequency(()),
        Learnt((), (1.0, 2.0, 3.0, 4.0)),
        FeatureSqueezing(()),
        Fragility(()),
    )
    clean = _pretend_to_learn(monkeypatch, detectors)
    for version in ("9", "10"):  # a bundle that has them already is renewed
        source = bundles.DEFAULT if version == "9" else tmp_path
        digest = with_detector_calibration(
            source, (), tmp_path, work=tmp_path, version=version, console=Console()
        )
    before, after = bundle.contents(bundles.DEFAULT), bundle.contents(tmp_path)
    assert after[0] == before[0].model_copy(update={"version": "10"})
    for key, tensor in before[1].items():
        if not key.startswith("detectors."):
            assert torch.equal(after[1][key], tensor), key
    assert after[2] == before[2].model_copy(update={"detectors": clean})
    assert after[3].startswith("# Model card: flair 10\n")
    assert after[3].count("## Perturbation detectors") == after[3].count("## Voxel checks") == 1
    with bundle.load(tmp_path) as kit:
        assert kit.bundle_digest == digest
        assert [one.name for one in kit.detectors] == [one.name for one in detectors]
