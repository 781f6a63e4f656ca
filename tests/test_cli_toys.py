"""The command line with a toy model: what does not depend on the shipped bundle."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console
from typer.testing import CliRunner, Result

from mri_guard import bundle, cli
from mri_guard.anomaly import Vae, VaeScorer
from mri_guard.anomaly.uncertainty import MEANING
from mri_guard.attacks import Pgd
from mri_guard.bundle import Calibration, PolicyConfig
from mri_guard.calibration import LabelledScores, ScoreCalibrator
from mri_guard.determinism import generator
from mri_guard.errors import UnreadableError
from mri_guard.evaluation.evidence import Evidence
from mri_guard.journey import Kit
from mri_guard.preprocess import Preprocess
from mri_guard.readers import Decoder
from mri_guard.records import Scan, Source
from mri_guard.training.site import Seen, SiteReport, report
from tests.evaluation.test_calibration import _manifest, _Nifti, _score
from tests.evaluation.test_detection import manifest
from tests.reports.toys import evidence
from tests.test_journey import KIT
from tests.toys import TINY, plain_fusion, toy_brain

runner = CliRunner()


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """No table breaks what is looked for; the terminal's size is read when the module is."""
    monkeypatch.setattr(cli, "console", Console(width=300))


HEALTHY = {"toys": tuple(float(i) for i in range(100))}


