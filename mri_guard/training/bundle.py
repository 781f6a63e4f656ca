"""From manifests to a bundle on disk: train, calibrate, write."""

from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from mri_guard import bundle
from mri_guard.anomaly import VaeScorer
from mri_guard.bundle import BundleConfig, PolicyConfig
from mri_guard.calibration import Budget, Rate, Workload, held_rate
from mri_guard.calibration.second_look import SecondLookConfig
from mri_guard.errors import SettingsError
from mri_guard.perturbation.detector import ConformalDetector
from mri_guard.perturbation.detectors import DETECTORS, Learnt
from mri_guard.preprocess import BrainMask, Preprocess
from mri_guard.readers.manifest import read_manifest
from mri_guard.records import Contrast, Preprocessed
from mri_guard.training.calibrate import calibration_of
from mri_guard.training.card import model_card, with_detectors, with_limits, with_site
from mri_guard.training.card import with_second_look as second_look_in_card
from mri_guard.training.config import TrainConfig
from mri_guard.training.perturbation import (
    calibrate_on,
    clean_statistics,
    learn_detectors,
    learn_from,
)
from mri_guard.training.second_look import second_look_scores
from mri_guard.training.site import (
    SiteReport,
    one_a_person,
    report,
    seen_by,
    site_calibration,
)
from mri_guard.training.synthetic_lesions import Window
from mri_guard.training.train import train
from mri_guard.training.voxel_limits import learn_voxels, used


def train_bundle(
    manifests: Sequence[Path],
    out: Path,
    *,
    work: Path,
    config: TrainConfig,
    seed: int,
    brain_mask: BrainMask,
    name: str,
    version: str,
    contrast: Contrast,
    data: str,
    console: Console,
    shapes: Sequence[Window] = (),
    synthetic: Sequence[Preprocessed] = (),
    others: Sequence[Path] = (),
    tensorboard: Path | None = None,
    device: torch.device | str = "cpu",
) -> str:
    """Digest of the bundle that was written.

    Args:
        manifests: CSV files whose `train`, `validation` and `calibration` splits are used.
        out: folder of the bundle.
        work: checkpoint and cache; an interrupted run goes on from here.
        config: how to train.
        seed: root seed.
        brain_mask: as the bundle will use it.
        name: of the bundle.
        version: of the bundle.
        contrast: what the scans are; the bundle will know this one.
        data: what the card says of the data, Markdown.
        console: where progress is shown.
        shapes: of real lesions, for the synthetic ones.
        synthetic: healthy heads to learn from too.
        others: CSV files of scans of another contrast, for telling it from this one.
        tensorboard: folder for training curves; None writes none.
        device: to train on.

    Raises:
        SettingsError: a manifest or the checkpoint does not fit.
        UnfitModelError: posterior collapse, or a model that restores lesions too.
        NotCalibratedError: too few calibration scans for the promised rates.
        KeyboardInterrupt: after the checkpoint was written.
    """
    preprocess = Preprocess(brain_mask)
    model = train(
        manifests,
        work,
        config,
        seed=seed,
        preprocess=preprocess,
        shapes=shapes,
        synthetic=synthetic,
        tensorboard=tensorboard,
        device=device,
        console=console,
    )
    every = [row for path in manifests for row in read_manifest(path)]
    rows = [row for row in every if row.split == "calibration"]
    lesioned = [row for row in calibrate_on(every) if row.split != "calibration"]
    learning = learn_from(every)
    with Progress(console=console) as progress:
        task = progress.add_task("detectors learn", total=len(learning))
        detectors = learn_detectors(
            learning,
            preprocess,
            seed=seed,
            cache=work / "cache",
            progress=lambda: progress.advance(task),
        )
    with Progress(console=console) as progress:
        task = progress.add_task("calibrating", total=len(rows) + len(lesioned))
        calibration = calibration_of(
            rows,
            lesioned,
            preprocess,
            model.scorer(),
            detectors,
            cache=work / "cache",
            progress=lambda: progress.advance(task),
        )
    foreign = [row for path in others for row in read_manifest(path)]
    known = used([*every, *foreign])
    with Progress(console=console) as progress:
        task = progress.add_task("learning voxel limits", total=len(known))
        heads, limits = learn_voxels(known, contrast, progress=lambda: progress.advance(task))
    calibration = calibration.model_copy(update={"voxels": limits})
    bundle_config = BundleConfig(
        name=name,
        version=version,
        contrasts=(contrast,),
        vae=model.config,
        policy=PolicyConfig(),
        seed=seed,
    )
    tensors: dict[str, Tensor] = {f"vae.{key}": value for key, value in model.state.items()}
    tensors |= {f"healthy.{key}": value for key, value in model.statistics.items()}
    tensors |= {f"brain.{key}": value for key, value in brain_mask.network.state_dict().items()}
    tensors |= {f"heads.{key}": torch.from_numpy(some) for key, some in heads.arrays().items()}
    tensors |= _learnt(detectors)
    card = model_card(bundle_config, calibration, model.report, data)
    return bundle.write(out, bundle_config, tensors, calibration, card)


