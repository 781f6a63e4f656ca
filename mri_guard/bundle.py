"""A bundle on disk, and the kit assembled from it. The composition root of the library.

bundle.yaml           what the parts are and how they are set; data only
weights.safetensors   the VAE (`vae.*`), healthy statistics (`healthy.*`), brain mask (`brain.*`),
                      what the voxel checks have learnt of heads (`heads.*`), what the detectors
                      have learnt (`detectors.*`; none in bundles whose detectors learn nothing)
calibration.json      scores of clean scans: what thresholds and p-values are made from
model_card.md         data, licences, figures, limits
SHA256SUMS            SHA-256 of each, as `sha256sum -c` reads it; its own digest is the bundle's
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from mri_guard.anomaly import VaeConfig, VaeScorer
from mri_guard.calibration import LabelledScores, ScoreCalibrator, Workload
from mri_guard.calibration.second_look import SecondLookScores, SmoothedLook
from mri_guard.decision import ThresholdPolicy
from mri_guard.errors import BundleError, DigestError
from mri_guard.journey import Kit
from mri_guard.perturbation.detectors import DETECTORS, assembled
from mri_guard.perturbation.joint import JointRule
from mri_guard.preprocess import BrainMask, Preprocess
from mri_guard.readers import Decoder
from mri_guard.records import Contrast, Finite, PValue, Record
from mri_guard.sanitize import Sanitizer, learnt_checks
from mri_guard.sanitize.learnt_heads import LearntHeads
from mri_guard.sanitize.limits import Limits

CONFIG = "bundle.yaml"
WEIGHTS = "weights.safetensors"
CALIBRATION = "calibration.json"
CARD = "model_card.md"
SUMS = "SHA256SUMS"
PARTS = ("vae", "healthy", "brain", "heads")
OPTIONAL = ("detectors",)
"""Parts that a bundle may be without."""
FILES = (CONFIG, WEIGHTS, CALIBRATION, CARD)
MAX_BYTES = 512 * 1024 * 1024


class PolicyConfig(Record):
    """How scores become decisions.

    Attributes:
        alpha: false-positive rate that the threshold holds among healthy scans.
        delta: probability, over the draw of the calibration scans, of not holding it.
        perturbation_alpha: share of clean scans that may be held as perturbed.
        urgent_p_value: up to this an unusual scan has HIGH priority.
        workload: daily budget of false flags that alpha was chosen to hold; None where alpha was
            chosen itself.
    """

    alpha: PValue = 0.05
    delta: PValue = 0.05
    perturbation_alpha: PValue = 0.01
    urgent_p_value: PValue = 0.01
    workload: Workload | None = None


class BundleConfig(Record):
    """`bundle.yaml`.

    Attributes:
        name: of the bundle.
        version: of the bundle.
        contrasts: what the model has learnt; other contrasts end in quarantine.
        vae: the model and how it is scored.
        policy: how scores become decisions.
        seed: root seed of training and of what is random when scoring.
    """

    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    contrasts: tuple[Contrast, ...] = Field(min_length=1)
    vae: VaeConfig
    policy: PolicyConfig
    seed: int


class Calibration(Record):
    """`calibration.json`.

    Attributes:
        healthy_scores: scan scores of healthy scans, by where they come from.
        detectors: each detector's statistic on clean scans, healthy and lesioned; the same scans in
            the same order for each, since the detectors judge together.
        highest_slices: the highest slice score of each healthy scan, grouped as `healthy_scores`;
            None in bundles that calibrate no slices.
        voxels: what clean scans measure, and how far a scan may be from it. None while a bundle is
            made; one without is not loaded.
        second_look: what the costlier look is calibrated on; None in bundles that have none.
        labelled: scores of scans known to be healthy or abnormal, which a probability of
            abnormality is made from; None in bundles that give none.
    """

    healthy_scores: dict[str, tuple[Finite, ...]]
    detectors: dict[str, tuple[Finite, ...]]
    highest_slices: dict[str, tuple[Finite, ...]] | None = None
    voxels: Limits | None = None
    second_look: SecondLookScores | None = None
    labelled: LabelledScores | None = None


def write(
    folder: Path,
    config: BundleConfig,
    tensors: Mapping[str, Tensor],
    calibration: Calibration,
    card: str,
) -> str:
    """Digest of the bundle that was written.

    Args:
        folder: made when missing; a bundle in it is replaced.
        config: parts and settings.
        tensors: `vae.*`, `healthy.*`, `brain.*`, `heads.*` and, if any, `detectors.*`.
        calibration: scores of clean scans.
        card: the model card, Markdown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        CONFIG: yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False).encode(),
        WEIGHTS: save_tensors({key: value.contiguous() for key, value in tensors.items()}),
        CALIBRATION: (json.dumps(calibration.model_dump(mode="json"), indent=1) + "\n").encode(),
        CARD: card.encode(),
    }
    sums = "".join(f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in FILES)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / SUMS).write_text(sums)
    return hashlib.sha256(sums.encode()).hexdigest()


