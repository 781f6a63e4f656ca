import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from mri_guard.artifacts import RicianNoise
from mri_guard.attacks import Found, Pgd, Victim
from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.perturbation import (
    aware,
    carried_back,
    decided_victim,
    evaluate_perturbation,
    with_artifact,
)
from mri_guard.journey import Kit
from mri_guard.preprocess import Preprocess
from mri_guard.readers import Decoder
from tests.evaluation.robustness.test_watched import SCAN, SEEN, kit  # noqa: F401 - a fixture
from tests.perturbation.scans import scan_of
from tests.test_journey import KIT


def _inside(
    image: NDArray[np.float32], head: NDArray[np.bool_], spacing_mm: float
) -> NDArray[np.bool_]:
    return head


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    voxels = np.where(SCAN.voxels > 0.2, 1000 * SCAN.voxels, 20).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, SCAN.affine), folder / "0.nii.gz")
    path = folder / "manifest.csv"
    header = ["scan", "mask", "subject", "label", "split", "sequence", "site"]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [header, ["0.nii.gz", "", "a", "healthy", "test", "FLAIR", "toy"]]
        )
    return path


@dataclass(frozen=True, slots=True)
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


Run = Callable[..., Evidence]


@pytest.fixture(scope="module")
def run(kit: Kit, manifest: Path) -> Iterator[Run]:  # noqa: F811 - a fixture
    with Decoder() as decoder:
        here = replace(kit, decoder=decoder, preprocess=Preprocess(_inside))

        def evaluated(work: Path, seed: int = 0) -> Evidence:
            return evaluate_perturbation(
                manifest,
                ["test"],
                here,
                command="as tested",
                work=work,
                alpha=0.05,
                scale=1.0,
                seed=seed,
                epsilons=(8.0, 0.5),
                attack=Counted(steps=2),
            )

        yield evaluated


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def evidence(run: Run, work: Path) -> Evidence:
    """Of a run that was interrupted in the middle of an attack, and went on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Counted, "last", 3)
        with pytest.raises(KeyboardInterrupt):
            run(work)
    return run(work)


def test_counts_alarms_catches_and_misses_with_intervals(evidence: Evidence) -> None:
    assert evidence.kind == "perturbation"
    figures = evidence.metrics
    assert {"false_alarms", "false_alarms_learnt", "artifact_alarms"} <= set(figures)
    assert {"success_8_255", "unnoticed_success_0_5_255"} <= set(figures)
    assert figures["false_alarms"].n == 1
    assert figures["artifact_alarms"].n == 6
    assert figures["artifact_alarms_rician_noise"].n == 1
    row, _ = evidence.tables["attacked"]
    assert row["epsilon"] == 8.0
    assert row["changed"] is (figures["success_8_255"].value == 1)


def test_goes_on_where_it_was_interrupted(evidence: Evidence) -> None:
    assert evidence
    # Two of one budget, the first of the next once more.
    assert Counted.asked == 5


def test_comes_to_the_same_whether_interrupted_or_not(
    evidence: Evidence, run: Run, work: Path, tmp_path: Path
) -> None:
    before = Counted.asked
    assert run(work) == evidence
    assert Counted.asked == before
    assert run(tmp_path) == evidence
    assert Counted.asked == before + 4


def test_refuses_a_manifest_without_a_scan_of_the_split(
    kit: Kit,  # noqa: F811 - a fixture
    manifest: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(SettingsError, match="no scan"):
        evaluate_perturbation(
            manifest, ["train"], kit, command="", work=tmp_path, alpha=0.05, scale=1.0, seed=0
        )


def test_counts_false_alarms_alone(
    kit: Kit,  # noqa: F811 - a fixture
    manifest: Path,
    tmp_path: Path,
) -> None:
    with Decoder() as decoder:
        found = evaluate_perturbation(
            manifest,
            ["test"],
            replace(kit, decoder=decoder, preprocess=Preprocess(_inside)),
            command="as tested",
            work=tmp_path,
            alpha=0.05,
            scale=1.0,
            seed=0,
            epsilons=(),
            artifacts=(),
        )
    assert "false_alarms" in found.metrics
    assert all(name.startswith("false_alarms") for name in found.metrics)
    assert found.tables["attacked"] == []


def test_what_a_detector_notices_counts_for_nothing(kit: Kit) -> None:  # noqa: F811 - a fixture
    victim = aware(decided_victim(kit, SEEN, 1.0), kit, SCAN, SEEN)
    assert victim.hidden is not None
    found = Pgd(steps=2)(victim, 0.2, np.random.default_rng(0))
    assert bool((victim.hidden(found.image) > 0).all())


def test_wants_a_score_with_a_gradient() -> None:
    with pytest.raises(SettingsError, match="gradient"):
        decided_victim(KIT, SEEN, 1.0)


def test_a_change_comes_back_to_the_scanners_voxels_in_whole_numbers() -> None:
    scan = scan_of(2.0, np.full((64, 64, 6), 500, np.float32))
    seen = replace(SEEN, intensity_low=0.0, intensity_high=1000.0, affine=scan.affine)
    change = np.zeros(SEEN.image.shape, np.float32)
    change[10, 12, 3] = -0.02
    back = carried_back(change[:64, :64], seen, scan)
    assert back.voxels[10, 12, 3] == 500  # nothing darker than what was there
    back = carried_back(-change[:64, :64], replace(seen), scan_of(2.0, scan.voxels * 1.0))
    assert np.array_equal(back.voxels, np.rint(back.voxels))


def test_an_artifact_is_of_its_strength_in_normalised_intensity() -> None:
    voxels = np.full((64, 64, 6), 800, np.float32)
    seen = replace(SEEN, intensity_low=0.0, intensity_high=1000.0)
    noisy = with_artifact(RicianNoise(0.05, 1), scan_of(1.0, voxels), seen)
    assert noisy.voxels.std() == pytest.approx(50, rel=0.1)
