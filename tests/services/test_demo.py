from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

import bundles
from mri_guard.anomaly import Fusion, ModelConfig, Vae, VaeConfig, VaeScorer
from mri_guard.errors import BundleError
from mri_guard.evaluation.ablation import NotInOwnSpreads
from mri_guard.journey import Kit
from mri_guard.preprocess import Preprocess
from mri_guard.records import Outcome, Scan, ScanHeader
from services.demo import Ended, _environment, demo
from services.demo_studies import CONTRAST, EPSILON, Study, make_studies, perturb, rendered
from tests.services import doubles
from tests.toys import plain_fusion

UNTRAINED = VaeConfig(model=ModelConfig(channels=(8, 8), latents=(1, 2)))


def inner_head(
    image: NDArray[np.float32], head: NDArray[np.bool_], gap_mm: float
) -> NDArray[np.bool_]:
    """Stands for a brain: what lies deeper than the skull."""
    return np.stack(
        [binary_erosion(head[..., z], iterations=9) for z in range(head.shape[2])], axis=2
    )


@pytest.fixture(scope="module")
def kit() -> Kit:
    """A kit whose model has learnt nothing, but has a gradient."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Vae(UNTRAINED.model).eval().requires_grad_(False)
    return replace(
        doubles.load(Path()),
        preprocess=Preprocess(inner_head),
        scorer=VaeScorer(model, plain_fusion(), UNTRAINED),
    )


def test_makes_a_study_whose_header_promises_more_pixels_than_it_has(
    kit: Kit, tmp_path: Path
) -> None:
    made = {study.name: study for study in make_studies(kit, tmp_path, 1)}

    assert {name: study.expected for name, study in made.items()} == {
        "healthy": Outcome.RELEASE,
        "lesioned": Outcome.REVIEW,
        "perturbed": Outcome.QUARANTINE,
        "malformed": Outcome.QUARANTINE,
    }
    assert len({study.instances[0].StudyInstanceUID for study in made.values()}) == 4
    for name, study in made.items():
        short = [item for item in study.instances if len(item.PixelData) < 2 * item.Rows**2]
        assert bool(short) == (name == "malformed")


def test_perturbs_little_and_lowers_the_score_that_the_attacker_believes_in(kit: Kit) -> None:
    head = rendered(1, "perturbed")
    assert isinstance(kit.scorer, VaeScorer)
    assert isinstance(kit.scorer.fusion, Fusion)
    believed = replace(kit.scorer, fusion=NotInOwnSpreads(kit.scorer.fusion))
    scores, ranges = [], []
    perturbed = perturb(head, kit, 1)
    for voxels in (head.voxels, np.rint(perturbed)):
        header = ScanHeader(contrast=CONTRAST, slice_count=24, spacing_mm=(2.0, 2.0, 6.0))
        seen = kit.preprocess(Scan(voxels.astype(np.float32), head.affine, header))
        scores.append(believed(seen).score)
        ranges.append(seen.intensity_high - seen.intensity_low)

    assert scores[1] < scores[0]
    assert 0 < np.abs(perturbed - head.voxels).max() < 1.1 * EPSILON * ranges[0]


def test_refuses_to_attack_a_score_without_a_gradient() -> None:
    with pytest.raises(BundleError, match="gradient"):
        perturb(rendered(1, "perturbed"), doubles.load(Path()), 1)


def test_keeps_away_from_a_deployment_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MRI_GUARD_DATABASE_URL", "postgresql://hospital")
    monkeypatch.setenv("MRI_GUARD_BUNDLE", "/bundle")

    environment = _environment("/demo")

    assert "MRI_GUARD_DATABASE_URL" not in environment
    assert environment["MRI_GUARD_BUNDLE"] == "/bundle"
    assert environment["MRI_GUARD_HOME"] == "/demo/home"


@pytest.mark.parametrize(
    ("case", "good"),
    [
        (None, False),
        ({"outcome": "release", "reasons": ["nothing-unusual"]}, False),
        ({"outcome": "quarantine", "reasons": ["internal-failure"]}, False),
        ({"outcome": "quarantine", "reasons": ["perturbation-suspected"]}, True),
    ],
)
def test_wants_the_right_end_for_the_right_reason(
    case: dict[str, object] | None, good: bool
) -> None:
    study = Study("perturbed", Outcome.QUARANTINE, "perturbation-suspected", ())

    assert Ended(study, 1.0, case).as_expected is good


@pytest.mark.slow
def test_ends_well_with_the_shipped_bundle() -> None:
    if not bundles.DEFAULT.is_dir():
        pytest.skip("no shipped bundle")

    assert demo() == 0
