import numpy as np
import pytest

from mri_guard.determinism import generator
from mri_guard.metrics.by_patient import Lesions, Means, Pixels, Slices
from mri_guard.metrics.ranking import (
    auroc,
    average_precision,
    best_dice,
    sensitivity_at,
)


def pixels(patients: int = 4) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = generator(0, "pixels")
    truth = [rng.random(3000) < 0.1 for _ in range(patients)]
    scores = [rng.normal(size=3000) + 1.5 * t for t in truth]
    for s, t in zip(scores, truth, strict=True):
        s[np.flatnonzero(t)[:20]] = -np.inf  # outside the brain mask
    return scores, truth


def slices(patients: int = 5) -> Slices:
    rng = generator(0, "slices")
    patient = np.repeat(np.arange(patients), 30)
    position = rng.random(patients * 30)
    truth = rng.random(patients * 30) < 0.2 + 0.4 * position
    scores = rng.normal(size=patients * 30) + truth + position
    return Slices(scores, truth, position, patient, patients)


def repeated(sample: Slices, counts: np.ndarray) -> Slices:
    """The resample itself, slice by slice."""
    index = np.concatenate(
        [np.tile(np.flatnonzero(sample.patient == p), n) for p, n in enumerate(counts) if n]
    )
    return Slices(
        sample.scores[index],
        sample.truth[index],
        sample.position[index],
        sample.patient[index],
        sample.patients,
    )


COUNTS = np.array([[1, 1, 1, 1], [2, 0, 1, 1], [0, 0, 3, 1]])


def test_gives_the_pixel_figures_of_each_resample() -> None:
    scores, truth = pixels()
    binned = Pixels.of(scores, truth)
    for row, counts in enumerate(COUNTS):
        index = np.repeat(np.arange(4), counts)
        s, t = np.concatenate([scores[i] for i in index]), np.concatenate([truth[i] for i in index])
        assert binned.average_precision(COUNTS)[row] == pytest.approx(
            average_precision(t, s), abs=2e-3
        )
        assert binned.best_dice(COUNTS)[row] == pytest.approx(best_dice(t, s), abs=2e-3)


def test_gives_the_slice_figures_of_each_resample() -> None:
    sample = slices()
    counts = np.array([[1, 1, 1, 1, 1], [0, 3, 1, 1, 0]])
    once = np.ones((1, 5), dtype=np.int64)
    for row in range(2):
        drawn = repeated(sample, counts[row])
        assert sample.auroc(counts)[row] == pytest.approx(auroc(drawn.truth, drawn.scores))
        assert sample.auroc(counts)[row] == pytest.approx(drawn.auroc(once)[0])
        assert sample.sensitivity_at(counts)[row] == pytest.approx(
            sensitivity_at(drawn.truth, drawn.scores, 0.9)
        )


def test_means_the_patients_own_aurocs() -> None:
    sample = slices()
    own = [
        auroc(sample.truth[sample.patient == p], sample.scores[sample.patient == p])
        for p in range(5)
    ]
    counts = np.array([[1, 1, 1, 1, 1], [0, 2, 3, 0, 0]])
    expected = [np.mean(own), (2 * own[1] + 3 * own[2]) / 5]
    assert sample.within_subject_auroc(counts) == pytest.approx(expected)


def test_gives_position_alone_nothing_when_positions_match() -> None:
    sample = slices()
    blind = Slices(sample.position, sample.truth, sample.position, sample.patient, 5)
    once = np.ones((1, 5), dtype=np.int64)
    assert blind.auroc(once)[0] > 0.6
    assert blind.matched_auroc(once)[0] == pytest.approx(0.5, abs=0.05)


def test_matches_each_lesion_slice_alike() -> None:
    sample = Slices(
        scores=np.array([1.0, 1.0, 0.0, 0.0, 0.0, 2.0]),
        truth=np.array([True, True, False, False, False, False]),
        position=np.array([0.2, 0.8, 0.2, 0.21, 0.22, 0.8]),
        patient=np.zeros(6, dtype=np.int64),
        patients=1,
    )
    # One lesion slice wins all three of its pairs, the other loses its only one.
    assert sample.matched_auroc(np.ones((1, 1), dtype=np.int64))[0] == pytest.approx(0.5)


def test_finds_lesions_above_the_threshold_of_best_dice_of_each_draw() -> None:
    # Patient 0 alone is cut best at 3 (Dice 1), patient 1 at 1 (Dice 2 / 3).
    scores = [np.array([4.0, 3.0, 2.0, 1.0]), np.array([4.0, 3.0, 2.0, 1.0, 0.0])]
    truth = [np.array([1, 1, 0, 0]) > 0, np.array([0, 1, 0, 1, 0]) > 0]
    cut = Pixels.of(scores, truth)
    lesions = Lesions(cut, np.array([3.0, 2.0, 1.0, -np.inf]), np.array([0, 0, 1, 1]))
    counts = np.array([[1, 0], [0, 1], [1, 1], [3, 1]])

    def brute(count: np.ndarray) -> float:
        drawn_scores = np.concatenate([np.tile(scores[p], n) for p, n in enumerate(count)])
        drawn_truth = np.concatenate([np.tile(truth[p], n) for p, n in enumerate(count)])
        dice = {
            at: 2
            * drawn_truth[drawn_scores >= at].sum()
            / (drawn_truth.sum() + (drawn_scores >= at).sum())
            for at in (4.0, 3.0, 2.0, 1.0, 0.0)
        }
        threshold = max(dice, key=lambda at: dice[at])
        found = lesions.scores >= threshold
        weight = count[lesions.patient]
        return float((found * weight).sum() / weight.sum())

    assert lesions.found(counts) == pytest.approx([brute(count) for count in counts])
    assert lesions.found(counts[:2]) == pytest.approx([0.5, 0.5])
    none = Lesions(cut, np.array([]), np.array([], dtype=np.int64))
    assert np.isnan(none.found(counts)).all()


def test_means_count_each_patient_alike_however_many_values_they_have() -> None:
    means = Means(np.array([1.0, 3.0, 8.0]), np.array([0, 0, 2]), 4)
    counts = np.array([[1, 1, 1, 1], [3, 0, 1, 0], [0, 0, 4, 0], [0, 2, 0, 2]])
    found = means.mean(counts)
    assert found[:3].tolist() == [5.0, 3.5, 8.0]
    assert np.isnan(found[3])  # nobody drawn has a value
