"""Requirements and the figures that are evidence for them."""

import json
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from mri_guard.reports.sections import SECTIONS
from mri_guard.reports.traceability import Requirement, requirements, titles, trace
from tests.reports.toys import RISKS

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence"
PARTS = {"intended-use", "data", "provenance", "card", "figures", "materials", "signature"}
ANNOUNCED = {"", "ablation", "monitoring", "drift"}
"""Kinds without a section of their own."""


def test_covers_the_articles_and_the_guidance() -> None:
    assert list(titles()) == ["EU AI Act", "FDA draft 2025", "NIST AI 100-2"]
    places = [one.place for one in requirements() if one.source == "EU AI Act"]
    for article in range(9, 16):
        assert any(place.startswith(f"Art. {article}") for place in places), article


def test_claims_nothing() -> None:
    text = json.dumps([one.model_dump() for one in requirements()]).lower()
    assert "complian" not in text
    assert "fulfil" not in text


def test_names_parts_and_kinds_that_there_are() -> None:
    kinds = {section.kind for section in SECTIONS} | ANNOUNCED
    for one in requirements():
        assert set(one.parts) <= PARTS
        assert {pattern.partition(":")[0].rstrip("*") for pattern in one.figures} <= kinds
        assert all(":" in pattern for pattern in one.figures)


def test_places_are_named_once() -> None:
    places = [(one.source, one.place) for one in requirements()]
    assert len(places) == len(set(places))


def test_finds_what_fits_and_says_so_where_nothing_does() -> None:
    wanted = [
        Requirement(source="a", place="1", asks="x", figures=("robustness:robust_*",)),
        Requirement(source="a", place="2", asks="y", figures=("*:*poison*",)),
        Requirement(source="a", place="3", asks="z"),
    ]
    figures = {
        "one": ("robustness", ("robust_auroc", "clean_auroc")),
        "two": ("detection", ("robust_auroc",)),
    }
    first, second, third = trace(wanted, figures)
    assert first.figures == {"one": ("robust_auroc",)}
    assert first.count == 1
    assert second.figures == third.figures == {}


def test_risks_of_a_generative_model_are_traced() -> None:
    figures = {"risky": ("risks", tuple(RISKS))}
    traced = {one.requirement.place: one.figures for one in trace(requirements(), figures)}
    assert traced["Art. 9(2)(a)-(b)"] == {"risky": tuple(RISKS)}
    assert traced["2.4.1 data reconstruction"] == {"risky": ("memorisation_pull",)}
    assert traced["2.4.2 membership inference"] == {"risky": ("membership_inference_auroc_score",)}
    leaks = ("memorisation_pull", "membership_inference_auroc_score")
    assert traced["Art. 15(5), confidentiality"] == {"risky": leaks}
    assert traced["Art. 14(4)(c)"] == {"risky": ("map_rank_correlation_all_weights_anew",)}
    assert traced["Model description and development"] == {"risky": ("lesion_contrast_kept",)}


@pytest.mark.parametrize("kind", ["detection", "robustness", "calibration", "sanitization"])
def test_patterns_of_a_kind_fit_figures_that_are_shipped(kind: str) -> None:
    known = {
        f"{kind}:{name}"
        for path in EVIDENCE.glob(f"{kind}_*.json")
        for name in json.loads(path.read_text())["metrics"]
    }
    patterns = [p for one in requirements() for p in one.figures if p.startswith(f"{kind}:")]
    assert patterns
    fit = [p for p in patterns if any(fnmatchcase(name, p) for name in known)]
    assert len(fit) >= len(patterns) / 2
