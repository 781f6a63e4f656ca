from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import bundles
from mri_guard import bundle
from mri_guard.evaluation.brain_mask import (
    brain_on_scan,
    dice,
    scans_with_reference,
    summarise,
)
from mri_guard.preprocess import Preprocess


def test_counts_twice_the_overlap() -> None:
    one, other = np.array([1, 1, 1, 0], bool), np.array([0, 1, 1, 1], bool)
    assert dice(one, other) == pytest.approx(4 / 6)
    assert dice(one, one) == 1
    assert dice(one, ~one) == 0
    assert dice(one & ~one, one & ~one) == 1


def test_brackets_the_mean_and_names_the_worst() -> None:
    summary = summarise("people", [0.9, 0.92, 0.94, 0.96], seed=0)
    assert summary.mean == pytest.approx(0.93)
    assert 0.9 <= summary.low < summary.mean < summary.high <= 0.96
    assert (summary.worst, summary.n) == (0.9, 4)
    assert summary == summarise("people", [0.9, 0.92, 0.94, 0.96], seed=0)


def test_finds_the_brain_of_an_elderly_person(shared_data: Path) -> None:
    preprocess = Preprocess(bundle.brain_mask(bundles.DEFAULT))
    (scan, references), *_ = islice(scans_with_reference(shared_data), 1)
    (reference,) = references.values()
    assert dice(brain_on_scan(scan, preprocess), reference) > 0.85
