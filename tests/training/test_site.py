from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import bundles
from mri_guard import bundle
from mri_guard.bundle import Calibration
from mri_guard.calibration import (
    Budget,
    LabelledScores,
    Rate,
    ScoreCalibrator,
    Workload,
    exact_threshold,
    rank,
    workload_threshold,
)
from mri_guard.calibration.second_look import SecondLookConfig, SecondLookScores
from mri_guard.determinism import generator
from mri_guard.errors import NotCalibratedError, SettingsError
from mri_guard.readers.manifest import read_manifest
from mri_guard.training import bundle as training_bundle
from mri_guard.training.card import with_site
from mri_guard.training.site import (
    Seen,
    SiteReport,
    one_a_person,
    report,
    scores_of,
    seen_by,
    site_calibration,
)
from tests.evaluation.test_calibration import _manifest, _Nifti, _score
from tests.test_bundle import _write
from tests.test_journey import KIT

SITE = generator(0, "site").normal(50, 10, size=90).tolist()
ILL = generator(0, "site, abnormal").normal(90, 10, size=20).tolist()


def _seen(
    healthy: Sequence[float] = SITE,
    abnormal: Sequence[float] = (),
    *,
    unscored: int = 0,
    held: int = 0,
) -> list[Seen]:
    """The first `held` healthy scans were held as perturbed; `unscored` never reached the model."""
    held_for = ("perturbation-suspected", "detector-fragility")
    return [
        *(
            Seen("healthy", "here", (score, 2 * score), held_for if i < held else ("unusual",))
            for i, score in enumerate(healthy)
        ),
        *(Seen("healthy", "here", None, ("head-small",)) for _ in range(unscored)),
        *(Seen("abnormal", "here", (score, 2 * score), ("unusual",)) for score in abnormal),
    ]


def _rows(folder: Path, healthy: int, abnormal: int = 0) -> Path:
    """A manifest of so many people; every scan is the same empty file, which nobody opens."""
    (folder / "scan.nii").touch()
    labels = ["healthy"] * healthy + ["abnormal"] * abnormal
    lines = [f"scan.nii,,{i},{label},calibration" for i, label in enumerate(labels)]
    path = folder / "site.csv"
    path.write_text("\n".join(["scan,mask,subject,label,split", *lines]) + "\n")
    return path


Calibrate = Callable[..., tuple[Path, Path, SiteReport]]


@pytest.fixture
def calibrate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calibrate:
    """Makes a bundle of another one out of what was seen: both folders and the report."""

    def made(
        seen: list[Seen],
        *,
        budget: Budget | None = None,
        probability: bool = False,
        **before: Any,
    ) -> tuple[Path, Path, SiteReport]:
        folder, out = tmp_path / "before", tmp_path / "after"
        _write(folder, **before)
        monkeypatch.setattr(training_bundle, "seen_by", lambda *_: tuple(seen))
        _, found = training_bundle.with_site_calibration(
            folder,
            [_rows(tmp_path, 90, 20)],
            out,
            splits=["calibration"],
            budget=budget,
            delta=None,
            probability=probability,
            drop_second_look=False,
            version=None,
            work=tmp_path,
            console=Console(stderr=True),
        )
        return folder, out, found

    return made


def test_bundle_has_the_sites_thresholds_and_is_else_the_same(calibrate: Calibrate) -> None:
    folder, out, found = calibrate(_seen())
    before, after = bundle.contents(folder), bundle.contents(out)
    assert after[0].version == "1+site"
    assert after[0].policy == before[0].policy
    assert all(torch.equal(after[1][key], before[1][key]) for key in before[1])
    changed = {
        "healthy_scores": {"here": tuple(SITE)},
        "highest_slices": {"here": tuple(2 * score for score in SITE)},
    }
    assert after[2] == before[2].model_copy(update=changed)
    with bundle.load(out) as kit:
        threshold = exact_threshold(SITE, 0.05, 0.05)
        assert found.threshold == kit.calibrate(0.0).threshold == threshold
        assert kit.calibrate(0.0).slice_threshold == 2 * threshold
        assert kit.calibrate(0.0).probability is None
    assert f"Threshold {threshold:.4f}" in after[3]
    assert "here n = 90" in after[3]


def test_a_daily_budget_stands_in_the_bundle_and_in_its_guarantee(calibrate: Calibrate) -> None:
    day = Workload(at_most=4, per_day=30)
    _, out, found = calibrate(_seen(), budget=day)
    policy = bundle.calibration(out)[1]
    assert policy.workload == day
    assert rank(90, policy.alpha, policy.delta) == found.rank == day.rank(90, 0.05)
    with bundle.load(out) as kit:
        told = kit.calibrate(0.0)
        assert told.threshold == workload_threshold(SITE, 4, 30, 0.05)
        assert "and at most 4 false flags among 30 healthy scans a day" in told.guarantee


def test_a_bundle_whose_threshold_breaks_its_workload_is_not_loaded(calibrate: Calibrate) -> None:
    _, out, _ = calibrate(_seen(), budget=Workload(at_most=4, per_day=30))
    config, tensors, calibration, card = bundle.contents(out)
    loose = config.policy.model_copy(update={"alpha": 0.3})
    bundle.write(out, config.model_copy(update={"policy": loose}), tensors, calibration, card)
    with pytest.raises(NotCalibratedError, match="and not at most 4 false flags"):
        bundle.load(out)


def test_abnormal_scans_may_give_a_probability(calibrate: Calibrate) -> None:
    _, out, found = calibrate(_seen(abnormal=ILL), probability=True)
    labelled = bundle.calibration(out)[0].labelled
    assert labelled == LabelledScores(healthy=tuple(SITE), abnormal=tuple(ILL))
    with bundle.load(out) as kit:
        low, high = (kit.calibrate(score).probability for score in (30.0, 110.0))
        assert low is not None
        assert high is not None
        assert low.value < 0.1
        assert high.value > 0.9
    assert "A probability of abnormality" in (out / bundle.CARD).read_text()
    assert found.found is not None
    assert found.found.n == 20