def with_voxel_limits(
    folder: Path, manifests: Sequence[Path], out: Path, *, version: str, console: Console
) -> str:
    """Digest of a bundle like another one, with the voxel checks' limits learnt anew.

    Model, statistics and brain mask stay as they are, bit by bit.

    Args:
        folder: of the other bundle.
        manifests: CSV files; `train` and `validation` fit the measures, `calibration` sets the
            limit, scans of another contrast show what the bundle's is not.
        out: folder of the bundle that is written; may be the other one's.
        version: of the bundle that is written.
        console: where progress is shown.

    Raises:
        BundleError: the other bundle is broken.
        SettingsError: a manifest does not fit.
        NotCalibratedError: too few scans.
    """
    config, tensors, calibration, card = bundle.contents(folder)
    rows = used([row for path in manifests for row in read_manifest(path)])
    with Progress(console=console) as progress:
        task = progress.add_task("learning voxel limits", total=len(rows))
        heads, limits = learn_voxels(
            rows, config.contrasts[0], progress=lambda: progress.advance(task)
        )
    kept = {key: value for key, value in tensors.items() if not key.startswith("heads.")}
    learnt = {f"heads.{key}": torch.from_numpy(some) for key, some in heads.arrays().items()}
    return bundle.write(
        out,
        config.model_copy(update={"version": version}),
        kept | learnt,
        calibration.model_copy(update={"voxels": limits}),
        with_limits(card, config, version, limits),
    )


def with_second_look(
    folder: Path,
    manifests: Sequence[Path],
    out: Path,
    *,
    version: str,
    look: SecondLookConfig,
    work: Path,
    console: Console,
    device: torch.device | str = "cpu",
) -> str:
    """Digest of a bundle like another one, with a second look calibrated anew.

    Model, statistics, brain mask and all other thresholds stay as they are.

    Args:
        folder: of the other bundle.
        manifests: CSV files whose `calibration` split is used: the scans that calibrated the other.
        out: folder of the bundle that is written; may be the other one's.
        version: of the bundle that is written.
        look: how it is taken.
        work: cache of preprocessed scans.
        console: where progress is shown.
        device: to score on.

    Raises:
        BundleError: the other bundle is broken.
        SettingsError: a manifest does not fit.
        NotCalibratedError: too few healthy scans.
    """
    config, tensors, calibration, card = bundle.contents(folder)
    parts = bundle.split(tensors, *bundle.PARTS)
    scorer = VaeScorer.from_tensors(config.vae, parts["vae"], parts["healthy"])
    rows = [row for path in manifests for row in read_manifest(path) if row.split == "calibration"]
    with Progress(console=console) as progress:
        task = progress.add_task("attacking and smoothing", total=len(rows))
        scores = second_look_scores(
            rows,
            Preprocess(BrainMask.from_tensors(parts["brain"])),
            scorer.to(device),
            look,
            cache=work / "cache",
            seed=config.seed,
            progress=lambda: progress.advance(task),
        )
    return bundle.write(
        out,
        config.model_copy(update={"version": version}),
        tensors,
        calibration.model_copy(update={"second_look": scores}),
        second_look_in_card(card, config, version, scores),
    )


