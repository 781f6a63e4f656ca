import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, false_positive_rate, true_positive_rate
from sklearn.metrics import roc_auc_score

from mri_guard.determinism import generator
from mri_guard.fairness import Cohort, Groups, group_figures
from mri_guard.fairness.figures import EXACT, IN_THE_LARGE, NONE, RESAMPLED, rankings, shares
from mri_guard.metrics.bootstrap import patient_counts
from mri_guard.metrics.proportion import clopper_pearson

RNG = generator(0, "fairness figures")
N = 240
SEX = RNG.choice(["F", "M"], N)
SITE = RNG.choice(["a", "b", "c"], N)
TRUTH = RNG.random(N) < 0.4
# Rounded, so that there are ties; some lesions were never looked at.
SCORES = np.where(
    TRUTH & (RNG.random(N) < 0.05), -np.inf, np.round(RNG.normal(size=N) + 1.2 * TRUTH, 1)
)
GROUPS = Groups.of({"sex": SEX.tolist(), "site": SITE.tolist()})
ALONE = Cohort(SCORES, TRUTH, SCORES > 0.8, np.arange(N), N)
ONCE = np.ones((1, N), dtype=np.int64)
DRAWS = patient_counts(N, generator(0, "draws"), 300)


def test_ranks_as_scikit_learn_does() -> None:
    auroc, sauroc, bpsn = rankings(ALONE, GROUPS, ONCE)[:, 0]
    ranked = np.where(np.isneginf(SCORES), -99, SCORES)
    for index, members in enumerate(GROUPS.members):
        for found, some in (
            (auroc, members),
            (sauroc, (members & TRUTH) | ~TRUTH),
            (bpsn, (~members & TRUTH) | (members & ~TRUTH)),
        ):
            assert found[index] == pytest.approx(roc_auc_score(TRUTH[some], ranked[some]), abs=1e-9)


def test_ranks_a_resample_as_the_resample_itself() -> None:
    found = rankings(ALONE, GROUPS, DRAWS)
    ranked = np.where(np.isneginf(SCORES), -99, SCORES)
    for draw in (0, 299):
        own = GROUPS.members[0] * DRAWS[draw]
        assert found[0, draw, 0] == pytest.approx(
            roc_auc_score(TRUTH, ranked, sample_weight=own), abs=1e-9
        )


def test_has_the_rates_of_fairlearn() -> None:
    for names, columns in (
        ([f"sex={s}" for s in "FM"], {"sex": SEX}),
        ([f"sex={s}, site={t}" for s in "FM" for t in "abc"], {"sex": SEX, "site": SITE}),
    ):
        frame = MetricFrame(
            metrics={"sensitivity": true_positive_rate, "false_positive_rate": false_positive_rate},
            y_true=TRUTH,
            y_pred=ALONE.above,
            sensitive_features=pd.DataFrame(columns),
        )
        for rate in ("sensitivity", "false_positive_rate"):
            of = ALONE.counted(rate)
            hits = ALONE.by_patient(of & ALONE.above)
            (each,) = shares(hits, ALONE.by_patient(of), GROUPS, ONCE)
            found = dict(zip(GROUPS.names, each, strict=True))
            assert [found[name] for name in names] == pytest.approx(
                frame.by_group[rate].to_list(), abs=1e-9
            )


def test_gives_exact_intervals_where_nobody_is_counted_twice() -> None:
    found = {(one.group, one.figure): one for one in group_figures(ALONE, GROUPS, DRAWS)}
    one = found["sex=F", "sensitivity"]
    assert (one.low, one.high) == clopper_pearson(round(one.value * one.n), one.n)
    assert (one.interval, one.patients) == (EXACT, one.n)
    assert found["sex=F", "auroc"].interval == RESAMPLED


def test_widens_intervals_where_a_patient_has_several_scans_alike() -> None:
    fourfold = Cohort(
        np.repeat(SCORES, 4), np.repeat(TRUTH, 4), np.repeat(ALONE.above, 4),
        np.repeat(np.arange(N), 4), N,
    )  # fmt: skip
    once, four = (
        next(e for e in group_figures(c, GROUPS, DRAWS) if e.figure == "sensitivity")
        for c in (ALONE, fourfold)
    )
    assert (four.n, four.patients, four.interval) == (4 * once.n, once.n, RESAMPLED)
    # As wide as over patients; over scans it would be half of that.
    assert four.high - four.low > 0.7 * (once.high - once.low)


def test_claims_no_certainty_where_no_resample_differs() -> None:
    scores = np.array([3.0, 3, 4, 4, 1, 1, 0, 0])
    patient = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    cohort = Cohort(scores, scores > 2, scores > 2, patient, 4)
    groups = Groups(("all", "one"), np.array([[True] * 4, [True, False, False, False]]))
    found = {
        (one.group, one.figure): one
        for one in group_figures(cohort, groups, patient_counts(4, generator(0, "few"), 50))
    }
    assert found["all", "sensitivity"].low == clopper_pearson(2, 2)[0]
    # Two pairs of a positive and a negative with nobody in both.
    assert found["all", "auroc"].low == clopper_pearson(2, 2)[0]
    one = found["one", "sensitivity"]
    assert (one.n, one.low, one.interval) == (2, clopper_pearson(1, 1)[0], EXACT)
    assert ("one", "auroc") not in found


def test_makes_no_interval_of_a_few_patients_with_many_slices() -> None:
    patient = np.repeat(np.arange(8), 30)
    scores = generator(0, "many slices").normal(size=240)
    cohort = Cohort(scores, np.ones(240, np.bool_), scores > 0, patient, 8)
    groups = Groups(("two", "all"), np.array([np.arange(8) < 2, np.ones(8, np.bool_)]))
    draws = patient_counts(8, generator(0, "eight"), 50)
    two, everybody = group_figures(cohort, groups, draws)
    assert (two.n, two.low, two.high, two.interval) == (60, 0.0, 1.0, NONE)
    assert everybody.interval == RESAMPLED


def test_compares_probabilities_with_what_came_where_there_are_any() -> None:
    probability = np.where(TRUTH, 0.9, 0.2)
    probability[:3] = np.nan
    cohort = Cohort(SCORES, TRUTH, ALONE.above, ALONE.patient, N, probability)
    found = [e for e in group_figures(cohort, GROUPS, DRAWS) if e.figure == IN_THE_LARGE]
    known = GROUPS.members[0] & np.isfinite(probability)
    assert found[0].value == pytest.approx((probability[known] - TRUTH[known]).mean())
    assert found[0].n == known.sum()
    assert not [e for e in group_figures(ALONE, GROUPS, DRAWS) if e.figure == IN_THE_LARGE]


def test_refuses_scores_that_are_no_numbers() -> None:
    with pytest.raises(ValueError, match="NaN"):
        Cohort(np.array([np.nan]), np.array([True]), np.array([True]), np.array([0]), 1)
