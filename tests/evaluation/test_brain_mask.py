import csv
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import bundles
from mri_guard import bundle
from mri_guard.evaluation import brain_mask
from mri_guard.evaluation.brain_mask import (
    FOLDERS,
    brain_on_scan,
    dice,
    evaluate_brain_mask,
    mean_of,
    scans_with_reference,
    table,
)
from mri_guard.preprocess import Preprocess


def _all(
    image: NDArray[np.float32], head: NDArray[np.bool_], spacing_mm: float
) -> NDArray[np.bool_]:
    return head


def test_counts_twice_the_overlap() -> None:
    one, other = np.array([1, 1, 1, 0], bool), np.array([0, 1, 1, 1], bool)
    assert dice(one, other) == pytest.approx(4 / 6)
    assert dice(one, one) == 1
    assert dice(one, ~one) == 0
    assert dice(one & ~one, one & ~one) == 1


def test_brackets_the_mean_over_people() -> None:
    values = [0.9, 0.92, 0.94, 0.96]
    mean = mean_of("dice_people", values, seed=0)
    assert mean.value == pytest.approx(0.93)
    assert 0.9 <= mean.low < mean.value < mean.high <= 0.96
    assert (mean.n, mean.unit) == (4, "people")
    assert mean == mean_of("dice_people", values, seed=0)


def test_names_the_worst_of_all_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half, whole = np.array([1, 1, 0, 0], bool), np.ones(4, bool)
    people = [(None, {"people": whole}), (None, {"people": half})]
    monkeypatch.setattr(brain_mask, "scans_with_reference", lambda _: people)
    monkeypatch.setattr(brain_mask, "_lesions", lambda _: [(None, whole), (None, ~half)])
    monkeypatch.setattr(brain_mask, "brain_on_scan", lambda *_: half)
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.csv").write_text("scan\n")
    evidence = evaluate_brain_mask(tmp_path, Preprocess(_all), command="", bundle_digest="b")
    assert evidence.metrics["dice_people"].value == pytest.approx((2 / 3 + 1) / 2)
    assert evidence.metrics["lesion_kept_lgg_flair"].value == pytest.approx(0.25)
    worst = {row["figure"]: row["value"] for row in evidence.tables["worst"]}
    assert worst == {"dice_people": pytest.approx(2 / 3), "lesion_kept_lgg_flair": 0}
    assert "inside the brain mask" in evidence.metrics["lesion_kept_lgg_flair"].definition
    assert list(table(evidence).columns[-1].cells) == ["0.667", "0.000"]


def test_finds_the_brain_of_an_elderly_person(shared_data: Path) -> None:
    preprocess = Preprocess(bundle.brain_mask(bundles.DEFAULT))
    (scan, references), *_ = islice(scans_with_reference(shared_data), 1)
    (reference,) = references.values()
    assert dice(brain_on_scan(scan, preprocess), reference) > 0.85


def test_is_evidence_of_every_group(shared_data: Path, tmp_path: Path) -> None:
    for name in FOLDERS:  # of each the first scan that has a reference
        with (shared_data / name / "manifest.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        first = next(row for row in rows if row.get("brain_mask", "-"))
        (tmp_path / name).mkdir()
        for folder in ("scans", "masks"):
            (tmp_path / name / folder).symlink_to(shared_data / name / folder)
        with (tmp_path / name / "manifest.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerow(first)
    preprocess = Preprocess(bundle.brain_mask(bundles.DEFAULT))
    evidence = evaluate_brain_mask(tmp_path, preprocess, command="", bundle_digest="b")
    assert {name: metric.n for name, metric in evidence.metrics.items()} == {
        "dice_elderly_flair": 1,
        "dice_elderly_t1": 1,
        "dice_slabs_t1_with_csf": 1,
        "dice_slabs_t1_without_csf": 1,
        "lesion_kept_lgg_flair": 1,
    }
    assert all(metric.value > 0.8 for metric in evidence.metrics.values())
    assert len(table(evidence).rows) == 5
