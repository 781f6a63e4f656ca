"""Models that give back what they learnt, and models that only flatten."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.distance import cdist

from mri_guard.determinism import generator
from mri_guard.evaluation.risks.memorisation import (
    Aligned,
    at_like_places,
    distances,
    log_nearest,
    membership,
    nearest,
)
from mri_guard.evaluation.risks.scene import Examined
from mri_guard.metrics.bootstrap import patient_counts
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.training.data import Subject
from tests.evaluation.risks.toys import case, restored_by

INF = np.inf
PEOPLE = 12
COUNTS = patient_counts(PEOPLE, generator(0, "memorisation test"), 200)


def flattened(subject: Subject) -> NDArray[np.float32]:
    """With less contrast, as whoever is not sure restores: 0.7 is the brain's median."""
    return np.float32(0.7) + np.float32(0.6) * (subject.image - np.float32(0.7))


@pytest.fixture(scope="module")
def members() -> list[Examined]:
    return [restored_by(flattened, case(i, use="member")) for i in range(PEOPLE)]


@pytest.fixture(scope="module")
def unseen() -> list[Examined]:
    return [restored_by(flattened, case(i, use="unseen")) for i in range(PEOPLE)]


def test_what_only_flattens_is_pulled_by_nobody(
    members: list[Examined], unseen: list[Examined]
) -> None:
    found = distances(members, unseen, COUNTS)
    pull = found["memorisation_pull"]
    assert pull.low < 1 < pull.high
    assert pull.n == PEOPLE
    ratio = found["memorisation_distance_ratio"]
    assert ratio.low < ratio.value < ratio.high


def test_what_gives_back_its_training_is_pulled(
    members: list[Examined], unseen: list[Examined]
) -> None:
    def recalled(of: Examined) -> Examined:
        """Nine tenths of each slice are those of one trained patient, spread over its own box."""
        other = members[of.patient].subject.image
        zoom = [n / m for n, m in zip(of.restored.shape, other.shape, strict=True)]
        memory = ndimage.zoom(other, zoom, order=1)
        return replace(of, restored=(of.subject.image + 9 * memory) / 10 * of.subject.brain)

    found = distances(members, [recalled(one) for one in unseen], COUNTS)
    assert found["memorisation_pull"].high < 0.9


def test_distance_is_the_root_mean_square_where_both_are_brain() -> None:
    rng = generator(0, "aligned")
    everywhere = np.ones((5, 40), dtype=np.bool_)
    one, other = (
        Aligned(rng.random((5, 40)), everywhere, np.full(5, at), np.arange(5)) for at in (0.5, 0.54)
    )
    expected = cdist(one.image, other.image).min(1) / np.sqrt(40)
    assert nearest(one, other, own_too=True).min(1) == pytest.approx(expected, abs=1e-9)
    half = everywhere.copy()
    half[:, 20:] = False
    expected = cdist(one.image[:, :20], other.image[:, :20]).min(1) / np.sqrt(20)
    found = nearest(one, replace(other, inside=half), own_too=True)
    assert found.min(1) == pytest.approx(expected, abs=1e-9)
    less = half.copy()
    less[:, 10:] = False
    assert np.isinf(nearest(one, replace(other, inside=less), own_too=True)).all()


def test_slices_elsewhere_and_of_the_same_patient_are_not_the_nearest() -> None:
    image, everywhere = np.arange(3.0)[:, None] * np.ones(4), np.ones((3, 4), dtype=np.bool_)
    these = Aligned(image, everywhere, np.array([0.5, 0.5, 0.9]), np.array([0, 0, 1]))
    assert nearest(these, these, own_too=True).tolist() == [[0, INF], [0, INF], [INF, 0]]
    assert np.isinf(nearest(these, these, own_too=False)).all()
    theirs = replace(these, patient=np.array([5, 6, 7]))
    assert nearest(these, theirs, own_too=False).tolist() == [
        [0, 1, INF],
        [1, 0, INF],
        [INF, INF, 0],
    ]
    near = replace(theirs, position=np.array([0.56, 0.55, 0.9]))
    assert nearest(these, near, own_too=False).min(1).tolist() == [1, 0, 0]


def test_nearest_among_some_is_the_mean_over_all_choices() -> None:
    row = generator(0, "nearest").random(7)
    distances = np.append(row, INF)[None]
    for k in (1, 3, 7):
        expected = np.mean([np.log(min(some)) for some in combinations(row, k)])
        found = log_nearest(distances, np.array([k]))
        assert found == pytest.approx([expected], abs=1e-12)
    assert np.isnan(log_nearest(distances, np.array([0])))


def test_nothing_leaks_where_members_are_like_others(
    members: list[Examined], unseen: list[Examined]
) -> None:
    metrics, rows = membership(members, unseen, 0)
    for attacker in ("score", "error", "calibrated_error", "without_model"):
        auroc = metrics[f"membership_inference_auroc_{attacker}"]
        assert auroc.low < 0.5 < auroc.high
        assert auroc.n == 2 * PEOPLE
        assert metrics[f"membership_inference_tpr_at_1_fpr_{attacker}"].unit.startswith("slices")
    assert rows[0]["attacker"] == "score"
    assert rows[0]["auroc"] == metrics["membership_inference_auroc_score"].value


def test_a_model_that_knows_its_members_by_heart_is_found_out(
    members: list[Examined], unseen: list[Examined]
) -> None:
    by_heart = [
        replace(one, restored=one.subject.image, scores=np.zeros_like(one.scores))
        for one in members
    ]
    metrics, _ = membership(by_heart, unseen, 0)
    for attacker in ("score", "error", "calibrated_error"):
        assert metrics[f"membership_inference_auroc_{attacker}"].value == 1
        by_patient = metrics[f"membership_inference_patient_auroc_{attacker}"]
        assert (by_patient.value, by_patient.low) == (1, clopper_pearson(*[2 * PEOPLE] * 2)[0])
        assert metrics[f"membership_inference_tpr_at_1_fpr_{attacker}"].value == 1
    blind = metrics["membership_inference_auroc_without_model"]
    assert blind.low < 0.5 < blind.high


def test_position_alone_is_no_sign() -> None:
    position = np.linspace(0, 1, 201)
    found = at_like_places(100 * position, position)
    inner = found[(position > 0.1) & (position < 0.9)]
    assert np.abs(inner).max() < 1e-6
