import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from mri_guard import bundle
from mri_guard.anomaly import ModelConfig, Vae, VaeConfig
from mri_guard.bundle import BundleConfig, Calibration, PolicyConfig
from mri_guard.calibration.second_look import SecondLookConfig, SecondLookScores, SmoothedLook
from mri_guard.errors import BundleError, DigestError, NotCalibratedError
from mri_guard.preprocess.brain_mask import network
from mri_guard.records import Contrast
from tests.toys import any_heads, plain_fusion, wide_limits

VAE = VaeConfig(model=ModelConfig(channels=(8, 8), latents=(1, 2)))


def _write(
    folder: Path,
    healthy: int = 100,
    highest_slices: dict[str, tuple[float, ...]] | None = None,
    second_look: SecondLookScores | None = None,
    detected: int = 100,
) -> str:
    torch.manual_seed(0)
    parts = {"vae": Vae(VAE.model).state_dict(), "healthy": plain_fusion().tensors()}
    parts["brain"] = network().state_dict()
    parts["heads"] = {key: torch.from_numpy(some) for key, some in any_heads().arrays().items()}
    tensors = {
        f"{part}.{key}": value for part, some in parts.items() for key, value in some.items()
    }
    config = BundleConfig(
        name="test",
        version="1",
        contrasts=(Contrast.FLAIR,),
        vae=VAE,
        policy=PolicyConfig(),
        seed=3,
    )
    scores = tuple(float(i) for i in range(healthy))
    calibration = Calibration(
        healthy_scores={"phantom": scores},
        detectors={"feature_squeezing": tuple(float(i) for i in range(detected))},
        highest_slices=highest_slices,
        voxels=wide_limits(),
        second_look=second_look,
    )
    return bundle.write(folder, config, tensors, calibration, "# Card\n")


def _resign(folder: Path) -> None:
    """What an attacker without the old digest, or an operator who meant it, would do."""
    sums = "".join(
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in bundle.FILES
    )
    (folder / bundle.SUMS).write_text(sums)


def test_loads_what_it_wrote(tmp_path: Path) -> None:
    digest = _write(tmp_path)
    with bundle.load(tmp_path) as kit:
        assert kit.bundle_digest == digest
        assert kit.seed == 3
        assert kit.calibrate(0.0).slice_threshold is None


def test_flags_slices_by_the_highest_slices_of_the_calibration_scans(tmp_path: Path) -> None:
    highest = {"phantom": tuple(float(i) for i in range(200, 300))}
    digest = _write(tmp_path, highest_slices=highest)
    with bundle.load(tmp_path) as kit:
        assert kit.bundle_digest == digest
        assert kit.calibrate(0.0).slice_threshold == 200 + kit.calibrate(0.0).threshold
    calibration, policy = bundle.calibration(tmp_path)
    assert calibration.highest_slices == highest
    assert policy.delta == 0.05


def test_looks_again_up_to_the_exact_threshold_of_attacked_scans(tmp_path: Path) -> None:
    scores = tuple(float(i) for i in range(100))
    look = SecondLookScores(
        config=SecondLookConfig(),
        attacked={"phantom": tuple(10 + score for score in scores)},
        smoothed={"phantom": tuple(score / 2 for score in scores)},
    )
    _write(tmp_path, second_look=look)
    with bundle.load(tmp_path) as kit:
        first = kit.calibrate(0.0)
        assert first.attacked_threshold == first.threshold + 10
        assert isinstance(kit.second_look, SmoothedLook)
        assert kit.second_look.threshold == first.threshold / 2
        assert kit.second_look.scorer is kit.scorer
        for score, wanted in [(-1, False), (0, False), (1, True), (10, True), (11, False)]:
            assert kit.calibrate(first.threshold + score).may_be_alarm is wanted
    assert bundle.contents(tmp_path)[2].second_look == look


def test_has_no_second_look_unless_it_is_calibrated(tmp_path: Path) -> None:
    _write(tmp_path)
    calibration = json.loads((tmp_path / bundle.CALIBRATION).read_text())
    del calibration["second_look"]  # as bundles before it were written
    (tmp_path / bundle.CALIBRATION).write_text(json.dumps(calibration))
    _resign(tmp_path)
    with bundle.load(tmp_path) as kit:
        assert kit.second_look is None
        assert not kit.calibrate(1e9).may_be_alarm


def test_refuses_a_second_look_on_too_few_scans(tmp_path: Path) -> None:
    few = {"phantom": tuple(float(i) for i in range(58))}
    look = SecondLookScores(config=SecondLookConfig(), attacked=few, smoothed=few)
    _write(tmp_path, second_look=look)
    with pytest.raises(NotCalibratedError, match="58 healthy scores"):
        bundle.load(tmp_path)


def test_same_parts_give_the_same_digest(tmp_path: Path) -> None:
    assert _write(tmp_path / "a") == _write(tmp_path / "b")


@pytest.mark.parametrize("name", bundle.FILES)
def test_refuses_one_flipped_byte(name: str, tmp_path: Path) -> None:
    _write(tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DigestError, match=name):
        bundle.load(tmp_path)


@pytest.mark.parametrize("name", [*bundle.FILES, bundle.SUMS])
def test_refuses_a_missing_file(name: str, tmp_path: Path) -> None:
    _write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DigestError, match=name):
        bundle.load(tmp_path)