def _head_is_brain(
    image: NDArray[np.float32], head: NDArray[np.bool_], spacing_mm: float
) -> NDArray[np.bool_]:
    return head


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch) -> Kit:
    """Of a model that has learnt nothing, in the place of the bundle that is asked for."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = Vae(TINY.model).state_dict()
    kit = replace(
        KIT,
        preprocess=Preprocess(_head_is_brain),
        scorer=VaeScorer.from_tensors(TINY, state, plain_fusion(0.1).tensors()),
        calibrate=ScoreCalibrator.fit(HEALTHY, 0.05, 0.05, {"toys": (0.0,) * 100}),
    )
    # A decoder for each command, which closes it.
    monkeypatch.setattr(bundle, "load", lambda _: replace(kit, decoder=Decoder()))
    return kit


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    toy = toy_brain(generator(0, "screened"), slices=8, side=96)
    path = tmp_path / "toy_flair.nii.gz"
    nib.save(nib.Nifti1Image(np.where(toy.brain, 100 + 100 * toy.image, 0), toy.affine), path)
    return path


def _screen(*arguments: object) -> dict[str, Any]:
    ran = runner.invoke(cli.app, ["screen", "--json", *map(str, arguments)])
    assert ran.exit_code in (0, 1), ran.stderr
    (row,) = json.loads(ran.stdout)
    return dict(row)


def test_screens_with_draws_of_the_latents(kit: Kit, scan: Path, tmp_path: Path) -> None:
    row = _screen(scan, "--draws", "3", "--out", tmp_path / "out")
    drawn = row["uncertainty"]
    assert drawn["draws"] == 3
    low, high = drawn["score_range"]
    assert low < drawn["score_mean"] < high
    assert drawn["score_spread"] > 0
    assert drawn["meaning"] == MEANING
    folder = tmp_path / "out" / "toy_flair"
    assert str(folder / "map_spread.nii.gz") in row["files"]
    spread, own = nib.load(folder / "map_spread.nii.gz"), nib.load(folder / "map.nii.gz")
    assert spread.shape == own.shape == nib.load(scan).shape
    assert np.array_equal(spread.affine, own.affine)
    values = np.asarray(spread.dataobj)
    assert values.min() == 0
    assert values.max() > 0


def test_draws_change_nothing_else_and_come_out_the_same_again(kit: Kit, scan: Path) -> None:
    without, once, again = (_screen(scan, "--draws", draws) for draws in (0, 2, 2))
    assert without["uncertainty"] is None
    assert once["uncertainty"]["draws"] == 2
    assert once["uncertainty"] == again["uncertainty"]
    calibrated = [row["examination"]["calibrated"] for row in (without, once)]
    assert calibrated[0] == calibrated[1]


def test_says_in_words_what_draws_are_and_are_not(kit: Kit, scan: Path) -> None:
    ran = runner.invoke(cli.app, ["screen", str(scan), "--draws", "2"])
    said = " ".join(ran.stdout.split())
    assert "score over 2 draws" in said
    assert "no interval for the" in said


def test_refuses_a_single_draw(kit: Kit, scan: Path) -> None:
    ran = runner.invoke(cli.app, ["screen", str(scan), "--draws", "1"])
    assert ran.exit_code == 2
    assert "1 draw has no spread" in ran.stderr


def test_has_no_spread_of_a_scan_that_never_reached_the_model(
    kit: Kit, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "load", lambda _: replace(kit, decoder=_Refusing()))
    row = _screen(scan, "--draws", "2")
    assert row["examination"]["decision"]["outcome"] == "quarantine"
    assert row["uncertainty"] is None
    assert row["flagged_slices"] is None


class _Refusing:
    """A decoder that reads nothing."""

    def __call__(self, source: Source, /) -> Scan:
        raise UnreadableError("test", "refused")

    def close(self) -> None:
        """Nothing to close."""


def test_names_the_slices_above_the_slice_threshold(kit: Kit, scan: Path) -> None:
    flagged = _screen(scan)["flagged_slices"]  # of a threshold of 0: every slice with a score
    assert flagged == sorted(flagged)
    assert 0 < len(flagged) <= 8


def test_says_nothing_of_slices_where_the_bundle_calibrates_none(
    kit: Kit, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = ScoreCalibrator.fit(HEALTHY, 0.05, 0.05)
    other = replace(kit, decoder=Decoder(), calibrate=without)
    monkeypatch.setattr(bundle, "load", lambda _: other)
    assert _screen(scan)["flagged_slices"] is None


def test_exits_2_for_a_baseline_that_there_is_not(tmp_path: Path) -> None:
    asked = ["--manifest", str(tmp_path / "x.csv"), "--out", str(tmp_path / "e.json")]
    ran = runner.invoke(cli.app, ["evaluate", "detection", *asked, "--only", "oracle"])
    assert ran.exit_code == 2
    assert "no baseline is called oracle; there are position" in ran.stderr.replace("\n", " ")


def test_certifies_toys_and_draws_the_curve(kit: Kit, tmp_path: Path) -> None:
    toys = manifest(tmp_path, ["test", "test"])
    asked = ["--manifest", toys, "--out", tmp_path / "e.json", "--work", tmp_path / "work"]
    asked += ["--draws", 11, "--sigma", 0.1, "--limit-scans", 1, "--json"]
    ran = runner.invoke(cli.app, ["evaluate", "certification", *map(str, asked)])
    assert ran.exit_code == 0, ran.stderr
    evidence = json.loads(ran.stdout)
    assert evidence["kind"] == "certification"
    # Eleven draws bound the median where nothing is changed, and nothing else.
    assert [row["radius"] for row in evidence["tables"]["curve"] if row["bounded"]] == [0.0]
    assert evidence["tables"]["slices"][0]["scans"] == 1
    assert (tmp_path / "e.png").exists()
    assert len(list((tmp_path / "work").glob("*.npz"))) == 1


def test_measures_the_other_risks_of_toys(kit: Kit, tmp_path: Path) -> None:
    toys = manifest(tmp_path, ["train", "test", "test"])
    asked = ["--manifest", toys, "--out", tmp_path / "e.json", "--saliency-scans", 1]
    ran = runner.invoke(cli.app, ["evaluate", "risks", *map(str, asked), "--limit-scans", "1"])
    assert ran.exit_code == 0, ran.stderr
    evidence = json.loads((tmp_path / "e.json").read_text())
    assert evidence["kind"] == "risks"
    assert evidence["tables"]["scans"][0]["assessed"] == 1
    assert "membership inference" in ran.stdout
    assert evidence["metrics"]["membership_inference_auroc_score"]["n"] == 2


def test_attacks_as_strongly_as_it_is_told(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def evaluated(*_: object, **settings: Any) -> Evidence:
        asked.update(settings)
        return evidence("perturbation")

    monkeypatch.setattr(cli, "evaluate_perturbation", evaluated)
    out = tmp_path / "e.json"
    to = ["evaluate", "perturbation", "--manifest", str(tmp_path / "x.csv"), "--out", str(out)]
    assert runner.invoke(cli.app, [*to, "--steps", "3", "--epsilon", "2"]).exit_code == 0
    assert (asked["attack"], asked["epsilons"]) == (Pgd(steps=3), [2.0])
    assert Evidence.load(out).kind == "perturbation"
    assert runner.invoke(cli.app, [*to, "--no-attacks"]).exit_code == 0
    assert (asked["attack"], asked["epsilons"]) == (Pgd(), ())


def test_exits_2_for_a_second_look_of_too_few_draws(tmp_path: Path) -> None:
    asked = ["--manifest", tmp_path / "x.csv", "--out", tmp_path, "--version", 2, "--draws", 5]
    ran = runner.invoke(cli.app, ["calibrate-second-look", *map(str, asked)])
    assert ran.exit_code == 2
    assert "5 draws under noise of 0.25 bound no score" in ran.stderr.replace("\n", " ")


def test_shows_a_probability_only_where_labelled_scans_give_one(
    kit: Kit, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> str:
        ran = runner.invoke(cli.app, ["screen", str(scan)])
        return " ".join(ran.stdout.split())

    assert _screen(scan)["examination"]["calibrated"]["probability"] is None
    assert "probability of abnormality" not in shown()
    labelled = LabelledScores(healthy=HEALTHY["toys"], abnormal=(150.0, 160.0))
    calibrate = ScoreCalibrator.fit(HEALTHY, 0.05, 0.05, labelled=labelled)
    monkeypatch.setattr(
        bundle, "load", lambda _: replace(kit, decoder=Decoder(), calibrate=calibrate)
    )
    told = _screen(scan)["examination"]["calibrated"]["probability"]
    assert 0 <= told["low"] <= told["value"] <= told["high"] <= 1
    assert "as frequent as among the labelled ones, 2 of 102" in shown()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--at-most", "3"], "wants both --at-most and --per-day"),
        (["--alpha", "0.1", "--at-most", "3", "--per-day", "40"], "two budgets; wanted one"),
        (["--at-most", "40", "--per-day", "40"], "at most 40 of 40 scans a day is no limit"),
    ],
)
def test_exits_2_for_a_budget_that_is_none(asked: list[str], said: str, tmp_path: Path) -> None:
    to = ["--manifest", str(tmp_path / "x.csv"), "--out", str(tmp_path / "new")]
    ran = runner.invoke(cli.app, ["calibrate", *to, *asked])
    assert ran.exit_code == 2
    assert said in " ".join(ran.stderr.split())


def test_exits_2_for_a_workload_that_is_no_pair_of_numbers(tmp_path: Path) -> None:
    to = ["--manifest", str(tmp_path / "x.csv"), "--out", str(tmp_path / "e.json")]
    ran = runner.invoke(cli.app, ["evaluate", "calibration", *to, "--workload", "3"])
    assert ran.exit_code == 2
    assert "wanted two numbers as 3/100" in " ".join(ran.stderr.split())


def test_says_where_an_interrupted_evaluation_goes_on(
    tmp_path: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> Evidence:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "evaluate_calibration", interrupted)
    monkeypatch.setattr(bundle, "load", lambda _: kit)
    monkeypatch.setattr(
        bundle,
        "calibration",
        lambda _: (Calibration(healthy_scores=HEALTHY, detectors={}), PolicyConfig()),
    )
    to = ["--manifest", "x.csv", "--out", str(tmp_path / "e.json"), "--work", str(tmp_path)]
    ran = runner.invoke(cli.app, ["evaluate", "calibration", *to])
    assert ran.exit_code == 130
    assert f"the same command goes on from {tmp_path}" in " ".join(ran.stderr.split())
    assert not (tmp_path / "e.json").exists()


def test_calibrates_for_a_site_and_says_what_its_scans_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def made(*_: object, **settings: Any) -> tuple[str, SiteReport]:
        asked.update(settings)
        scores = [float(i) for i in range(100)]
        before = Calibration(healthy_scores={"b": tuple(1000 + s for s in scores)}, detectors={})
        seen = [Seen("healthy", "here", (score, score), ("unusual",)) for score in scores]
        return "ab" * 32, report(
            before, 60.0, 0.01, seen, budget=settings["budget"], delta=0.05, seed=0
        )

    monkeypatch.setattr(cli, "with_site_calibration", made)
    to = ["--manifest", str(tmp_path / "x.csv"), "--out", str(tmp_path / "new")]
    ran = runner.invoke(cli.app, ["calibrate", *to, "--alpha", "0.1"])
    assert ran.exit_code == 0, ran.stderr
    said = " ".join(ran.stdout.split())
    assert "the 5. largest of 100 healthy scores" in said
    assert "if 5% are not healthy (5, left out)" in said
    assert "not exchangeable with the bundle's calibration scans" in " ".join(ran.stderr.split())
    assert asked["splits"] == ["calibration"]
    ran = runner.invoke(cli.app, ["calibrate", *to, "--at-most", "4", "--per-day", "30", "--json"])
    document = json.loads(ran.stdout)
    assert document["digest"] == "ab" * 32
    assert document["report"]["budget"] == "at most 4 false flags among 30 healthy scans a day"


def _labels(
    folder: Path, monkeypatch: pytest.MonkeyPatch, scans: list[tuple[str, float]], *asked: str
) -> Result:
    """Screens scans with these labels and scores; a hundred healthy ones are known, 0 to 99."""
    scored = _manifest(folder, scans)
    monkeypatch.setattr(bundle, "load", lambda _: replace(KIT, decoder=_Nifti(), scorer=_score))
    before = Calibration(healthy_scores=HEALTHY, detectors={})
    monkeypatch.setattr(bundle, "calibration", lambda _: (before, PolicyConfig()))
    arguments = ["label-consistency", "--manifest", str(scored), *asked]
    return runner.invoke(cli.app, arguments)


def test_finds_the_label_that_does_not_go_with_its_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = [("healthy", 50.0), ("healthy", 500.0), ("healthy", 20.0)]
    ran = _labels(tmp_path, monkeypatch, scans, "--json")
    assert ran.exit_code == 1, ran.stderr
    document = json.loads(ran.stdout)
    assert [one["flagged"] for one in document["labels"]] == [False, True, False]
    assert document["labels"][1]["p_value"] == pytest.approx(1 / 101)
    assert document["senders"][0]["sender"] == "not stated"
    ran = _labels(tmp_path, monkeypatch, scans)
    said = " ".join(ran.stdout.split())
    assert "1.nii, scan" in said
    assert "1 of 3 labels flagged" in said
    assert "50.nii" not in said


def test_exits_0_where_every_label_was_screened_and_none_is_doubted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = _labels(tmp_path, monkeypatch, [("healthy", 50.0), ("healthy", 20.0)])
    assert ran.exit_code == 0, ran.stderr
    assert "0 of 2 labels flagged" in ran.stdout
    assert "fewer than" not in ran.stdout
    few = _labels(tmp_path, monkeypatch, [("healthy", 50.0)] * 30, "--false-share", "0.05")
    assert "fewer than 6 wrong ones cannot be flagged" in few.stdout


@pytest.mark.parametrize(
    ("doubted", "said"),
    [(("abnormal", 500.0), "1 labels not screened"), (("healthy", float("nan")), "no score")],
)
def test_does_not_pass_a_label_that_could_not_be_screened(
    doubted: tuple[str, float], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = _labels(tmp_path, monkeypatch, [("healthy", 50.0), doubted])
    assert ran.exit_code == 1, ran.stderr
    assert said in " ".join(ran.stdout.split())


def test_screens_against_scans_whose_labels_are_beyond_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "known"
    folder.mkdir()
    trusted = _manifest(folder, [*[("healthy", 900.0)] * 9, *[("abnormal", 1000.0)] * 9])
    scans = [("healthy", 500.0), ("abnormal", 2000.0)]
    ran = _labels(tmp_path, monkeypatch, scans, "--reference", str(trusted), "--json")
    assert ran.exit_code == 0, ran.stderr
    assert [one["p_value"] for one in json.loads(ran.stdout)["labels"]] == [1.0, 1.0]


def test_exits_2_for_a_split_without_scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = _labels(tmp_path, monkeypatch, [("healthy", 1.0)], "--split", "train")
    assert ran.exit_code == 2
    assert "1 scans, none in the splits train" in ran.stderr