def test_gives_no_probability_without_abnormal_scans(calibrate: Calibrate) -> None:
    with pytest.raises(NotCalibratedError, match="90 healthy and 0 abnormal scores"):
        calibrate(_seen(), probability=True)


def test_a_second_look_of_other_scans_is_not_kept_and_not_dropped_unasked(
    calibrate: Calibrate,
) -> None:
    scores = {"phantom": tuple(float(i) for i in range(100))}
    look = SecondLookScores(config=SecondLookConfig(), attacked=scores, smoothed=scores)
    with pytest.raises(SettingsError, match="--drop-second-look"):
        calibrate(_seen(), second_look=look)
    before = Calibration(healthy_scores=scores, detectors={}, second_look=look)
    assert site_calibration(before, _seen(), probability=False).second_look is None


def test_refuses_too_few_people_before_it_screens_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "before")
    monkeypatch.setattr(training_bundle, "seen_by", None)
    with pytest.raises(NotCalibratedError, match="58 healthy scores; wanted at least 59"):
        training_bundle.with_site_calibration(
            tmp_path / "before",
            [_rows(tmp_path, 58, 10)],
            tmp_path / "after",
            splits=["calibration"],
            budget=None,
            delta=None,
            probability=False,
            drop_second_look=False,
            version=None,
            work=tmp_path,
            console=Console(stderr=True),
        )


def _report(seen: list[Seen], own: Sequence[float], **labelled: Any) -> SiteReport:
    before = Calibration(healthy_scores={"b": tuple(own)}, detectors={}, **labelled)
    return report(before, 60.0, 0.01, seen, budget=Rate(alpha=0.05), delta=0.05, seed=0)


def test_warns_of_a_site_that_is_not_like_the_bundles_scans_and_of_no_other() -> None:
    rng = generator(0, "bundle's own")
    like = _report(_seen(), rng.normal(50, 10, size=100).tolist())
    assert like.warnings == ()
    assert like.exchangeable.first == 90
    shifted = _report(_seen(), rng.normal(40, 10, size=100).tolist())
    (warning,) = shifted.warnings
    assert "not exchangeable with the bundle's calibration scans" in warning
    assert shifted.exchangeable.above > 0.6


def test_warns_of_detectors_that_hold_more_clean_scans_than_they_promise() -> None:
    found = _report(_seen(held=9), SITE)
    assert (found.held.count, found.held.n) == (9, 90)
    assert "calibrate-detectors" in found.warnings[0]
    assert _report(_seen(held=1), SITE).warnings == ()


def test_counts_what_never_got_a_score_apart() -> None:
    found = _report(_seen(unscored=3), SITE)
    assert found.unscored == {"head-small": 3}
    assert found.healthy == 90


def test_tells_what_contamination_costs_by_the_nearest_abnormal_scores() -> None:
    with_ill = _report(_seen(abnormal=ILL), SITE)
    assert with_ill.abnormal_from == "manifest"
    assert {row.supposed for row in with_ill.what_if} == {"left out", "mixed in"}
    labelled = LabelledScores(healthy=(1.0,), abnormal=(99.0,))
    assert _report(_seen(), SITE, labelled=labelled).abnormal_from == "bundle"
    without = _report(_seen(), SITE)
    assert without.abnormal_from == ""
    assert {row.sensitivity for row in without.what_if} == {None}


def test_takes_one_healthy_scan_of_each_person(tmp_path: Path) -> None:
    path = _rows(tmp_path, 3, 2)
    rows = read_manifest(path)
    again = [*rows, rows[0], rows[4]]
    assert list(one_a_person(again)) == [*rows, rows[4]]


def test_sees_scans_where_the_hospital_would(tmp_path: Path) -> None:
    calibrate = ScoreCalibrator((1.0,) * 100, 0.05, 0.05, 1.0, "")
    kit = replace(KIT, decoder=_Nifti(), scorer=_score, calibrate=calibrate)
    scans = [("healthy", 0.5), ("abnormal", 2.0), ("healthy", float("nan"))]
    rows = read_manifest(_manifest(tmp_path, scans))
    done: list[None] = []
    seen = seen_by(kit, rows, tmp_path, lambda: done.append(None))
    assert [one.scores for one in seen] == [(0.5, 0.5), (2.0, 2.0), None]
    assert seen[1].reasons == ("unusual",)
    assert scores_of(seen, "healthy") == (0.5,)
    assert len(done) == 3


def test_a_scan_that_cannot_be_opened_has_no_score(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    path = tmp_path / "site.csv"
    path.write_text("scan,mask,subject,label,split\nempty,,1,healthy,calibration\n")
    (one,) = seen_by(KIT, read_manifest(path), tmp_path)
    assert one.scores is None
    assert one.reasons != ()


def test_card_says_whose_scans_the_thresholds_are_and_drops_the_second_look() -> None:
    config, _, calibration, card = bundle.contents(bundles.DEFAULT)
    made = config.model_copy(update={"version": "9"})
    site = site_calibration(calibration, _seen(abnormal=ILL), probability=True)
    said = with_site(card, config, made, site)
    assert f"# Model card: {config.name} 9" in said
    assert said.count("## Calibration") == 1
    assert "a site's own healthy scans" in said
    assert "phantom n = 119" not in said
    assert "## Second look" not in said
    for kept in ("## Limits", "## Perturbation detectors", "## Voxel checks"):
        assert said.partition(kept)[2].split("## ")[0] == card.partition(kept)[2].split("## ")[0]
