"""Plots, by what they draw of points whose place is known."""

import xml.etree.ElementTree as ET

import pytest

from mri_guard.reports.plots import PLOTS, plots
from mri_guard.reports.plots.picture import Axes, Line, ticks
from tests.reports.toys import BY_SEX, evidence, file, files, metric


@pytest.mark.parametrize("section", PLOTS)
def test_draws_well_formed_svg_and_says_where_it_is_from(section: str) -> None:
    pictures = plots(section, files())
    assert pictures
    for picture in pictures:
        ET.fromstring(picture.svg)
        assert "From: " in picture.caption or "Stated" in picture.caption
        assert "nan" not in picture.svg.lower()


@pytest.mark.parametrize("section", PLOTS)
def test_draws_nothing_of_nothing(section: str) -> None:
    assert plots(section, [file("bare", evidence("x"))]) == []


def test_axes_put_corners_into_corners() -> None:
    axes = Axes((0, 2), (-1, 1), "x", "y", ticks(0, 2), ticks(-1, 1))
    left, bottom = axes.at(0, -1)
    right, top = axes.at(2, 1)
    assert left < right <= axes.width
    assert top < bottom <= axes.height
    assert axes.at(1, 0) == ((left + right) / 2, (bottom + top) / 2)


def test_lines_differ_in_more_than_colour() -> None:
    axes = Axes((0, 1), (0, 1), "x", "y", ticks(0, 1), ticks(0, 1))
    drawn = axes.draw([Line(name, [(0, 0), (1, 1)]) for name in ("a", "b")])
    root = ET.fromstring(drawn)
    dashes = {
        one.get("stroke-dasharray")
        for one in root.iter("{http://www.w3.org/2000/svg}path")
        if one.get("stroke-width") == "1.4"
    }
    assert len(dashes) == 2


def test_epsilon_takes_the_lowest_of_several_files() -> None:
    def robust(name: str, at_four: float) -> object:
        metrics = {
            f"robust_auroc_{goal}_{epsilon}_255": metric(value, 0, 1)
            for goal in ("evade", "alarm", "both")
            for epsilon, value in ((0, 0.9), (4, at_four))
        }
        return file(name, evidence("robustness", metrics))

    def drawn(*of: object) -> str:
        return plots("robustness", of)[0].svg  # type: ignore[arg-type]

    strong, weak = robust("strong", 0.3), robust("weak", 0.8)
    assert drawn(strong, weak) == drawn(weak, strong) == drawn(strong, strong)
    assert drawn(strong) != drawn(weak)


def test_forest_draws_the_least_and_the_largest_budget() -> None:
    rows = [{**row, "of_255": budget} for budget in (0.0, 4.0, 8.0) for row in BY_SEX]
    clean, most = plots("robustness", [file("r", evidence("robustness", tables={"t": rows}))])
    assert "255" not in clean.caption
    assert "at 8/255" in most.caption
    assert clean.svg.count("<circle") == most.svg.count("<circle") == len(BY_SEX)


def test_forest_keeps_scans_and_slices_apart() -> None:
    rows = [{**row, "unit": unit} for unit in ("scans", "slices") for row in BY_SEX]
    pictures = plots("fairness", [file("f", evidence("fairness", tables={"t": rows}))])
    assert ["of scans" in picture.caption for picture in pictures] == [True, False]
