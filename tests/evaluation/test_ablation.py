import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy import ndimage
from typer.testing import CliRunner

from mri_guard.anomaly import Evidence as Found
from mri_guard.anomaly import Vae, VaeScorer
from mri_guard.anomaly.evidence import KINDS
from mri_guard.cli import app
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.evaluation import trained_rows as module
from mri_guard.evaluation.ablation import evaluate_ablation, mapped, table
from mri_guard.evaluation.ablations import ABLATIONS, FULL, Ablation
from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.trained_rows import FIGURES, refusal
from mri_guard.preprocess import Preprocess
from mri_guard.records import Record
from mri_guard.training import kept
from mri_guard.training.config import TrainConfig
from mri_guard.training.train import healthy_evidence
from tests.evaluation.test_detection import HeadIsBrain, manifest
from tests.toys import TINY, plain_fusion
from tests.training.test_train import groups

SHORT = TrainConfig(
    vae=TINY,
    target_nats=(0.4, 0.02),
    steps=3,
    batch=4,
    crop_px=32,
    check_every=2,
    held_out_windows=8,
)
TRAINED = (FULL, "single_slice")
ROWS = (*TRAINED, "no_z_scoring", "no_fusion")
SEEDS = (1, 2)


def named(name: str) -> Ablation:
    (found,) = [one for one in ABLATIONS if one.name == name]
    return found


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two threads beside a busy one are many times slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ablation")


def evaluated(folder: Path, config: TrainConfig = SHORT, **settings: Any) -> Evidence:
    return evaluate_ablation(
        [folder / "manifest.csv"],
        folder / "manifest.csv",
        ["test"],
        config=config,
        preprocess=Preprocess(HeadIsBrain()),
        work=folder / "work",
        command="as tested",
        draws=50,
        **{"seeds": SEEDS, "only": ROWS, **settings},
    )


@pytest.fixture(scope="module")
def evidence(folder: Path, one_thread: None) -> Evidence:
    manifest(folder, ["train", "validation", "test", "test"])
    return evaluated(folder)


def leaves(config: Record) -> dict[str, object]:
    """Every value of a configuration, by its path."""

    def walk(path: str, value: object) -> Iterator[tuple[str, object]]:
        if isinstance(value, Mapping):
            for key, below in value.items():
                yield from walk(f"{path}.{key}", below)
        else:
            yield path[1:], value

    return dict(walk("", config.model_dump()))


def differences(before: Record, after: Record) -> dict[str, object]:
    old = leaves(before)
    return {path: value for path, value in leaves(after).items() if value != old[path]}


TRAINED_OTHERWISE: dict[str, dict[str, object]] = {
    "no_latent_skips": {"vae.model.latents": (0, 0, 0, 16), "target_nats": (0.02,)},
    "no_corruption": {"lesion_share": 0.0, "noise_share": 0.0},
    "no_mining": {"mine": False},
    "single_slice": {"vae.model.neighbours": 0},
}
FUSED_OTHERWISE: dict[str, tuple[str, ...]] = {
    "no_z_scoring": ("restoration",),
    "no_own_spreads": KINDS,
    "dark_like_bright": KINDS,
    "no_fusion": ("restoration",),
    "only_atlas": ("atlas",),
    "only_asymmetry": ("asymmetry",),
    "only_structure": ("structure",),
    "no_restoration": ("atlas", "asymmetry", "structure"),
    "no_atlas": ("restoration", "asymmetry", "structure"),
    "no_asymmetry": ("restoration", "atlas", "structure"),
    "no_structure": ("restoration", "atlas", "asymmetry"),
    "no_field": KINDS,
    "no_network": ("atlas", "asymmetry"),
}


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda one: one.name)
def test_takes_away_what_it_says_and_nothing_else(ablation: Ablation) -> None:
    config = TrainConfig()
    assert differences(config, ablation.train(config)) == TRAINED_OTHERWISE.get(ablation.name, {})
    fusion = config.vae.fusion
    left = FUSED_OTHERWISE.get(ablation.name, KINDS)
    assert differences(fusion, ablation.fusion(fusion)) == {
        **{kind: 0.0 for kind in KINDS if kind not in left},
        **({"dark": 1.0} if ablation.name == "dark_like_bright" else {}),
        **({"field_order": None} if ablation.name == "no_field" else {}),
    }
    assert ablation.real_shapes == (ablation.name != "no_lesion_shapes")
    assert ablation.healthy_spreads == (ablation.name != "no_z_scoring")
    assert ablation.own_spreads == (ablation.name not in {"no_z_scoring", "no_own_spreads"})
    trains = ablation.name in {*TRAINED_OTHERWISE, "no_lesion_shapes"}
    assert ablation.weights == (ablation.name if trains else FULL)
    assert ablation.maps_anew == (ablation.name in FUSED_OTHERWISE)


