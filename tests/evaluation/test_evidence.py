import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from mri_guard.determinism import generator
from mri_guard.evaluation.evidence import (
    SIGNED,
    Drawn,
    Evidence,
    Metric,
    bootstrapped,
    code_version,
    machine,
    resampled,
    share_of,
)
from mri_guard.metrics.bootstrap import patient_counts
from mri_guard.metrics.by_patient import Means, Slices
from mri_guard.metrics.proportion import clopper_pearson

METRIC = Metric(value=0.5, low=0.4, high=0.6, n=17, unit="patients", definition="a share")
EVIDENCE = Evidence(
    kind="detection",
    command="mri-guard evaluate detection",
    bundle_digest="0" * 64,
    manifest_digest="1" * 64,
    code_version=code_version(),
    seed=0,
    machine=machine(),
    metrics={"pixel_ap": METRIC},
)


def test_comes_back_from_its_file(tmp_path: Path) -> None:
    EVIDENCE.save(tmp_path / "evidence.json")
    assert Evidence.load(tmp_path / "evidence.json") == EVIDENCE


def test_refuses_a_figure_that_is_no_number() -> None:
    with pytest.raises(ValidationError):
        Metric(**{**METRIC.model_dump(), "value": float("nan")})


def test_names_no_host() -> None:
    assert platform.node() not in machine()


def share(hits: list[bool], patient: list[int]) -> Metric | None:
    counts = patient_counts(max(patient) + 1, generator(0, "share"), 400)
    every = np.ones(len(hits), dtype=np.bool_)
    return share_of(
        np.array(hits), every, np.array(patient), counts, unit="slices", definition="a share"
    )


def test_share_of_one_item_a_patient_has_the_exact_interval() -> None:
    found = share([True, False, False, True, False], [0, 1, 2, 3, 4])
    assert found is not None
    assert (found.value, found.n) == (0.4, 5)
    assert (found.low, found.high) == clopper_pearson(2, 5)


@pytest.mark.parametrize("hit", [True, False])
def test_share_that_no_resample_doubts_is_doubted_as_so_many_patients_allow(hit: bool) -> None:
    found = share([hit] * 30, [0, 1, 2] * 10)
    assert found is not None
    assert (found.value, found.n) == (float(hit), 30)
    assert (found.low, found.high) == clopper_pearson(3 * hit, 3)


def test_share_of_several_items_a_patient_is_resampled_by_patient() -> None:
    patient = [one // 5 for one in range(30)]
    apart = share([True] * 15 + [False] * 15, patient)
    mixed = share([True, False] * 15, patient)
    assert apart is not None
    assert mixed is not None
    assert apart.value == mixed.value == 0.5
    assert apart.high - apart.low > 2 * (mixed.high - mixed.low)


def test_share_of_nothing_does_not_exist() -> None:
    none = np.zeros(3, dtype=np.bool_)
    counts = np.ones((5, 3), dtype=np.int64)
    assert share_of(none, none, np.arange(3), counts, unit="slices", definition="x") is None


def auroc(scores: list[float], truth: list[bool], patient: list[int]) -> Metric | None:
    """Of slices at one height."""
    slices = Slices(
        np.array(scores), np.array(truth), np.zeros(len(truth)), np.array(patient), patient[-1] + 1
    )
    counts = patient_counts(slices.patients, generator(0, "auroc"), 400)
    return resampled(slices.auroc, counts, slices.patients, "patients", "AUROC")


def test_a_figure_that_hangs_on_few_patients_could_be_anything() -> None:
    """Six patients, of whom one has all the lesions."""
    found = auroc([1, 3, 0, 1, 2, 4, 0], [True, True, *[False] * 5], [0, 0, 1, 2, 3, 4, 5])
    assert found is not None
    assert (found.low, found.value, found.high) == (0.0, 0.65, 1.0)
    assert found.definition == "AUROC; hangs on fewer than 5 patients, it could be anything"


def test_a_figure_of_many_patients_has_the_interval_of_its_resamples() -> None:
    scores = [float(one % 7) + one % 2 for one in range(20)]
    found = auroc(scores, [one % 2 == 1 for one in range(20)], list(range(20)))
    assert found is not None
    assert 0 < found.low < found.value < found.high < 1
    assert found.definition == "AUROC"


@pytest.mark.parametrize("patients", [2, 12])
def test_an_auroc_that_no_resample_doubts_is_doubted_as_so_many_patients_allow(
    patients: int,
) -> None:
    truth = [one % 2 == 0 for one in range(2 * patients)]
    patient = [one // 2 for one in range(2 * patients)]
    found = auroc([float(one) for one in truth], truth, patient)
    assert found is not None
    assert (found.low, found.high) == clopper_pearson(patients, patients)


def test_without_ends_few_patients_keep_their_interval_and_say_how_little_it_says() -> None:
    nats = Means(np.array([1.0, 3.0]), np.arange(2), 2)
    counts = patient_counts(2, generator(0, "nats"), 400)
    found = resampled(nats.mean, counts, 2, "patients", "nats", within=None)
    assert found is not None
    assert (found.low, found.value, found.high) == (1.0, 2.0, 3.0)
    assert found.definition == "nats; hangs on fewer than 5 patients, the interval says little"


def test_a_difference_that_nobody_shows_may_be_shown_by_others() -> None:
    of = Means(np.arange(8.0), np.arange(8), 8)
    counts = patient_counts(8, generator(0, "pairs"), 400)
    drawn = Drawn.of(of.mean, counts)
    same = bootstrapped(drawn - drawn, 8, "patients", "less itself", within=SIGNED)
    assert same is not None
    others = clopper_pearson(0, 8)[1]
    assert (same.low, same.value, same.high) == (-others, 0, others)
    more = replace(drawn, value=drawn.value + 1, draws=drawn.draws + 1)
    paired = bootstrapped(more - drawn, 8, "patients", "one more", within=SIGNED)
    assert paired is not None
    assert (paired.low, paired.value, paired.high) == (1, 1, 1)


def test_share_of_few_patients_with_many_items_could_be_anything() -> None:
    found = share([True] * 9 + [False] * 11, [0] * 10 + [1] * 10)
    assert found is not None
    assert (found.low, found.value, found.high) == (0.0, 0.45, 1.0)


def test_an_interval_never_leaves_its_value_out() -> None:
    draws = np.linspace(0.2, 0.4, 100)
    found = bootstrapped(Drawn(0.5, np.full(9, 0.45), draws), 9, "patients", "biased")
    assert found is not None
    assert found.low < 0.21
    assert found.high == found.value == 0.5