def load(folder: Path) -> Kit:
    """A kit ready to examine scans.

    Args:
        folder: of the bundle.

    Raises:
        DigestError: a file is missing, or is not the one the bundle was made with.
        BundleError: a key, a value or a shape does not fit.
        NotCalibratedError: too few calibration scores for the promised rates.
    """
    files, digest = _verified(folder)
    config = _config(files[CONFIG])
    calibration = _calibration(files[CALIBRATION])
    return assemble(config, _tensors(files[WEIGHTS]), calibration, digest)


def brain_mask(folder: Path) -> BrainMask:
    """The brain mask of a bundle, for training another one with it.

    Raises:
        BundleError: as `load`.
    """
    files, _ = _verified(folder)
    return BrainMask.from_tensors(split(_tensors(files[WEIGHTS]), *PARTS)["brain"])


def contents(folder: Path) -> tuple[BundleConfig, dict[str, Tensor], Calibration, str]:
    """Configuration, tensors, calibration and card of a bundle, for making another one of it.

    Raises:
        BundleError: as `load`, but for parts that are missing.
    """
    files, _ = _verified(folder)
    tensors, calibrated = _tensors(files[WEIGHTS]), _calibration(files[CALIBRATION])
    return _config(files[CONFIG]), tensors, calibrated, files[CARD].decode()


def card(folder: Path) -> tuple[BundleConfig, str, str]:
    """Configuration, model card and digest of a bundle, for saying what it is.

    Raises:
        BundleError: as `load`, but for parts that are missing.
    """
    files, digest = _verified(folder)
    return _config(files[CONFIG]), files[CARD].decode(), digest


def calibration(folder: Path) -> tuple[Calibration, PolicyConfig]:
    """What a bundle's thresholds are made from, for assessing others than its own.

    Raises:
        BundleError: as `load`.
    """
    files, _ = _verified(folder)
    return _calibration(files[CALIBRATION]), _config(files[CONFIG]).policy


