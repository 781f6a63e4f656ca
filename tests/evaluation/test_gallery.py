import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.gallery import CHOICES, INDEX, ROWS, Gallery, sheet, write_gallery
from mri_guard.metrics.ranking import average_precision
from mri_guard.records import Anomaly, Preprocessed

SIDE, SLICES = 24, 6
LESION = 3
"""The slice that has one."""

EVIDENCE = Evidence(
    kind="detection",
    command="mri-guard evaluate detection --bundle <here> & there",
    bundle_digest="ab" * 32,
    manifest_digest="cd" * 32,
    code_version="0.1.0+test",
    seed=0,
    machine="",
    metrics={},
)


def scan(
    pixels: int, found: float, rng: np.random.Generator
) -> tuple[Preprocessed, NDArray[np.bool_], Anomaly]:
    """A noisy map over a brain with one lesion of so many pixels, marked by `found` standard
    deviations.
    """
    shape = (SIDE, SIDE, SLICES)
    brain = np.ones(shape, dtype=bool)
    lesion = np.zeros(shape, dtype=bool)
    lesion[..., LESION].flat[:pixels] = True
    image = rng.random(shape).astype(np.float32)
    unusual = (rng.random(shape) + found * lesion).astype(np.float32)
    preprocessed = Preprocessed(image, brain, brain.copy(), np.eye(4), 0.0, 1.0)
    anomaly = Anomaly(unusual, unusual, image * 0.5, rng.random(SLICES), 1.0)
    return preprocessed, lesion, anomaly


def gallery(cases: list[tuple[int, float]], seed: int = 0) -> Gallery:
    """Of patients with lesions of so many pixels, marked so clearly."""
    scans = [scan(*case, np.random.default_rng(index)) for index, case in enumerate(cases)]
    collected = Gallery.of((lesion for _, lesion, _ in scans), np.random.default_rng(seed))
    for patient, (preprocessed, lesion, anomaly) in enumerate(scans):
        collected.add(patient, preprocessed, lesion, anomaly)
    return collected


def patients(collected: Gallery, choice: str) -> list[int]:
    return [shown.patient for shown in collected.picks()[choice]]


def test_picks_the_best_and_the_worst_by_precision_inside_the_slice() -> None:
    found = [0.1, 0.9, 0.3, 0.7, -0.5, 0.5, -0.2, 0.95, 0.05]
    collected = gallery([(60, clear) for clear in found])
    best_first = np.argsort(found)[::-1].tolist()
    assert patients(collected, "best") == best_first[:ROWS]
    assert patients(collected, "worst") == best_first[::-1][:ROWS]


def test_picks_by_size() -> None:
    sizes = [5, 200, 40, 110, 10, 150, 60, 20, 80]  # median 60
    collected = gallery([(pixels, 0.5) for pixels in sizes])
    shown = {choice: [sizes[p] for p in patients(collected, choice)] for choice in CHOICES}
    assert shown["smallest"] == [5, 10, 20, 40]
    assert shown["largest"] == [200, 150, 110, 80]
    assert shown["middle"][0] == 60
    assert sorted(shown["middle"]) == [20, 40, 60, 80]


def test_picks_the_highest_alarms_and_never_beside_a_lesion() -> None:
    collected = gallery([(60, 0.5)] * 6)
    alarms = collected.picks()["alarm"]
    assert {shown.z for shown in alarms} <= {0, 1, 5}
    highest = []
    for patient in range(6):
        _, _, anomaly = scan(60, 0.5, np.random.default_rng(patient))
        highest.append(max(anomaly.slice_scores[[0, 1, 5]]))
    assert [shown.score for shown in alarms] == sorted(highest, reverse=True)[:ROWS]
    assert all(shown.lesion_pixels == 0 for shown in alarms)


@given(
    cases=st.lists(st.tuples(st.integers(0, 300), st.floats(-1, 1)), min_size=1, max_size=9).filter(
        lambda cases: any(pixels for pixels, _ in cases)
    ),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=20)
def test_keeps_the_extremes_of_all_slices_and_repeats_no_patient(
    cases: list[tuple[int, float]], seed: int
) -> None:
    collected = gallery(cases, seed)
    picked = collected.picks()
    precision, sizes = [], []
    for index, case in enumerate(cases):
        _, lesion, anomaly = scan(*case, np.random.default_rng(index))
        if case[0]:
            truth, scores = lesion[..., LESION].ravel(), anomaly.map[..., LESION].ravel()
            precision.append(average_precision(truth, scores.astype(np.float64)))
            sizes.append(case[0])
    assert picked["best"][0].precision == pytest.approx(max(precision))
    assert picked["worst"][0].precision == pytest.approx(min(precision))
    assert picked["smallest"][0].lesion_pixels == min(sizes)
    assert picked["largest"][0].lesion_pixels == max(sizes)
    for shown in picked.values():
        assert len({one.patient for one in shown}) == len(shown) <= ROWS
        assert len(shown) == min(ROWS, len(sizes)) or shown[0].lesion_pixels == 0


