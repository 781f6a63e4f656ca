import platform
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from mri_guard.determinism import generator
from mri_guard.evaluation.evidence import Evidence, Metric, code_version, machine, share_of
from mri_guard.metrics.bootstrap import patient_counts
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
    apart = share([True] * 10 + [False] * 10, [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5)
    mixed = share([True, False] * 10, [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5)
    assert apart is not None
    assert mixed is not None
    assert apart.value == mixed.value == 0.5
    assert apart.high - apart.low > 2 * (mixed.high - mixed.low)


def test_share_of_nothing_does_not_exist() -> None:
    none = np.zeros(3, dtype=np.bool_)
    counts = np.ones((5, 3), dtype=np.int64)
    assert share_of(none, none, np.arange(3), counts, unit="slices", definition="x") is None