def assemble(
    config: BundleConfig, tensors: Mapping[str, Tensor], calibration: Calibration, digest: str
) -> Kit:
    """A kit from the bundle's parts.

    Raises:
        BundleError: a key or a shape does not fit.
        NotCalibratedError: too few calibration scores for the promised rates.
    """
    parts = split(tensors, *PARTS)
    if calibration.voxels is None:
        raise BundleError(
            f"{CALIBRATION} has no limits of the voxel checks; "
            "`mri-guard calibrate-checks` adds them"
        )
    policy = config.policy
    learnt = {key: value.numpy() for key, value in parts["detectors"].items()}
    detectors = assembled(calibration.detectors, learnt)
    combine = JointRule.fit(
        calibration.detectors,
        {kind.name: kind.resolution for kind in DETECTORS},
        policy.perturbation_alpha,
    )
    heads = LearntHeads.from_arrays({key: value.numpy() for key, value in parts["heads"].items()})
    checks = learnt_checks(heads, calibration.voxels)
    sanitizer = Sanitizer.for_contrasts(config.contrasts, checks)
    preprocess = Preprocess(BrainMask.from_tensors(parts["brain"]))
    scorer = VaeScorer.from_tensors(config.vae, parts["vae"], parts["healthy"])
    again = calibration.second_look
    calibrate = ScoreCalibrator.fit(
        calibration.healthy_scores,
        policy.alpha,
        policy.delta,
        calibration.highest_slices,
        again.attacked if again else None,
        workload=policy.workload,
        labelled=calibration.labelled,
    )
    second_look = (
        SmoothedLook.fit(scorer, again.config, again.smoothed, policy.alpha, policy.delta)
        if again
        else None
    )
    return Kit(
        bundle_digest=digest,
        sanitizer=sanitizer,
        decoder=Decoder(),  # last: it starts a process, which nothing after it may leave behind
        preprocess=preprocess,
        scorer=scorer,
        detectors=detectors,
        combine=combine,
        calibrate=calibrate,
        policy=ThresholdPolicy(policy.perturbation_alpha, policy.urgent_p_value),
        seed=config.seed,
        second_look=second_look,
    )


def split(tensors: Mapping[str, Tensor], *prefixes: str) -> dict[str, dict[str, Tensor]]:
    """Tensors by prefix, without it; those of `OPTIONAL` may have none.

    Raises:
        BundleError: a key has none of the prefixes, or a prefix has no key.
    """
    parts: dict[str, dict[str, Tensor]] = {prefix: {} for prefix in (*prefixes, *OPTIONAL)}
    for key, tensor in tensors.items():
        prefix, _, rest = key.partition(".")
        if prefix not in parts or not rest:
            raise BundleError(f"unexpected tensor {key!r}; wanted {' or '.join(prefixes)}")
        parts[prefix][rest] = tensor
    empty = [prefix for prefix in prefixes if not parts[prefix]]
    if empty:
        raise BundleError(f"no tensor of {', '.join(empty)}")
    return parts


def _verified(folder: Path) -> tuple[dict[str, bytes], str]:
    """Contents of each file, digests checked before anything is parsed, and the bundle's digest."""
    if not folder.is_dir():
        raise BundleError(f"no bundle at {folder}")
    sums = _read(folder / SUMS)
    expected = dict.fromkeys(FILES, "")
    for line in sums.decode(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        if name not in expected:
            raise DigestError(f"{SUMS} lists {name!r}; wanted {', '.join(FILES)}")
        expected[name] = digest
    contents = {name: _read(folder / name) for name in FILES}
    for name, content in contents.items():
        seen = hashlib.sha256(content).hexdigest()
        if seen != expected[name]:
            raise DigestError(f"{name} has SHA-256 {seen}; wanted {expected[name] or 'one'}")
    return contents, hashlib.sha256(sums).hexdigest()


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BundleError(f"{path.name} is larger than {MAX_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise DigestError(f"{path.name} cannot be read: {error.strerror}") from error


def _config(content: bytes) -> BundleConfig:
    try:
        return BundleConfig.model_validate(yaml.safe_load(content))
    except (yaml.YAMLError, ValidationError) as error:
        raise BundleError(f"{CONFIG}: {error}") from error


def _tensors(content: bytes) -> dict[str, Tensor]:
    try:
        return dict(load_tensors(content))
    except SafetensorError as error:
        raise BundleError(f"{WEIGHTS} is not a safetensors file: {error}") from error


def _calibration(content: bytes) -> Calibration:
    try:
        return Calibration.model_validate_json(content)
    except ValidationError as error:
        raise BundleError(f"{CALIBRATION}: {error}") from error
