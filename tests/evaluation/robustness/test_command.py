import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor
from typer.testing import CliRunner

from mri_guard import bundle, cli
from mri_guard.anomaly import VaeScorer
from mri_guard.attacks import Found, Pgd, Victim
from mri_guard.calibration import ScoreCalibrator
from mri_guard.calibration.second_look import SecondLookConfig, SmoothedLook
from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.robustness import evaluate_robustness, table
from mri_guard.evaluation.robustness.pictures import PLOT
from mri_guard.evaluation.robustness.plan import Plan, goals, suite
from mri_guard.evaluation.robustness.sanity import MEANING, SUSPECTED, Sanity
from mri_guard.journey import Kit
from mri_guard.records import Preprocessed, Scan
from tests.evaluation.toy_kit import attackable, write_manifest

SLICES = 5
PEOPLE = [("abnormal", "F", "31"), ("abnormal", "M", "67"), ("healthy", "F", "50")]


@dataclass(frozen=True)
class Counted(Pgd):
    """PGD that counts how often it is asked, and can be interrupted."""

    name: ClassVar[str] = "counted"
    asked: ClassVar[int] = 0
    last: ClassVar[int] = 10**9

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        if Counted.asked >= Counted.last:
            raise KeyboardInterrupt
        Counted.asked += 1
        return Pgd(self.steps)(victim, epsilon, rng)


PLAN = Plan(
    attacks=(Counted(steps=2),),
    of_255=(4.0, 16.0),
    by=("sex", "age"),
    sanity_scans=0,
    draws=50,
)


@pytest.fixture(scope="module")
def kit() -> Kit:
    return attackable()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_manifest(tmp_path_factory.mktemp("scans"), PEOPLE, SLICES)


Run = Callable[..., Evidence]


@pytest.fixture(scope="module")
def run(kit: Kit, manifest: Path) -> Run:
    def evaluated(work: Path, plan: Plan = PLAN, gallery: Path | None = None) -> Evidence:
        return evaluate_robustness(
            manifest, ["test"], kit, plan, command="as tested", work=work, gallery=gallery
        )

    return evaluated


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def evidence(run: Run, work: Path) -> Evidence:
    return run(work, gallery=work / "gallery")


def test_tells_both_harms_apart_and_together(evidence: Evidence) -> None:
    for side in ("evade", "alarm", "both"):
        for budget in ("0_255", "4_255", "16_255"):
            figure = evidence.metrics[f"robust_auroc_{side}_{budget}"]
            assert "within 0.05 of the brain" in figure.definition
            assert 0 <= figure.low <= figure.value <= figure.high <= 1
    for name in (
        "clean_auroc",
        "clean_plain_auroc",
        "sensitivity_evade_4_255_at_slice_threshold",
        "sensitivity_evade_4_255_at_90_specificity",
        "false_positive_rate_alarm_4_255_at_slice_threshold",
        "scan_sensitivity_evade_4_255_at_scan_threshold",
        "scan_false_positive_rate_alarm_4_255_at_scan_threshold",
    ):
        assert name in evidence.metrics


def test_gives_the_clean_figures_at_no_budget(evidence: Evidence) -> None:
    figures = evidence.metrics
    for side in ("evade", "alarm", "both"):
        assert figures[f"robust_auroc_{side}_0_255"].value == figures["clean_auroc"].value
    found = figures["sensitivity_evade_0_255_at_slice_threshold"].value
    assert found == figures["clean_sensitivity_at_slice_threshold"].value


SCAN_RATES = ("scan_sensitivity_evade", "scan_false_positive_rate_alarm")


def test_without_a_second_look_what_is_unusual_keeps_its_priority(evidence: Evidence) -> None:
    for rate in SCAN_RATES:
        for budget in (0, 4, 16):
            unusual = evidence.metrics[f"{rate}_{budget}_255_at_scan_threshold"].value
            assert evidence.metrics[f"{rate}_{budget}_255_after_second_look"].value == unusual