def with_detector_calibration(
    folder: Path,
    manifests: Sequence[Path],
    out: Path,
    *,
    work: Path,
    version: str,
    console: Console,
    names: Collection[str] = (),
) -> str:
    """Digest of a bundle like another one, with its perturbation detectors learnt anew.

    Model, statistics, brain mask, thresholds and voxel limits stay as they are, bit by bit.

    Args:
        folder: of the other bundle, whatever detectors it has.
        manifests: CSV files; the detectors learn from the split `validation` and are calibrated on
            `calibration` and the scans with lesions of `train`, all of them clean.
        out: folder of the bundle that is written; may be the other one's.
        work: preprocessed scans are kept in it; an interrupted run goes on from there.
        version: of the bundle that is written.
        console: where progress is shown.
        names: of the detectors that it shall have; none means every one.

    Raises:
        BundleError: the other bundle is broken.
        SettingsError: a manifest does not fit, or a detector is not known.
        NotCalibratedError: too few scans.
    """
    known = {kind.name for kind in DETECTORS}
    if not set(names) <= known:
        raise SettingsError(f"detectors {sorted(names)}; wanted some of {sorted(known)}")
    config, tensors, calibration, card = bundle.contents(folder)
    parts = bundle.split(tensors, *bundle.PARTS)
    preprocess = Preprocess(BrainMask.from_tensors(parts["brain"]))
    scorer = VaeScorer.from_tensors(config.vae, parts["vae"], parts["healthy"])
    rows = [row for path in manifests for row in read_manifest(path)]
    learning, calibrating = learn_from(rows), calibrate_on(rows)
    with Progress(console=console) as progress:
        task = progress.add_task("detectors", total=len(learning) + len(calibrating))

        def advance() -> None:
            progress.advance(task)

        detectors = learn_detectors(
            learning, preprocess, seed=config.seed, cache=work / "cache", progress=advance
        )
        detectors = tuple(one for one in detectors if not names or one.name in names)
        clean = clean_statistics(
            calibrating, detectors, preprocess, scorer, cache=work / "cache", progress=advance
        )
    kept = {key: value for key, value in tensors.items() if not key.startswith("detectors.")}
    made = config.model_copy(update={"version": version})
    calibration = calibration.model_copy(update={"detectors": clean})
    new = kept | _learnt(detectors)
    bundle.assemble(made, new, calibration, "").decoder.close()  # nothing is written that fails
    return bundle.write(
        out,
        made,
        new,
        calibration,
        with_detectors(card, config, version, calibration),
    )


def with_site_calibration(
    folder: Path,
    manifests: Sequence[Path],
    out: Path,
    *,
    splits: Sequence[str],
    budget: Budget | None,
    delta: float | None,
    probability: bool,
    drop_second_look: bool,
    version: str | None,
    work: Path,
    console: Console,
) -> tuple[str, SiteReport]:
    """Digest of a bundle like another one with thresholds of a site's own scans, and what they say.

    Model, statistics, brain mask, voxel limits and detectors stay as they are, bit by bit.

    Args:
        folder: of the other bundle.
        manifests: CSV files of the site's scans: healthy ones, and abnormal ones if there are.
        out: folder of the bundle that is written; may be the other one's.
        splits: of the manifests to use.
        budget: of false flags; None: the other bundle's.
        delta: probability of not holding it; None: the other bundle's.
        probability: whether abnormal scans shall give a probability of abnormality.
        drop_second_look: whether a second look may be left out.
        version: of the bundle that is written; None: the other one's with `+site`.
        work: folder that archives may be extracted into.
        console: where progress is shown.

    Raises:
        BundleError: the other bundle is broken.
        SettingsError: a manifest does not fit, or there is a second look that may not be left out.
        NotCalibratedError: too few healthy scans, or no abnormal one for a probability.
    """
    config, tensors, calibration, card = bundle.contents(folder)
    if calibration.second_look is not None and not drop_second_look:
        raise SettingsError(
            "the bundle's second look is calibrated on other scans than these; wanted leave to "
            "drop it (--drop-second-look), and calibrate-second-look with these scans afterwards"
        )
    policy = config.policy
    budget = budget or policy.workload or Rate(alpha=policy.alpha)
    delta = delta or policy.delta
    every = [row for path in manifests for row in read_manifest(path) if row.split in splits]
    rows = one_a_person(every)
    budget.rank(sum(row.label == "healthy" for row in rows), delta)  # before any is screened
    with bundle.load(folder) as kit, Progress(console=console) as progress:
        task = progress.add_task("screening", total=len(rows))
        seen = seen_by(kit, rows, work, lambda: progress.advance(task))
        threshold = kit.calibrate(0.0).threshold
    found = report(
        calibration,
        threshold,
        policy.perturbation_alpha,
        seen,
        budget=budget,
        delta=delta,
        seed=config.seed,
    )
    workload = budget if isinstance(budget, Workload) else None
    alpha = (
        budget.alpha if isinstance(budget, Rate) else held_rate(found.rank, found.healthy, delta)
    )
    made = config.model_copy(
        update={
            "version": version or f"{config.version}+site",
            "policy": policy.model_copy(
                update={"alpha": alpha, "delta": delta, "workload": workload}
            ),
        }
    )
    new = site_calibration(calibration, seen, probability=probability)
    bundle.assemble(made, tensors, new, "").decoder.close()  # nothing is written that fails
    return bundle.write(out, made, tensors, new, with_site(card, config, made, new)), found


def _learnt(detectors: Sequence[ConformalDetector]) -> dict[str, Tensor]:
    """What the detectors have learnt, as the bundle's tensors."""
    return {
        f"detectors.{detector.name}.{key}": torch.from_numpy(array)
        for detector in detectors
        if isinstance(detector, Learnt)
        for key, array in detector.arrays().items()
    }
