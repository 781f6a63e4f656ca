import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mri_guard.errors import SettingsError
from mri_guard.evaluation.certification import (
    AUROC,
    SENSITIVITY,
    SPECIFICITY,
    Certified,
    evaluate_certification,
    table,
)
from mri_guard.evaluation.evidence import Evidence
from mri_guard.metrics.by_patient import Slices
from mri_guard.readers import Decoder
from mri_guard.records import Anomaly, Preprocessed
from tests.evaluation.test_detection import kit, manifest

ONCE = np.ones((1, 2), dtype=np.int64)


@dataclass
class _Brighter:
    """How much brighter each slice is than its mirror image, top to bottom, as lesions make it:
    a weighted sum with weights of norm 1, which a change of norm r moves by at most r.
    """

    asked: int = 0
    patience: int = 10**6

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        self.asked += 1
        if self.asked > self.patience:
            raise KeyboardInterrupt
        brain, zeros = preprocessed.brain, np.zeros_like(preprocessed.image)
        sums = np.where(brain, preprocessed.image, 0).sum((0, 1), dtype=np.float64)
        sums = sums / np.sqrt(np.maximum(brain.sum((0, 1)), 1))
        scores = np.where(brain.any((0, 1)), (sums - sums[::-1]) / np.sqrt(2), np.nan)
        return Anomaly(zeros, zeros, zeros, scores, float(np.nanmax(scores)))


