"""Restorations that keep a lesion, half of it, or none."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mri_guard.anomaly import VaeConfig
from mri_guard.determinism import generator
from mri_guard.evaluation.risks.copying import (
    FAMILIES,
    Section,
    by_size,
    copying,
    planted_sections,
    real_sections,
)
from mri_guard.evaluation.risks.scene import Examined
from mri_guard.metrics.bootstrap import patient_counts
from mri_guard.training.data import Subject, subject_of
from tests.evaluation.risks.toys import case, restored_by
from tests.toys import TINY, TINY_VOLUME


def keeping(share: float, number: int = 0) -> Examined:
    """A scan whose restoration keeps that share of what its lesion added to a healthy brain."""
    healthy = subject_of(case(number).preprocessed, None, TINY)

    def restore(subject: Subject) -> NDArray[np.float32]:
        # The lesion moves the median of the brain, that both are measured by, a little.
        gain = np.median(subject.image[subject.brain] / healthy.image[subject.brain])
        before = gain * healthy.image
        return np.asarray(before + share * (subject.image - before), dtype=np.float32)

    return restored_by(restore, case(number, lesioned=True))


def kept(scan: Examined) -> list[float]:
    return [one.kept for one in real_sections(scan)]


def test_share_runs_from_what_was_there_before_to_a_copy() -> None:
    nothing, half, all_ = (np.array(kept(keeping(share))) for share in (0.0, 0.5, 1.0))
    assert all_ == pytest.approx(np.ones_like(all_))
    assert half == pytest.approx((nothing + all_) / 2, abs=0.05)
    assert np.median(nothing) < 0.35  # folds of the toy are under its lesion too


def test_each_slice_of_a_lesion_is_a_section_of_its_own() -> None:
    scan = keeping(0.5)
    found = list(real_sections(scan))
    sizes = scan.lesion.sum((1, 2))
    assert sorted(one.px for one in found) == sorted(sizes[sizes > 0])


def test_what_is_too_small_or_too_faint_has_no_share() -> None:
    scan = restored_by(lambda subject: subject.image, case(0, lesioned=True))
    scan.lesion[:] = False
    scan.lesion[5, 10:12, 10:11] = True
    (found,) = real_sections(scan)
    assert found.px == 2
    assert np.isnan(found.kept)


class Share(nn.Module):
    """Restores a share of what it sees, and so keeps as much of any lesion."""

    def __init__(self, share: float, config: VaeConfig = TINY) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(share), requires_grad=False)
        self.config = config

    def forward(self, window: Tensor, _: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        if self.config.model.dimensions == 3:
            return self.share * window, []
        middle = window.shape[1] // 2
        return self.share * window[:, middle : middle + 1], []


@pytest.mark.parametrize("config", [TINY, TINY_VOLUME], ids=["2-D", "3-D"])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_planted_share_is_exact(share: float, config: VaeConfig) -> None:
    scan = restored_by(lambda subject: subject.image, case(1), config)
    found = [
        section
        for changes in FAMILIES.values()
        for section in planted_sections(
            Share(share, config), scan, changes, generator(0, "planted")
        )
    ]
    shares = [one.kept for one in found if np.isfinite(one.kept)]
    assert len(shares) >= 5
    assert shares == pytest.approx([share] * len(shares), abs=1e-5)


def test_sizes_part_all_sections_once() -> None:
    found = [Section(0, px, 0.5) for px in (1, 50, 51, 200, 201, 5000)]
    sizes = by_size(found)
    assert [len(those) for those in sizes.values()] == [6, 2, 2, 2]
    assert list(sizes) == ["", "_up_to_50_px", "_51_to_200_px", "_over_200_px"]


def test_tells_medians_by_size_and_none_of_too_few_patients() -> None:
    scans = [keeping(0.5, number) for number in range(5)]
    counts = patient_counts(5, generator(0, "copying"), 100)
    metrics, rows = copying(Share(0.25), scans, counts, 0)
    whole = metrics["lesion_contrast_kept"]
    assert whole.value == np.median([share for scan in scans for share in kept(scan)])
    assert whole.low <= whole.value <= whole.high
    assert whole.unit == "sections"
    assert "lesion_contrast_kept_over_200_px" not in metrics  # none is as large
    assert metrics["planted_held_out_lesion_contrast_kept"].value == pytest.approx(0.25, abs=1e-5)
    assert len(rows) == 12
    large = next(row for row in rows if row["cross_section"] == "over 200 px")
    assert large["sections"] == 0
    assert large["kept"] is None
    fewer, _ = copying(Share(0.25), scans[:4], counts[:, :4], 0)
    assert not fewer


def test_plants_nothing_where_there_is_no_free_slice() -> None:
    scan = restored_by(lambda subject: subject.image, case(0))
    taken = np.ones_like(case(0).lesion)
    full = restored_by(
        lambda subject: subject.image,
        type(case(0))(0, "p0", scan.preprocessed, taken),
    )
    assert len(full.subject.centres) == 0
    assert not list(planted_sections(Share(1.0), full, FAMILIES["trained"], generator(0, "x")))
