import platform
from pathlib import Path

import pytest
from pydantic import ValidationError

from mri_guard.evaluation.evidence import Evidence, Metric, code_version, machine

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