@pytest.mark.parametrize(("threshold", "kept"), [(-1e9, 1.0), (1e9, 0.0)])
def test_the_second_look_decides_what_keeps_its_priority(
    manifest: Path, kit: Kit, tmp_path: Path, threshold: float, kept: float
) -> None:
    look = SmoothedLook(kit.scorer, SecondLookConfig(draws=44), threshold)
    calibrate = ScoreCalibrator((3.0, 4.0, 5.0), 0.05, 0.05, 0.0, "none", 4.9, 1e9)
    evidence = evaluate_robustness(
        manifest,
        ["test"],
        replace(kit, calibrate=calibrate, second_look=look),
        replace(PLAN, levels=("scan",), of_255=(4.0,), by=()),
        command="as tested",
        work=tmp_path,
    )
    for rate in SCAN_RATES:
        assert evidence.metrics[f"{rate}_4_255_after_second_look"].value == kept


def test_is_never_weaker_with_more_budget(evidence: Evidence) -> None:
    for name in ("robust_auroc_both_{}_255", "sensitivity_evade_{}_255_at_slice_threshold"):
        values = [evidence.metrics[name.format(budget)].value for budget in (0, 4, 16)]
        assert values == sorted(values, reverse=True)
    name = "false_positive_rate_alarm_{}_255_at_slice_threshold"
    values = [evidence.metrics[name.format(budget)].value for budget in (0, 4, 16)]
    assert values == sorted(values)
    both = [evidence.metrics[f"robust_auroc_both_{budget}_255"].value for budget in (0, 16)]
    assert both[1] < both[0]


def test_names_each_attack_in_its_own_rows(evidence: Evidence) -> None:
    rows = {row["name"]: row for row in evidence.tables["attacks"]}
    own, worst = rows["counted_robust_auroc_both_4_255"], rows["worst_robust_auroc_both_4_255"]
    assert own["value"] == worst["value"] == evidence.metrics["robust_auroc_both_4_255"].value
    assert own["threat"] == "linf"


def test_carries_the_strongest_image_through_dicom(evidence: Evidence) -> None:
    # Pixels of the model's own size: nearly all of the change arrives.
    for direction in ("evade", "alarm"):
        assert 0.5 < evidence.metrics[f"through_scanner_effect_{direction}_4_255"].value < 1.5
    assert "through_scanner_effect_evade_16_255" not in evidence.metrics
    assert "tensor_success_alarm_4_255" in evidence.metrics


def test_counts_where_scans_end(evidence: Evidence) -> None:
    rows = [
        row
        for row in evidence.tables["outcomes"]
        if row["goal"] == "scan" and row["way"] == "12-bit DICOM" and row["epsilon"] == 0
    ]
    ended = dict.fromkeys(("evade", "alarm"), 0)
    for row in rows:
        ended[row["direction"]] += row["scans"]
    assert ended == {"evade": 2, "alarm": 1}


def test_slices_by_attributes(evidence: Evidence) -> None:
    rows = evidence.tables["by_attribute"]
    assert {row["group"] for row in rows if row["attribute"] == "sex"} == {
        "sex=F",
        "sex=M",
        "gap",
    }
    assert {row["group"] for row in rows if row["attribute"] == "age"} == {
        "age=under 40",
        "age=40 to 59",
        "age=60 and older",
        "gap",
    }
    figures = [row for row in rows if row["group"] != "gap"]
    assert all(row["n"] > 0 and row["low"] <= row["high"] for row in figures)


def test_draws_slices_and_the_figures_against_the_budget(evidence: Evidence, work: Path) -> None:
    assert evidence
    names = {path.name for path in (work / "gallery").iterdir()}
    assert names == {
        PLOT,
        *(
            f"{way}_{rule}.png"
            for way in ("evade", "alarm")
            for rule in ("most", "median", "least")
        ),
    }
    with Image.open(work / "gallery" / PLOT) as plot:
        assert len(np.unique(np.asarray(plot).reshape(-1, 3), axis=0)) > 3
    with Image.open(work / "gallery" / "evade_most.png") as sheet:
        assert sheet.width > 4 * 200


def test_asks_nothing_twice(evidence: Evidence, run: Run, work: Path) -> None:
    before = Counted.asked
    assert run(work) == evidence
    assert Counted.asked == before
    one = replace(PLAN, attacks=(Counted(steps=1),), of_255=(4.0,), levels=("scan",))
    run(work, one)
    assert Counted.asked == before + len(PEOPLE)


