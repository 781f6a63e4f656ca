import numpy as np
import torch

from mri_guard.anomaly import HealthyStatistics
from mri_guard.evaluation.baseline_parts.left_right import asymmetry
from mri_guard.evaluation.baseline_parts.score import as_seen, standardised
from mri_guard.records import Preprocessed
from tests.toys import SIDE, TINY


def symmetric(lesion: float = 0.0) -> Preprocessed:
    """An ellipsoid without folds, mirrored about the middle of its box."""
    x, y, z = np.mgrid[:SIDE, :SIDE, :8] - np.array([(SIDE - 1) / 2, 24, 3.5])[:, None, None, None]
    brain = (x / 14) ** 2 + (y / 19) ** 2 + (z / 5) ** 2 < 1
    image = np.where(brain, 0.7 + 0.01 * np.abs(x), 0)
    ball = (x - 7) ** 2 + y**2 + (3 * z) ** 2 < 16
    image = (image + lesion * ball).astype(np.float32)
    return Preprocessed(image, brain, brain.copy(), np.diag([2.0, 2.0, 5.0, 1.0]), 0.0, 1.0)


def test_finds_nothing_in_a_symmetric_brain() -> None:
    difference = asymmetry(as_seen(symmetric(), TINY))
    known = difference.isfinite()
    assert known.float().mean() > 0.4
    assert float(difference[known].abs().max()) < 0.05


def test_finds_a_lesion_and_its_negative_on_the_other_side() -> None:
    difference = asymmetry(as_seen(symmetric(0.5), TINY)).nan_to_num(0)
    middle = difference[4]
    half = middle.shape[0] / 2
    assert float(difference.max()) > 0.4
    assert float(difference.min()) < -0.4
    assert int(middle.max(1).values.argmax()) > half > int(middle.min(1).values.argmin())


def test_takes_what_has_no_other_side_for_not_unusual() -> None:
    subject = as_seen(symmetric(), TINY)
    values = torch.full(subject.image.shape, torch.nan)
    ones = HealthyStatistics.fit(
        [
            (
                torch.ones(values.shape),
                torch.from_numpy(subject.brain),
                torch.from_numpy(subject.positions),
            )
        ]
    )
    assert not standardised(values, ones, subject).any()