def test_refuses_a_list_of_digests_that_leaves_a_file_out(tmp_path: Path) -> None:
    _write(tmp_path)
    lines = (tmp_path / bundle.SUMS).read_text().splitlines(keepends=True)
    (tmp_path / bundle.SUMS).write_text("".join(lines[:-1]))
    with pytest.raises(DigestError, match="wanted one"):
        bundle.load(tmp_path)


def _extra_key(folder: Path) -> None:
    config = yaml.safe_load((folder / bundle.CONFIG).read_text())
    (folder / bundle.CONFIG).write_text(yaml.safe_dump(config | {"_target_": "os.system"}))


def _python_object(folder: Path) -> None:
    (folder / bundle.CONFIG).write_text("!!python/object/apply:os.system ['true']\n")


def _missing_tensor(folder: Path) -> None:
    tensors = load_file(folder / bundle.WEIGHTS)
    del tensors["vae.stem.weight"]
    save_file(tensors, folder / bundle.WEIGHTS)


def _other_shape(folder: Path) -> None:
    tensors = load_file(folder / bundle.WEIGHTS)
    tensors["vae.stem.weight"] = tensors["vae.stem.weight"][:4].clone()
    save_file(tensors, folder / bundle.WEIGHTS)


def _stray_tensor(folder: Path) -> None:
    save_file(
        {**load_file(folder / bundle.WEIGHTS), "other.x": torch.zeros(1)}, folder / bundle.WEIGHTS
    )


def _not_weights(folder: Path) -> None:
    (folder / bundle.WEIGHTS).write_bytes(b"\x80\x04pickle")


def _not_a_number(folder: Path) -> None:
    calibration = json.loads((folder / bundle.CALIBRATION).read_text())
    calibration["healthy_scores"]["phantom"][0] = float("nan")
    (folder / bundle.CALIBRATION).write_text(json.dumps(calibration))


def _other_detector(folder: Path) -> None:
    calibration = json.loads((folder / bundle.CALIBRATION).read_text())
    calibration["detectors"] = {"other": [0.0]}
    (folder / bundle.CALIBRATION).write_text(json.dumps(calibration))


def _detectors_of_other_scans(folder: Path) -> None:
    calibration = json.loads((folder / bundle.CALIBRATION).read_text())
    calibration["detectors"]["high_frequency"] = [0.0] * 101
    (folder / bundle.CALIBRATION).write_text(json.dumps(calibration))


def _learnt_without_calibration(folder: Path) -> None:
    stray = {"detectors.learnt.direction": torch.zeros(4)}
    save_file({**load_file(folder / bundle.WEIGHTS), **stray}, folder / bundle.WEIGHTS)


def _no_limits(folder: Path) -> None:
    calibration = json.loads((folder / bundle.CALIBRATION).read_text())
    calibration["voxels"] = None
    (folder / bundle.CALIBRATION).write_text(json.dumps(calibration))


def _too_few_draws(folder: Path) -> None:
    calibration = json.loads((folder / bundle.CALIBRATION).read_text())
    scores = calibration["healthy_scores"]
    config = SecondLookConfig().model_dump() | {"draws": 20}
    calibration["second_look"] = {"config": config, "attacked": scores, "smoothed": scores}
    (folder / bundle.CALIBRATION).write_text(json.dumps(calibration))


def _too_few_voxel_scans(folder: Path) -> None:
    calibration = json.loads((folder / bundle.CALIBRATION).read_text())
    calibration["voxels"]["worst"] = {"toys": [1.0] * 98}
    (folder / bundle.CALIBRATION).write_text(json.dumps(calibration))


def _a_measure_without_limits(folder: Path) -> None:
    calibration = json.loads((folder / bundle.CALIBRATION).read_text())
    del calibration["voxels"]["normals"]["noise"]
    (folder / bundle.CALIBRATION).write_text(json.dumps(calibration))


def _heads_of_another_grid(folder: Path) -> None:
    tensors = load_file(folder / bundle.WEIGHTS)
    tensors["heads.mean"] = tensors["heads.mean"][:100].clone()
    save_file(tensors, folder / bundle.WEIGHTS)


def _heads_that_are_no_numbers(folder: Path) -> None:
    tensors = load_file(folder / bundle.WEIGHTS)
    tensors["heads.mean"][0] = float("nan")
    save_file(tensors, folder / bundle.WEIGHTS)


@pytest.mark.parametrize(
    "damage",
    [
        _no_limits,
        _too_few_draws,
        _too_few_voxel_scans,
        _a_measure_without_limits,
        _heads_of_another_grid,
        _heads_that_are_no_numbers,
        _extra_key,
        _python_object,
        _missing_tensor,
        _other_shape,
        _stray_tensor,
        _not_weights,
        _not_a_number,
        _other_detector,
        _detectors_of_other_scans,
        _learnt_without_calibration,
    ],
)
def test_refuses_parts_that_do_not_fit_even_with_right_digests(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    _write(tmp_path)
    damage(tmp_path)
    _resign(tmp_path)
    with pytest.raises(BundleError):
        bundle.load(tmp_path)


def test_refuses_too_few_healthy_scores_for_its_promise(tmp_path: Path) -> None:
    _write(tmp_path, healthy=58)
    with pytest.raises(NotCalibratedError, match="58 healthy scores; wanted at least 59"):
        bundle.load(tmp_path)


def test_refuses_too_few_clean_scans_for_the_detectors(tmp_path: Path) -> None:
    _write(tmp_path, detected=98)
    with pytest.raises(NotCalibratedError, match="98 clean scans for the perturbation detectors"):
        bundle.load(tmp_path)


def test_refuses_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle"):
        bundle.load(tmp_path / "nowhere")