def test_goes_on_where_it_was_interrupted(
    evidence: Evidence, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(PLAN, levels=("scan",))
    before = Counted.asked
    monkeypatch.setattr(Counted, "last", before + 3)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, plan)
    monkeypatch.setattr(Counted, "last", 10**9)
    again = run(tmp_path, plan)
    assert Counted.asked == before + 2 * len(PEOPLE)
    scans = {name: one for name, one in evidence.metrics.items() if name.startswith("scan_")}
    assert scans == {name: one for name, one in again.metrics.items() if name in scans}


def test_finds_nothing_where_every_change_is_noticed(
    kit: Kit, manifest: Path, tmp_path: Path
) -> None:
    def noticed(kit: Kit, scan: Scan, clean: Preprocessed) -> Callable[[Tensor], Tensor]:
        return lambda image: torch.tensor([-1.0])

    plan = replace(PLAN, attacks=(Pgd(steps=1),), of_255=(16.0,), by=(), levels=("slices",))
    found = evaluate_robustness(
        manifest, ["test"], kit, plan, command="", work=tmp_path, hidden=noticed
    )
    assert found.metrics["robust_auroc_both_16_255"].value == found.metrics["clean_auroc"].value
    assert found.tables["suite"][0]["knows_the_detectors"] is True


def test_says_where_masked_gradients_are_suspected(
    kit: Kit, manifest: Path, tmp_path: Path
) -> None:
    scorer = kit.scorer
    assert isinstance(scorer, VaeScorer)

    class Rounding(VaeScorer):
        def map_tensor(self, image: Tensor, brain: Tensor, gap_mm: float) -> tuple[Tensor, Tensor]:
            return super().map_tensor((image * 32).round() / 32, brain, gap_mm)

    masked = Rounding(scorer.model, scorer.fusion, scorer.config)
    plan = replace(
        PLAN,
        attacks=(Pgd(steps=1),),
        of_255=(4.0,),
        by=(),
        levels=("slices",),
        limit=1,
        sanity_scans=1,
        sanity=Sanity(epsilon=0.1, steps=1, looks=2),
    )
    found = evaluate_robustness(
        manifest, ["test"], replace(kit, scorer=masked), plan, command="", work=tmp_path
    )
    failed = {row["check"] for row in found.tables["sanity"] if not row["passed"]}
    assert "gradients_exist" in failed
    assert failed <= set(MEANING)
    assert found.tables["verdict"] == [{"masked_gradients": SUSPECTED}]
    assert found.metrics["sanity_checks_failed"].value > 0
    printed = io.StringIO()
    Console(file=printed, width=300).print(table(found))
    assert SUSPECTED in " ".join(printed.getvalue().split())


def test_refuses_names_that_it_does_not_know(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no attack nonesuch; known are .*pgd"):
        suite(["pgd", "nonesuch"])
    with pytest.raises(SettingsError, match="no goal pixels"):
        goals(["pixels"])
    with pytest.raises(SettingsError, match="lacks the columns site"):
        run(tmp_path, replace(PLAN, by=("site",)))


def test_takes_a_suite_of_what_exists_and_sets_its_steps() -> None:
    (attack,) = suite(["pgd"], steps=3)
    assert attack == Pgd(steps=3)
    assert suite()


def test_runs_from_the_command_line(
    kit: Kit, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "load", lambda _: kit)
    arguments = [
        *("evaluate", "robustness", "--manifest", str(manifest), "--out", str(tmp_path / "e.json")),
        *("--attack", "pgd", "--epsilon", "0.5", "--steps", "1", "--limit-scans", "3"),
        *("--sanity-scans", "0", "--goal", "slices", "--work", str(tmp_path / "work"), "--json"),
    ]
    ran = CliRunner().invoke(cli.app, arguments)
    assert ran.exit_code == 0, ran.stderr
    found = Evidence.load(tmp_path / "e.json")
    assert json.loads(ran.stdout)["kind"] == found.kind == "robustness"
    assert "robust_auroc_both_0_5_255" in found.metrics
    refused = CliRunner().invoke(cli.app, [*arguments, "--attack", "nonesuch"])
    assert refused.exit_code == 2
    assert "no attack nonesuch" in refused.stderr
