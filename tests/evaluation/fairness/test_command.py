import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from mri_guard import cli
from mri_guard.calibration import ScoreCalibrator, VennAbers
from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.fairness import (
    compare_fairness,
    comparison_table,
    evaluate_fairness,
    forest,
    site_thresholds,
    table,
)
from mri_guard.evaluation.fairness.assessed import Assessed, cohort
from mri_guard.fairness.figures import IN_THE_LARGE
from mri_guard.journey import Kit
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.records import Anomaly, Preprocessed, Scan, Source
from tests.test_journey import KIT

THRESHOLD = 1.0
Make = Callable[[float], Evidence]


@dataclass
class Written:
    """Reads the voxels that a test has written."""

    read: int = 0

    def __call__(self, source: Source, /) -> Scan:
        self.read += 1
        voxels = np.asarray(nib.load(source.files[0]).dataobj, dtype=np.float32).copy()
        return replace(KIT.decoder(source), voxels=voxels)

    def close(self) -> None:
        """Nothing to close."""


def first_voxel(preprocessed: Preprocessed) -> Anomaly:
    zeros = np.zeros_like(preprocessed.image)
    score = float(preprocessed.image.flat[0])
    return Anomaly(zeros, zeros, zeros, np.full(2, score), score)


def kit_at(
    threshold: float, decoder: Written | None = None, probability: VennAbers | None = None
) -> Kit:
    calibrate = ScoreCalibrator(
        (1.0,) * 100, 0.05, 0.05, threshold, "", threshold, probability=probability
    )
    return replace(
        KIT, decoder=decoder or Written(), scorer=first_voxel, calibrate=calibrate,
        bundle_digest=f"threshold {threshold}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 women and 40 men of three sites, half of each abnormal; the lesions of women score lower,
    one scan cannot be scored.
    """
    folder = tmp_path_factory.mktemp("people")
    lines = ["scan,mask,subject,label,split,sequence,sex,site"]
    for number in range(80):
        sex, abnormal = ("F", "M")[number % 2], number % 4 < 2
        score = (1.2 if sex == "F" else 3.0) if abnormal else 0.5
        score = float("nan") if number == 0 else score + 0.01 * number
        nib.save(
            nib.Nifti1Image(np.full((4, 4, 2), score, dtype=np.float32), np.eye(4)),
            folder / f"{number}.nii",
        )
        label = "abnormal" if abnormal else "healthy"
        lines.append(f"{number}.nii,,p{number:02d},{label},test,FLAIR,{sex},{'abc'[number % 3]}")
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def at(manifest: Path, work: Path) -> Make:
    made: dict[float, Evidence] = {}

    def make(threshold: float) -> Evidence:
        if threshold not in made:
            made[threshold] = evaluate_fairness(
                manifest, ["test"], kit_at(threshold), command="x", work=work, draws=50
            )
        return made[threshold]

    return make


def figure(evidence: Evidence, group: str, name: str, unit: str = "scans") -> float:
    (found,) = (
        row["value"]
        for row in evidence.tables["figures"]
        if (row["unit"], row["group"], row["figure"]) == (unit, group, name)
    )
    return float(found)


def test_finds_the_group_whose_lesions_are_missed(at: Make) -> None:
    evidence = at(2.5)
    assert figure(evidence, "sex=F", "sensitivity") == 0.0
    assert figure(evidence, "sex=M", "sensitivity") == 1.0
    verdicts = {
        row["group"]: row["words"]
        for row in evidence.tables["gaps"]
        if (row["unit"], row["rate"]) == ("scans", "sensitivity")
    }
    assert verdicts["sex=F"] == "gap"
    assert verdicts["sex=M"] != "gap"
    worst = evidence.metrics["scan_worst_gap_sensitivity"]
    assert worst.value == 1.0
    assert worst.value > evidence.metrics["scan_worst_gap_sensitivity_expected"].high
    assert evidence.metrics["scan_sensitivity"].value == 0.5
    assert Evidence.model_validate_json(evidence.model_dump_json()) == evidence


def test_tells_how_far_probabilities_are_from_what_came_true(
    manifest: Path, at: Make, tmp_path: Path
) -> None:
    labelled = VennAbers.fit(np.linspace(0.3, 1.5, 20).tolist(), np.linspace(1.0, 4.0, 20).tolist())
    kit = kit_at(2.5, probability=labelled)
    evidence = evaluate_fairness(manifest, ["test"], kit, command="x", work=tmp_path, draws=50)
    men = [row for row in evidence.tables["scans"] if row["patient"] % 2]
    scores = [row["clean"]["scan"] for row in men]
    truth = [row["abnormal"] for row in men]
    excess = np.mean([labelled(one).value for one in scores]) - np.mean(truth)
    assert figure(evidence, "sex=M", IN_THE_LARGE) == pytest.approx(excess)
    assert not any(row["figure"] == IN_THE_LARGE for row in at(2.5).tables["figures"])


def test_searches_for_the_worst_group_and_tests_it_on_others(at: Make) -> None:
    (found,) = (row for row in at(2.5).tables["worst_slices"] if row["unit"] == "scans")
    assert found["group"].startswith("sex=F")
    assert found["confirmed"]


def test_what_cannot_be_scored_is_refused_and_was_not_found(at: Make) -> None:
    evidence = at(1.0)
    assert figure(evidence, "sex=F", "rejection_rate") == 1 / 40
    assert figure(evidence, "sex=F", "sensitivity") == 19 / 20
    assert figure(evidence, "sex=M", "false_positive_rate") == 8 / 20  # 0.5 + 0.01 * number


def test_counts_slices_where_the_truth_is_known_with_patients_for_clusters(at: Make) -> None:
    slices = [row for row in at(1.0).tables["figures"] if row["unit"] == "slices"]
    assert {row["figure"] for row in slices} == {"false_positive_rate"}  # nobody drew a lesion
    everyone = slices[0]
    assert (everyone["group"], everyone["n"], everyone["patients"]) == ("everyone", 80, 40)


def test_tells_no_identities_and_keeps_the_manifests_order(at: Make) -> None:
    evidence = at(1.0)
    assert "p07" not in evidence.model_dump_json()
    scans = [Assessed.model_validate(row) for row in evidence.tables["scans"]]
    assert [scan.patient for scan in scans] == list(range(80))
    assert cohort(scans, "scans").truth.sum() == 40


def test_goes_on_where_it_was_interrupted(manifest: Path, tmp_path: Path) -> None:
    decoder = Written()
    for _ in range(2):
        evaluate_fairness(
            manifest, ["test"], kit_at(1.0, decoder), command="x", work=tmp_path, draws=20
        )
    assert decoder.read == 80


def test_shows_every_group_in_a_table_and_a_plot(at: Make) -> None:
    evidence = at(2.5)
    written = io.StringIO()
    Console(width=200, file=written).print(table(evidence))
    printed = written.getvalue()
    assert "sex=F, site=a" in printed
    assert "100 points" in printed
    plot = np.asarray(forest(evidence))
    assert (plot == (255, 90, 90)).all(-1).any()  # a gap is red
    assert not (np.asarray(forest(at(1.0))) == (255, 90, 90)).all(-1).any()


def test_compares_slice_by_slice_by_patient(at: Make) -> None:
    changed = compare_fairness(at(2.5), at(1.0), command="x", draws=50)
    rows = {(r["group"], r["figure"]): r for r in changed.tables["changes"] if r["unit"] == "scans"}
    women = rows["sex=F", "sensitivity"]
    assert (women["old"], women["new"], women["said"]) == (0.0, 0.95, "better")
    assert women["beside_everyone"] == pytest.approx(0.475)
    assert rows["sex=M", "sensitivity"]["said"] == "no change seen"
    assert rows["sex=M", "sensitivity"]["beside_everyone_high"] < 0
    assert rows["everyone", "false_positive_rate"]["said"] == "worse"
    # The scores are the same, and patients are paired: no resample differs, at most others would.
    same = rows["everyone", "auroc"]
    assert -same["low"] == same["high"] == clopper_pearson(0, 80)[1]
    assert all(row["paired"] for row in changed.tables["changes"])
    assert changed.metrics["scan_sensitivity_change"].value == pytest.approx(0.475)
    assert comparison_table(changed).row_count > 0


def test_takes_other_scans_for_another_sample(at: Make) -> None:
    other = at(1.0).model_copy(update={"manifest_digest": "other"})
    changed = compare_fairness(at(1.0), other, command="x", draws=50)
    row = next(r for r in changed.tables["changes"] if r["figure"] == "auroc")
    assert not row["paired"]
    assert row["low"] < 0 < row["high"]


def test_refuses_to_compare_what_cannot_be(at: Make) -> None:
    with pytest.raises(SettingsError, match="wanted fairness"):
        compare_fairness(at(1.0).model_copy(update={"kind": "x"}), at(1.0), command="x")
    tables = at(1.0).tables | {"patients": [{"age": "under 40"}]}
    with pytest.raises(SettingsError, match="different columns"):
        compare_fairness(at(1.0), at(1.0).model_copy(update={"tables": tables}), command="x")


def test_holds_each_site_against_its_own_threshold(manifest: Path, work: Path) -> None:
    healthy = {"a": [float(n) for n in range(100)], "b": [1.0] * 20}
    own = site_thresholds(healthy, 0.05, 0.05)
    assert own.keys() == {"a"}
    evidence = evaluate_fairness(
        manifest, ["test"], kit_at(1.0), command="x", work=work, own_thresholds=own, draws=20
    )
    assert figure(evidence, "site=a", "sensitivity") == 0.0
    assert figure(evidence, "site=b", "sensitivity") == 1.0


def test_refuses_what_it_cannot_assess(manifest: Path, work: Path) -> None:
    def evaluate(split: str, *by: str) -> Evidence:
        return evaluate_fairness(manifest, [split], kit_at(1.0), command="x", work=work, by=by)

    with pytest.raises(SettingsError, match="no scan in the splits train"):
        evaluate("train")
    with pytest.raises(SettingsError, match="lacks the columns race"):
        evaluate("test", "sex", "race")


def test_commands_say_what_they_are_called_wrongly_with(tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("{}")
    none = str(tmp_path / "none.json")
    runner = CliRunner()
    out = ["--out", str(tmp_path / "out.json")]
    found = runner.invoke(cli.app, ["evaluate", "fairness-change", none, none, *out])
    assert found.exit_code == cli.CALLED_WRONGLY
    unknown = ["evaluate", "fairness", "--manifest", none, "--epsilon", "4", "--attack", "wish"]
    assert runner.invoke(cli.app, [*unknown, *out]).exit_code == cli.CALLED_WRONGLY


def test_writes_what_has_changed(at: Make, tmp_path: Path) -> None:
    for name, threshold in (("old", 2.5), ("new", 1.0)):
        at(threshold).save(tmp_path / f"{name}.json")
    files = [str(tmp_path / f"{name}.json") for name in ("old", "new", "change")]
    done = CliRunner().invoke(
        cli.app, ["evaluate", "fairness-change", *files[:2], "--out", files[2], "--json"]
    )
    assert done.exit_code == 0
    assert Evidence.load(Path(files[2])).kind == "fairness-comparison"