def _certify(path: Path, scorer: _Brighter, work: Path, **settings: object) -> Evidence:
    asked = {"sigma": 0.25, "draws": 50, "radii": (0.0, 0.1, 0.25, 1.0)} | settings
    work.mkdir(exist_ok=True)
    with Decoder() as decoder:
        return evaluate_certification(
            path,
            ["test"],
            replace(kit(decoder), scorer=scorer),
            command="as tested",
            work=work,
            **asked,  # type: ignore[arg-type]
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certification")


@pytest.fixture(scope="module")
def path(folder: Path) -> Path:
    return manifest(folder, ["test", "test", "calibration"])


@pytest.fixture(scope="module")
def evidence(folder: Path, path: Path) -> Evidence:
    return _certify(path, _Brighter(), folder / "work", picture=folder / "curve.png")


def _slices(scores: list[float], truth: list[int], patient: list[int]) -> Slices:
    n = len(scores)
    return Slices(np.array(scores), np.array(truth) > 0, np.zeros(n), np.array(patient), 2)


def test_takes_every_slice_at_its_worst() -> None:
    slices = _slices([0.0] * 4, [1, 1, 0, 0], [0, 1, 0, 1])
    low, high = np.array([3.0, 1.5, -9.0, -9.0]), np.array([9.0, 9.0, 2.0, 1.0])
    certified = Certified(low, high, np.array([5.0, 5.0, 1.5, 0.5]), slices)
    # Of the four pairs 3 > 2, 3 > 1, 1.5 > 1, but not 1.5 > 2.
    assert certified.auroc(ONCE).tolist() == [0.75]
    # 90 % of two free slices are both: the threshold is the higher median, 1.5, and is not passed.
    assert certified.threshold(ONCE[0]) == 1.5
    assert certified.sensitivity(ONCE).tolist() == [0.5]
    assert certified.specificity(ONCE).tolist() == [0.5]


def test_threshold_follows_who_was_drawn() -> None:
    slices = _slices([0.0] * 4, [1, 1, 0, 0], [0, 1, 0, 1])
    low, median = np.array([3.0, 1.0, 0.0, 0.0]), np.array([5.0, 5.0, 2.0, 0.5])
    certified = Certified(low, low, median, slices)
    counts = np.array([[2, 0], [0, 2]])
    assert certified.sensitivity(counts).tolist() == [1.0, 1.0]
    assert [certified.threshold(count) for count in counts] == [2.0, 0.5]


def test_figures_do_not_exist_in_a_resample_without_such_slices() -> None:
    certified = Certified(
        np.zeros(2), np.zeros(2), np.zeros(2), _slices([0.0, 0.0], [1, 0], [0, 1])
    )
    assert np.isnan(certified.sensitivity(np.array([[2, 0], [0, 2]]))).all()


def test_a_lesion_without_bounds_is_not_found() -> None:
    low = np.array([-np.inf, 0.0])
    certified = Certified(low, low, low, _slices([0.0, 0.0], [1, 0], [0, 0]))
    assert certified.auroc(ONCE).tolist() == [0.0]
    assert certified.sensitivity(ONCE).tolist() == [0.0]


def test_curve_falls_with_the_radius_and_begins_below_the_smoothed_figure(
    evidence: Evidence,
) -> None:
    smooth = evidence.metrics["smoothed_matched_slice_auroc"].value
    for name in (AUROC, SENSITIVITY, SPECIFICITY):
        values = [evidence.metrics[f"{name}_l2_{at}"].value for at in ("0", "0_1", "0_25")]
        assert values == sorted(values, reverse=True)
        assert name != AUROC or values[0] > values[2]
    assert evidence.metrics["matched_slice_auroc"].value > 0.7
    assert evidence.metrics[f"{AUROC}_l2_0"].value <= smooth
    for metric in evidence.metrics.values():
        assert metric.low <= metric.value <= metric.high


def test_says_where_draws_are_too_few(evidence: Evidence) -> None:
    # The lowest of 50 draws bounds the median up to 1.08 sigma = 0.269.
    rows = {row["radius"]: row for row in evidence.tables["curve"]}
    assert [rows[radius]["bounded"] for radius in (0.0, 0.1, 0.25, 1.0)] == [True] * 3 + [False]
    assert evidence.metrics["largest_bounded_radius_l2"].value == pytest.approx(0.269, abs=0.001)
    assert AUROC not in rows[1.0]
    assert f"{AUROC}_l2_1" not in evidence.metrics
    console = Console(file=io.StringIO(), width=200)
    console.print(table(evidence))
    assert "too few draws" in console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO


def test_counts_its_cost_a_slice(evidence: Evidence) -> None:
    assert 0 < evidence.metrics["seconds_a_slice"].value < 10
    assert evidence.metrics["seconds_a_slice"].n == 2


def test_survives_its_own_json(evidence: Evidence, tmp_path: Path) -> None:
    evidence.save(tmp_path / "e.json")
    assert Evidence.load(tmp_path / "e.json") == evidence


def test_draws_the_curve(evidence: Evidence, folder: Path) -> None:
    with Image.open(folder / "curve.png") as picture:
        seen = np.asarray(picture.convert("RGB"))
    for color in ((30, 90, 200), (200, 60, 40), (40, 140, 70)):
        assert (seen == color).all(-1).sum() > 50


def test_reads_what_is_done_and_goes_on(evidence: Evidence, path: Path, tmp_path: Path) -> None:
    tired = _Brighter(patience=75)  # one scan of 1 + 50, and half of another
    with pytest.raises(KeyboardInterrupt):
        _certify(path, tired, tmp_path)
    rested = _Brighter()
    again = _certify(path, rested, tmp_path)
    assert rested.asked == 51
    for name in set(evidence.metrics) - {"seconds_a_slice"}:
        assert again.metrics[name] == evidence.metrics[name]
    third = _Brighter()
    assert _certify(path, third, tmp_path).metrics == again.metrics
    assert third.asked == 0


def test_other_noise_is_drawn_for_another_seed(path: Path, tmp_path: Path) -> None:
    scorer = _Brighter()
    for seed in (0, 1):
        _certify(path, scorer, tmp_path, seed=seed, limit_scans=1, draws=2)
    assert scorer.asked == 2 * 3
    drawn = [np.load(file)["scan"] for file in tmp_path.glob("*.npz")]
    assert not np.array_equal(*drawn)


def test_refuses_a_split_without_slices_of_both_kinds(path: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="wanted slices with lesion and without"):
        _certify(path, _Brighter(), tmp_path, limit_scans=0)
