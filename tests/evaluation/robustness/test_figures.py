from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_guard.determinism import generator
from mri_guard.evaluation.robustness.figures import (
    Attacked,
    by_group,
    clean_figures,
    clean_threshold,
    figures,
    joined,
)
from mri_guard.fairness import Groups
from mri_guard.metrics.bootstrap import patient_counts

PATIENTS = 4
COUNTS = patient_counts(PATIENTS, generator(0, "test"), 100)
OWN = {"at_slice_threshold": 2.0}


def attacked(moved: float = 1.5) -> Attacked:
    """Four patients, each a lesion slice at 3 and two free ones at 1 and 0, all at one height,
    pushed towards each other.
    """
    clean = np.tile([3.0, 1.0, 0.0], PATIENTS)
    truth = np.tile([True, False, False], PATIENTS)
    return Attacked(
        clean=clean,
        worst=np.where(truth, clean - moved, clean + moved),
        truth=truth,
        position=np.full(len(clean), 0.5),
        patient=np.repeat(np.arange(PATIENTS), 3),
        patients=PATIENTS,
        tried=np.ones(len(clean), dtype=np.bool_),
        first=np.tile([7, 9, 0], PATIENTS),
    )


def values(rows: Attacked) -> dict[str, float]:
    found = figures(rows, OWN, COUNTS, unit="slices", own="at_slice_threshold")
    return {name: one.value for name, one in found.items()}


def test_knows_what_pushing_each_side_does() -> None:
    found = values(attacked())
    # Lesions at 1.5, free ones at 1 and 0: still above all of them.
    assert found["robust_auroc_evade"] == 1.0
    # Lesions at 3, free ones at 2.5 and 1.5.
    assert found["robust_auroc_alarm"] == 1.0
    # Lesions at 1.5, free ones at 2.5 and 1.5: half of a tie of two pairs.
    assert found["robust_auroc_both"] == found["plain_robust_auroc_both"] == 0.25
    assert found["robust_auroc_both_over_clean"] == 0.25
    assert found["sensitivity_evade_at_slice_threshold"] == 0.0
    assert found["false_positive_rate_alarm_at_slice_threshold"] == 0.5
    assert found["success_evade_at_slice_threshold"] == 1.0
    assert found["success_alarm_at_slice_threshold"] == 0.5
    assert found["queries_to_success_evade"] == 7.0
    assert found["queries_to_success_alarm"] == 9.0


def test_gives_the_clean_figures_where_nothing_moved() -> None:
    found = values(attacked(0.0))
    clean = clean_figures(attacked(), OWN, COUNTS, unit="slices")
    assert clean["auroc"].value == found["robust_auroc_both"] == 1.0
    assert clean["sensitivity_at_slice_threshold"].value == 1.0
    assert clean["false_positive_rate_at_slice_threshold"].value == 0.0
    assert found["success_evade_at_slice_threshold"] == 0.0
    assert "attack" not in clean["auroc"].definition.removesuffix("; no attack")


def test_matches_lesions_with_slices_of_their_height_alone() -> None:
    rows = attacked()
    apart = Attacked(
        rows.clean,
        rows.worst,
        rows.truth,
        np.tile([0.5, 0.9, 0.5], PATIENTS),
        rows.patient,
        PATIENTS,
        rows.tried,
        rows.first,
    )
    found = values(apart)
    assert found["robust_auroc_both"] == 0.5  # the tie alone is left
    assert found["plain_robust_auroc_both"] == 0.25


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0, 4), min_size=2, max_size=5).map(sorted))
def test_gets_no_better_as_scores_are_pushed_further(moves: list[float]) -> None:
    found = [values(attacked(moved)) for moved in moves]
    for name in ("robust_auroc_both", "sensitivity_evade_at_slice_threshold"):
        assert all(a[name] >= b[name] for a, b in pairwise(found))
    name = "false_positive_rate_alarm_at_slice_threshold"
    assert all(a[name] <= b[name] for a, b in pairwise(found))