def test_draws_the_same_for_the_same_seed_and_others_for_another() -> None:
    cases = [(60, 0.5)] * 20
    drawn = [tuple(patients(gallery(cases, seed), "random")) for seed in (0, 0, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 4


def test_gives_a_lesion_that_the_brain_mask_misses_no_marks() -> None:
    preprocessed, lesion, anomaly = scan(60, 1.0, np.random.default_rng(0))
    brain = preprocessed.brain.copy()
    brain[..., LESION] = False
    missed = Preprocessed(preprocessed.image, brain, brain.copy(), np.eye(4), 0.0, 1.0)
    collected = Gallery.of([lesion], np.random.default_rng(0))
    collected.add(0, missed, lesion, anomaly)
    assert collected.picks()["best"][0].precision == 0


def test_shows_the_patients_right_on_the_left_in_every_panel() -> None:
    x, y = 20, 4  # right, back
    image = np.zeros((SIDE, SIDE, 1), dtype=np.float32)
    image[x, y] = 1
    brain = np.ones(image.shape, dtype=bool)
    preprocessed = Preprocessed(image, brain, brain.copy(), np.eye(4), 0.0, 1.0)
    anomaly = Anomaly(8 * image, 8 * image, image.copy(), np.ones(1), 1.0)
    collected = Gallery.of([image > 0], np.random.default_rng(0))
    collected.add(0, preprocessed, image > 0, anomaly)
    drawn = np.asarray(sheet(collected.picks()["best"])).astype(int)
    panel = drawn.shape[1] // 4
    assert panel >= 256
    rows = drawn[44 : 44 + panel]
    seen = {
        "scan": rows[:, :panel].min(axis=2) > 150,
        "expected": rows[:, panel : 2 * panel].min(axis=2) > 150,
        "map": np.ptp(rows[:, 2 * panel : 3 * panel], axis=2) > 100,
        "truth": np.ptp(rows[:, 3 * panel :], axis=2) > 100,
    }
    for name, found in seen.items():
        row, column = (float(index.mean()) / panel for index in np.nonzero(found))
        assert row == pytest.approx((SIDE - y - 0.5) / SIDE, abs=0.03), name
        assert column == pytest.approx((SIDE - x - 0.5) / SIDE, abs=0.03), name


class Addresses(HTMLParser):
    """Everything that a page could ask a browser to fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.asked += [value or "" for name, value in attrs if name in {"src", "href", "srcset"}]
        assert not any(name.startswith("on") for name, _ in attrs)


def test_writes_a_page_that_asks_for_nothing_and_pictures_that_say_nothing(
    tmp_path: Path,
) -> None:
    collected = gallery([(20 + 10 * patient, 0.5) for patient in range(6)])
    written = write_gallery(collected, EVIDENCE, tmp_path)
    assert {path.name for path in written} == {INDEX, *(f"{choice}.png" for choice in CHOICES)}
    page = (tmp_path / INDEX).read_text(encoding="utf-8")
    addresses = Addresses()
    addresses.feed(page)
    embedded = [base64.b64decode(source.split(",", 1)[1]) for source in addresses.asked]
    assert [path.read_bytes() for path in written[:-1]] == embedded
    assert all(source.startswith("data:image/png;base64,") for source in addresses.asked)
    assert not addresses.tags & {"script", "link", "iframe", "object", "base"}
    assert "default-src 'none'" in page
    for path in written[:-1]:
        with Image.open(path) as picture:
            assert not picture.info


def test_tells_what_is_known_of_each_slice_and_how_to_make_it_again(tmp_path: Path) -> None:
    collected = gallery([(60, 0.5), (30, 0.2)])
    write_gallery(collected, EVIDENCE, tmp_path)
    page = (tmp_path / INDEX).read_text(encoding="utf-8")
    assert EVIDENCE.bundle_digest in page
    assert "--bundle &lt;here&gt; &amp; there" in page
    assert "right is on the left" in page
    largest = re.search(r"<h2>largest</h2>.*?</section>", page, re.S)
    assert largest is not None
    first, second = collected.picks()["largest"]
    assert f"patient 0, slice 3 of 6, 60 lesion pixels, AP {first.precision:.3f}" in largest[0]
    assert f"slice score {second.score:.2f}" in largest[0]