def test_has_every_row_once() -> None:
    names = [one.name for one in ABLATIONS]
    assert names[0] == FULL
    assert sorted(names) == sorted({FULL, *TRAINED_OTHERWISE, "no_lesion_shapes", *FUSED_OTHERWISE})


@pytest.fixture(scope="module")
def healthy() -> list[tuple[Found, torch.Tensor]]:
    torch.manual_seed(0)
    return healthy_evidence(Vae(TINY.model), TINY, groups("hold out", 3))


def scorer() -> VaeScorer:
    return VaeScorer(Vae(TINY.model).eval(), plain_fusion(), TINY)


def test_leaves_the_raw_residual_smoothed_without_z_scoring(
    healthy: list[tuple[Found, torch.Tensor]],
) -> None:
    found, _ = healthy[0]
    seen = mapped(scorer(), named("no_z_scoring"), healthy).fusion(found).numpy()
    inside = found.inside.numpy().astype(np.float64)
    config = TINY.fusion
    sigmas = (config.smoothing_mm / found.gap_mm, config.smoothing_px, config.smoothing_px)

    def blurred(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        for axis, sigma in enumerate(sigmas):
            reach = round(3 * sigma)
            values = ndimage.gaussian_filter1d(values, sigma, axis, mode="constant", radius=reach)
        return values

    residual = found.signed["restoration"].numpy() * inside
    expected = blurred(residual) / np.maximum(blurred(inside), 1e-3) * inside
    expected = np.where(expected < 0, config.dark * expected, expected)
    np.testing.assert_allclose(seen, expected, atol=1e-5)
    assert np.abs(expected).max() > 0.05


def test_tells_noisier_scans_apart_without_own_spreads_alone(
    healthy: list[tuple[Found, torch.Tensor]],
) -> None:
    found, _ = healthy[0]
    louder = replace(found, signed={kind: 5 * signed for kind, signed in found.signed.items()})

    def spread(name: str, of: Found) -> float:
        return float(mapped(scorer(), named(name), healthy).fusion(of)[of.inside].std())

    assert spread("no_own_spreads", louder) > 2 * spread("no_own_spreads", found)
    assert spread("dark_like_bright", louder) < 1.5 * spread("dark_like_bright", found)


@pytest.mark.parametrize("name", sorted(FUSED_OTHERWISE))
def test_maps_from_the_evidence_that_is_left_alone(
    name: str, healthy: list[tuple[Found, torch.Tensor]]
) -> None:
    found, _ = healthy[0]
    fusion = mapped(scorer(), named(name), healthy).fusion
    before = fusion(found)
    noise = torch.from_numpy(generator(0, name).normal(size=before.shape)).float() * found.inside
    told = tuple(
        kind
        for kind in KINDS
        if not torch.equal(
            fusion(replace(found, signed={**found.signed, kind: found.signed[kind] + noise})),
            before,
        )
    )
    assert told == FUSED_OTHERWISE[name]


def test_measures_every_figure_of_every_row_over_patients_and_over_seeds(
    evidence: Evidence,
) -> None:
    metrics = evidence.metrics
    for row in ROWS:
        for figure in set(FIGURES) - {"matched_slice_auroc"}:  # the toys match nowhere
            first, over = metrics[f"{row}_{figure}"], metrics[f"{row}_{figure}_over_seeds"]
            runs = [run for run in evidence.tables["runs"] if run["row"] == row]
            values = [run[figure] for run in runs]
            assert [run["seed"] for run in runs] == list(SEEDS)
            assert (first.n, first.unit) == (2, "patients")
            assert first.value == pytest.approx(values[0], abs=1e-4)
            assert (over.n, over.unit) == (2, "seeds")
            assert over.value == pytest.approx(np.mean(values), abs=1e-4)
            assert (over.low, over.high) == pytest.approx((min(values), max(values)), abs=1e-4)
            if row != FULL:
                less = metrics[f"{figure}_minus_{row}"]
                ours = metrics[f"full_{figure}"].value
                assert less.value == pytest.approx(ours - first.value)
                assert less.low <= less.value <= less.high
    assert metrics["full_pixel_ap_over_seeds"].low < metrics["full_pixel_ap_over_seeds"].high


def test_says_how_long_every_row_was_trained(evidence: Evidence) -> None:
    (setting,) = evidence.tables["setting"]
    assert (setting["steps"], setting["seeds"]) == (3, [1, 2])
    assert {run["steps"] for run in evidence.tables["runs"]} == {3}
    assert all(run["seconds_of_the_last_call"] > 0 for run in evidence.tables["runs"])
    assert "the same 3 steps" in printed(evidence)


def printed(evidence: Evidence) -> str:
    file = io.StringIO()
    Console(file=file, width=250).print(table(evidence))
    return file.getvalue()


def test_prints_no_slice_auroc_since_no_position_row_stands_beside_it(evidence: Evidence) -> None:
    headers = {str(column.header) for column in table(evidence).columns}
    assert "pixel ap" in headers
    assert "slice auroc" not in headers
    assert "full_slice_auroc" in evidence.metrics


def test_trains_each_row_in_a_folder_of_its_own_unless_it_has_the_weights_of_full(
    evidence: Evidence, folder: Path
) -> None:
    assert {path.name for path in (folder / "work").iterdir()} == {
        "cache",
        *(f"{name}-seed-{seed}" for name in TRAINED for seed in SEEDS),
    }


def test_trains_no_row_again_that_is_done(
    evidence: Evidence, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(kept, "fit", fit)
    again = evaluated(folder, only=["single_slice", "no_fusion"])
    for name, metric in again.metrics.items():
        assert evidence.metrics[name] == metric
    assert "no_fusion_pixel_ap_over_seeds" in again.metrics
    with pytest.raises(AssertionError, match="trained again"):
        evaluated(folder, seeds=[3], only=[FULL])


def test_refuses_to_take_a_run_of_another_length_for_its_own(
    evidence: Evidence, folder: Path
) -> None:
    longer = SHORT.model_copy(update={"steps": 4})
    with pytest.raises(SettingsError, match="full-seed-1 was trained with another"):
        evaluated(folder, longer, only=[FULL])


def test_says_of_a_row_that_the_guards_refuse_why_and_measures_it(
    evidence: Evidence, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        module, "refusal", lambda report, config: "posterior collapse: 0 nats a brain pixel"
    )
    refused = evaluated(folder, only=["no_fusion"], seeds=[1])
    (run,) = refused.tables["runs"]
    assert run["refused"] == "posterior collapse: 0 nats a brain pixel"
    assert refused.metrics["no_fusion_pixel_ap"] == evidence.metrics["no_fusion_pixel_ap"]
    assert "refused, seed 1: posterior collapse" in printed(refused)
    assert "pixel_ap_minus_no_fusion" not in refused.metrics


def report(**fitness: object) -> dict[str, Any]:
    good = {
        "held_out_ap": 0.5,
        "undone": 0.5,
        "active": [2, 4],
        "channels": [2, 4],
        "nats_per_pixel": [0.1, 0.1],
    }
    return {"fitness": good | fitness, "atlas_held_out_ap": 0.2}


def test_refuses_what_the_guards_refuse_and_nothing_else() -> None:
    assert refusal(report(), SHORT) is None
    collapsed = refusal(report(nats_per_pixel=[0.0, 0.0]), SHORT)
    assert collapsed is not None
    assert collapsed.startswith("posterior collapse")
    copying = refusal(report(held_out_ap=0.1), SHORT)
    assert copying is not None
    assert copying.startswith("lesions are copied")


def test_refuses_rows_and_seeds_that_make_no_table(folder: Path) -> None:
    with pytest.raises(SettingsError, match="no row no_luck; wanted any of full, no_latent"):
        evaluated(folder, only=["full", "no_luck"])
    with pytest.raises(SettingsError, match="each once"):
        evaluated(folder, seeds=[1, 1])
    with pytest.raises(SettingsError, match="at least one"):
        evaluated(folder, seeds=[])


def test_is_a_command_that_names_the_rows_it_has(tmp_path: Path) -> None:
    manifest(tmp_path, ["train"])
    path = str(tmp_path / "manifest.csv")
    arguments = ["--manifest", path, "--evaluate-manifest", path, "--only", "no_luck"]
    ran = CliRunner().invoke(
        app, ["evaluate", "ablation", *arguments, "--out", str(tmp_path / "evidence.json")]
    )
    assert ran.exit_code == 3
    assert "no_latent_skips" in ran.stderr