def test_counts_as_success_only_what_was_right_before() -> None:
    rows = attacked()
    wrong = Attacked(
        np.where(rows.truth, 1.0, rows.clean),  # every lesion was missed already
        rows.worst,
        rows.truth,
        rows.position,
        rows.patient,
        PATIENTS,
        rows.tried,
        rows.first,
    )
    found = figures(wrong, OWN, COUNTS, unit="slices", own="at_slice_threshold")
    assert "success_evade_at_slice_threshold" not in found
    assert found["sensitivity_evade_at_slice_threshold"].value == 0.0


def test_takes_the_clean_threshold_of_ninety_percent() -> None:
    rows = attacked()
    free = Attacked(
        np.arange(10.0),
        np.arange(10.0),
        np.zeros(10, dtype=np.bool_),
        np.zeros(10),
        np.zeros(10, dtype=np.int64),
        1,
        np.zeros(10, dtype=np.bool_),
        np.zeros(10, dtype=np.int64),
    )
    assert clean_threshold(free) == 8.0
    assert clean_threshold(rows.of(np.zeros(PATIENTS, dtype=np.bool_))) is None


def test_takes_the_median_of_looks_as_numpy_does() -> None:
    rows = attacked()
    first = np.zeros(len(rows.first), dtype=np.int64)
    first[rows.truth] = (3, 11, 5, 8)
    looked = Attacked(
        rows.clean,
        rows.worst,
        rows.truth,
        rows.position,
        rows.patient,
        PATIENTS,
        rows.tried,
        first,
    )
    median = looked.queries("evade", 2.0)
    for count in COUNTS[:50]:
        expected = np.median(np.repeat(first[rows.truth], count))
        assert median(count[None])[0] == expected


def test_tells_groups_apart_and_their_gap() -> None:
    rows = attacked()
    members = np.array([True, True, False, False])
    strong = Attacked(
        rows.clean,
        np.where(members[rows.patient], rows.clean, rows.worst),
        rows.truth,
        rows.position,
        rows.patient,
        PATIENTS,
        rows.tried,
        rows.first,
    )
    shown = by_group(
        strong,
        Groups(("a", "b"), np.array([members, ~members])),
        OWN,
        COUNTS,
        generator(0, "gaps"),
        unit="slices",
        own="at_slice_threshold",
    )
    at = {(row["group"], row["figure"]): row for row in shown}
    name = "sensitivity_evade_at_slice_threshold"
    assert (at["a", name]["value"], at["a", name]["patients"]) == (1.0, 2)
    assert (at["b", name]["value"], at["b", name]["n"]) == (0.0, 2)
    # Two patients in a group: no gap is tested, and each group says so.
    assert (at["gap", name]["observed"], at["gap", name]["p_value"]) == (None, None)
    assert at["gap", name]["verdicts"]["b"].startswith("cannot tell (n = 2, ")


def test_interval_holds_the_value_and_widens_with_disagreement() -> None:
    rows = attacked()
    lucky = np.where(rows.patient == 0, rows.clean, rows.worst)
    mixed = Attacked(
        rows.clean,
        lucky,
        rows.truth,
        rows.position,
        rows.patient,
        PATIENTS,
        rows.tried,
        rows.first,
    )
    found = figures(mixed, OWN, COUNTS, unit="slices", own="at_slice_threshold")
    one = found["sensitivity_evade_at_slice_threshold"]
    assert one.low < one.value == 0.25 < one.high
    assert (one.n, one.unit) == (PATIENTS, "slices")


def test_joins_scans_in_order() -> None:
    both = joined([attacked(), attacked(0.5)], PATIENTS)
    assert len(both.clean) == 6 * PATIENTS
    assert both.worst[0] == pytest.approx(1.5)
    assert both.worst[3 * PATIENTS] == pytest.approx(2.5)
